//! Questions to other servers that are no origin: keys of an issuer, a token for a code.
//!
//! What shaped it: the corridor opens no socket of its own and knows no certificate authority, so what it wants asked
//! waits here for whoever runs errands, which is a thread of the binary. Errands that are open are bounded, waiting and
//! under way together: so whoever runs them may begin each at once, and its time is all it ever takes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorman_net::tls::ClientTls;
use tokio::sync::{Notify, oneshot};

/// Errands that are open at once, waiting and under way: each may be a connection and its answer in memory.
pub const ERRANDS_MAX: usize = 256;

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrandMethod {
    /// `GET`.
    Get,
    /// `POST` of a form: the body is `application/x-www-form-urlencoded`.
    PostForm,
}

/// A question to another server.
#[derive(Clone)]
pub struct Errand {
    /// How.
    pub method: ErrandMethod,
    /// Whom: `https://`, or `http://` of this machine. A redirect is an answer and is not followed.
    pub url: Box<str>,
    /// Fields of the request, beside those that every one has.
    pub fields: Vec<(&'static str, String)>,
    /// The form; nothing for [`ErrandMethod::Get`].
    pub body: String,
    /// Bytes of the answer's body that are taken at most.
    pub most: usize,
    /// How long all of it may take, connecting included.
    pub within: Duration,
    /// Whose certificates are believed; `None`: the authorities of the web.
    pub tls: Option<Arc<ClientTls>>,
}

/// Fields and the body may hold secrets, and go into no log.
impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errand({:?} {})", self.method, self.url)
    }
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrandAnswer {
    /// The status, whatever it is.
    pub status: u16,
    /// `Content-Type`, as it was written.
    pub content_type: Option<Box<str>>,
    /// How long the answer may be kept: `max-age` of `Cache-Control` less `Age`, nothing for `no-store` and `no-cache`
    /// (RFC 9111). `None`: it does not say.
    pub max_age: Option<Duration>,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrandError {
    /// [`ERRANDS_MAX`] are open already.
    Full,
    /// The server cannot be asked, or broke off: why, in one line.
    Unreachable(Box<str>),
    /// It took longer than the errand allows.
    Timeout,
    /// The answer is longer than the errand allows.
    TooLong,
}

impl ErrandError {
    /// The word in metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::TooLong => "too-long",
        }
    }
}

impl fmt::Display for ErrandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "{ERRANDS_MAX} other questions are open already"),
            Self::Unreachable(why) => f.write_str(why),
            Self::Timeout => f.write_str("it has not answered in time"),
            Self::TooLong => f.write_str("its answer is longer than any good one"),
        }
    }
}

impl std::error::Error for ErrandError {}

/// Where errands wait for whoever runs them; shared by all cores and all plans.
#[derive(Default)]
pub struct Errands {
    state: Mutex<State>,
    bell: Notify,
    asked: AtomicU64,
    failed: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Waiting and under way.
    open: usize,
    is_closed: bool,
}

/// An errand for whoever runs errands. Whoever waits for one that is dropped hears that it was not run.
#[derive(Debug)]
pub struct Job {
    /// What to ask.
    pub errand: Errand,
    answer: oneshot::Sender<Result<ErrandAnswer, ErrandError>>,
}

impl Job {
    /// What came of it.
    pub fn done(self, answer: Result<ErrandAnswer, ErrandError>) {
        // Whoever asked may be gone.
        let _ = self.answer.send(answer);
    }

    /// Comes when nobody waits for the answer any more.
    pub async fn abandoned(&mut self) {
        self.answer.closed().await;
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").field("open", &self.open()).finish_non_exhaustive()
    }
}

impl Errands {
    /// Has a server asked. Whoever drops the future does not wait any more, and frees the errand's place.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, errand: Errand) -> Result<ErrandAnswer, ErrandError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = match self.open_one(errand) {
            Ok((_place, answer)) => {
                self.bell.notify_one();
                answer.await.unwrap_or_else(|_| Err(closed()))
            }
            Err(error) => Err(error),
        };
        if answer.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn open_one(&self, errand: Errand) -> Result<(Place<'_>, Answer), ErrandError> {
        let mut state = self.hold();
        if state.is_closed {
            return Err(closed());
        }
        if state.open >= ERRANDS_MAX {
            return Err(ErrandError::Full);
        }
        state.open += 1;
        let (answer, answered) = oneshot::channel();
        // Those that nobody waits for any more have given their places back, and go.
        state.waiting.retain(|job| !job.answer.is_closed());
        state.waiting.push_back(Job { errand, answer });
        drop(state);
        Ok((Place(self), answered))
    }

    /// The next one, for whoever runs them; `None`: there will be none any more.
    pub async fn next(&self) -> Option<Job> {
        loop {
            let rings = self.bell.notified();
            {
                let mut state = self.hold();
                while let Some(job) = state.waiting.pop_front() {
                    if !job.answer.is_closed() {
                        return Some(job);
                    }
                }
                if state.is_closed {
                    // Whoever else runs errands is to hear of it, too.
                    self.bell.notify_one();
                    return None;
                }
            }
            rings.await;
        }
    }

    /// Refuses all that wait and all that come.
    pub fn close(&self) {
        let mut state = self.hold();
        state.is_closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.bell.notify_one();
    }

    /// Errands that are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.hold().open
    }

    /// Errands so far, and those of them that came to nothing.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.asked.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    fn hold(&self) -> MutexGuard<'_, State> {
        // Nothing of others runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = oneshot::Receiver<Result<ErrandAnswer, ErrandError>>;

/// An open errand's place among all.
struct Place<'e>(&'e Errands);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.hold().open -= 1;
    }
}

fn closed() -> ErrandError {
    ErrandError::Unreachable("nobody is asked any more: doorman is stopping".into())
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn errand(url: &str) -> Errand {
        Errand {
            method: ErrandMethod::Get,
            url: url.into(),
            fields: Vec::new(),
            body: String::new(),
            most: 10,
            within: Duration::from_secs(1),
            tls: None,
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn answer() -> ErrandAnswer {
        ErrandAnswer { status: 200, content_type: None, max_age: None, body: b"yes".to_vec() }
    }

    #[test]
    fn errands_wait_in_order_and_each_hears_its_own_answer() {
        let errands = Errands::default();
        let mut first = pin!(errands.ask(errand("https://a.test/1")));
        let mut second = pin!(errands.ask(errand("https://a.test/2")));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        assert_eq!(errands.open(), 2);
        let Poll::Ready(Some(job)) = poll(pin!(errands.next())) else { panic!("a job") };
        assert_eq!(&*job.errand.url, "https://a.test/1");
        let Poll::Ready(Some(other)) = poll(pin!(errands.next())) else { panic!("a job") };
        other.done(Err(ErrandError::Timeout));
        job.done(Ok(answer()));
        assert_eq!(poll(first.as_mut()), Poll::Ready(Ok(answer())));
        assert_eq!(poll(second.as_mut()), Poll::Ready(Err(ErrandError::Timeout)));
        assert_eq!((errands.open(), errands.counts()), (0, (2, 1)));
    }

    #[test]
    fn whoever_runs_them_is_woken_by_one_that_comes() {
        let errands = Errands::default();
        let mut next = pin!(errands.next());
        assert!(poll(next.as_mut()).is_pending());
        let mut asked = pin!(errands.ask(errand("https://a.test")));
        assert!(poll(asked.as_mut()).is_pending());
        assert!(matches!(poll(next.as_mut()), Poll::Ready(Some(_))));
        // The job was dropped.
        assert!(matches!(poll(asked.as_mut()), Poll::Ready(Err(ErrandError::Unreachable(_)))));
    }

    #[test]
    fn so_many_are_open_and_who_goes_away_makes_room() {
        let errands = Errands::default();
        let mut open: Vec<_> =
            (0..ERRANDS_MAX).map(|_| Box::pin(errands.ask(errand("https://a.test")))).collect();
        assert!(open.iter_mut().all(|one| poll(one.as_mut()).is_pending()));
        let full = poll(pin!(errands.ask(errand("https://a.test"))));
        assert_eq!(full, Poll::Ready(Err(ErrandError::Full)));
        drop(open.pop());
        let mut last = pin!(errands.ask(errand("https://b.test")));
        assert!(poll(last.as_mut()).is_pending());
        // What nobody waits for is not run.
        drop(open);
        let Poll::Ready(Some(job)) = poll(pin!(errands.next())) else { panic!("a job") };
        assert_eq!(&*job.errand.url, "https://b.test");
        assert!(poll(pin!(errands.next())).is_pending());
        assert_eq!(errands.open(), 1);
    }

    #[test]
    fn one_that_is_under_way_hears_that_nobody_waits() {
        let errands = Errands::default();
        let mut asked = Box::pin(errands.ask(errand("https://a.test")));
        assert!(poll(asked.as_mut()).is_pending());
        let Poll::Ready(Some(mut job)) = poll(pin!(errands.next())) else { panic!("a job") };
        assert!(poll(pin!(job.abandoned())).is_pending());
        drop(asked);
        assert!(poll(pin!(job.abandoned())).is_ready());
        job.done(Ok(answer()));
    }

    #[test]
    fn closed_they_end_with_a_word() {
        let errands = Errands::default();
        let mut asked = pin!(errands.ask(errand("https://a.test")));
        assert!(poll(asked.as_mut()).is_pending());
        errands.close();
        assert!(matches!(poll(asked.as_mut()), Poll::Ready(Err(ErrandError::Unreachable(_)))));
        assert!(poll(pin!(errands.ask(errand("https://a.test")))).is_ready());
        for _ in 0..2 {
            assert!(matches!(poll(pin!(errands.next())), Poll::Ready(None)));
        }
    }
}
