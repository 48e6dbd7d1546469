//! Checks of upstreams' servers: one prober for the whole process, on a thread of its own, so that no
//! core waits for an ill server and no server is asked once for each core.
//!
//! What is asked and what an answer means is decided in `doorman-balance`; here is who asks. A reload
//! hands over the servers that there are now: what is the same server and the same check goes on
//! where it was, with its count of failures; what is gone ends with the next breath.

mod ask;
mod round;
#[cfg(test)]
mod tests;
mod vigil;

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use doorman_balance::health::outlier::OutlierRules;
use doorman_balance::health::passive::PassiveRules;
use doorman_balance::health::{Change, Check, Initial};
use doorman_balance::{Probe, ServerState};
use doorman_http::Now;
use doorman_net::dial::{DialManner, DialTls, Protocol};
use doorman_net::os::Os;
use doorman_net::{Address, Clock, Net};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Checks that are under way at once. Each has a connection, and the proxy's own come first; five
/// seconds are enough for thousands of servers all the same, even if a tenth of them is silent.
pub const CHECKS_AT_ONCE: usize = 256;

/// An upstream whose servers are looked after.
#[derive(Clone)]
pub struct Ward {
    /// Its name.
    pub upstream: Box<str>,
    /// What its servers are asked; may be empty.
    pub checks: Vec<Check>,
    /// When failures of requests take a server out, for the words about it.
    pub passive: Option<Arc<PassiveRules>>,
    /// When a server is an outlier.
    pub outlier: Option<OutlierRules>,
    /// All of its servers.
    pub servers: Vec<Target>,
}

impl Ward {
    /// Whether there is anything to look after.
    #[must_use]
    pub const fn needs_care(&self) -> bool {
        !self.checks.is_empty() || self.passive.is_some() || self.outlier.is_some()
    }

    /// Takes the servers out that count as down until they have been checked: before the first request
    /// can come.
    pub fn prepare(&self, now: Now) {
        if !self.checks.iter().any(|check| check.pace.initial == Initial::Down) {
            return;
        }
        for server in self.servers.iter().filter(|server| server.state.probe() == Probe::Unknown) {
            let why = "not checked yet".to_owned();
            server.state.health().vitals.change(Change { at: now, up: false, why });
            server.state.set_probe(Probe::Down, now.instant);
        }
    }
}

/// A server of an upstream.
#[derive(Clone)]
pub struct Target {
    /// Its name.
    pub server: Box<str>,
    /// The way to it: that of requests.
    pub way: Way,
    /// Who hears of the verdict.
    pub state: Arc<ServerState>,
}

/// How a server is connected to.
#[derive(Clone)]
pub struct Way {
    /// Its address.
    pub address: Address,
    /// Its address as `Host` says it.
    pub authority: Box<str>,
    /// TLS towards it.
    pub tls: Option<DialTls>,
    /// TLS that settles on HTTP/1.1.
    pub tls_single: Option<DialTls>,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Where connections come from, and what they begin with.
    pub manner: DialManner,
}

/// The prober's handle.
#[derive(Debug)]
pub struct Prober {
    orders: UnboundedSender<Vec<Ward>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Prober {
    /// Starts the thread. `seed` must come from the system's entropy.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(clock: Clock, seed: u64, wards: Vec<Ward>) -> std::io::Result<Self> {
        let (orders, inbox) = unbounded_channel();
        let _ = orders.send(wards);
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(run(Os::new(seed), clock, inbox)),
                Err(error) => tracing::error!("servers cannot be checked: {error}"),
            }
        };
        let thread = std::thread::Builder::new().name("checks".to_owned()).spawn(body)?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)) })
    }

    /// Looks after these upstreams from now on, and no others.
    pub fn follow(&self, wards: Vec<Ward>) {
        let _ = self.orders.send(wards);
    }

    /// Ends the thread, and with it every check.
    pub fn end(self) {
        drop(self.orders);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// Checks servers until nobody is left to say which. It must run inside a tokio `LocalRuntime`.
pub async fn run<N: Net>(net: N, clock: Clock, mut inbox: UnboundedReceiver<Vec<Ward>>) {
    let mut round = round::Round::new(net, clock);
    let mut vigil = vigil::Vigil::new(clock);
    loop {
        tokio::select! {
            biased;
            wards = inbox.recv() => match wards {
                Some(wards) => {
                    let wards: Vec<Rc<Ward>> = wards.into_iter().map(Rc::new).collect();
                    vigil.follow(&wards);
                    round.follow(&wards);
                }
                None => return,
            },
            () = vigil.due() => vigil.look(),
        }
    }
}
