//! A thread that keeps a client's end of QUIC going between the calls of a test: packets are
//! acknowledged and answered whether the test looks or not, as a real client's are.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::raw::PATIENCE;

pub(super) struct Drive {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drive {
    pub(super) fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system gives a test an epoll descriptor");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let _ = runtime.block_on(stopped);
        });
        Self { handle, stop: Some(stop), thread: Some(thread) }
    }

    /// Tasks that are started while this lives run on the thread.
    pub(super) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.handle.enter()
    }

    /// Waits for `act`, but not for ever.
    pub(super) fn wait<T>(&self, act: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        self.handle.block_on(async {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the peer kept the rig waiting");
            tokio::time::timeout(PATIENCE, act).await.map_err(late)?
        })
    }

    /// Waits for `act`, which runs on the thread: no packet leaves between two of its steps that do not wait.
    pub(super) fn at_once<T: Send + 'static>(
        &self,
        act: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let task = self.handle.spawn(act);
        self.wait(async { task.await.map_err(io::Error::other)? })
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
