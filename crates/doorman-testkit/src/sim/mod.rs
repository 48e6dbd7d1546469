//! A network in memory, in virtual time, whose every misfortune comes from one seed.
//!
//! The decision that shaped it: it implements the production's seam ([`doorman_net::Net`]), so
//! the same proxy code runs on it unchanged. [`simulate`] runs a story on one thread with tokio's
//! clock paused: time jumps to the next timer whenever nothing else can happen, so a minute's
//! stall costs nothing, and a seed that fails replays to the byte.
//!
//! ```text
//! use std::time::Duration;
//! use doorman_net::{Address, Net};
//! use doorman_testkit::sim::{Faults, simulate};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let address = "10.0.0.1:80".parse().unwrap();
//! let run = simulate(7, Faults::swarm(7), Duration::from_secs(600), |sim| async move {
//!     let mut listener = sim.listen(address).unwrap();
//!     tokio::task::spawn_local(async move {
//!         while let Ok((mut stream, ..)) = listener.accept().await {
//!             let _ = stream.write_all(b"hello").await;
//!         }
//!     });
//!     let mut answer = Vec::new();
//!     if let Ok(mut stream) = sim.net().connect(&Address::Inet(address)).await {
//!         let _ = stream.read_to_end(&mut answer).await;
//!     }
//!     assert!(b"hello".starts_with(&answer));
//! });
//! run.unwrap();
//! ```

mod faults;
mod line;
mod stream;
#[cfg(test)]
mod tests;
mod trace;
mod world;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use doorman_net::{Address, Clock};
use tokio::runtime::{Builder, LocalOptions};

pub use faults::{Fault, Faults, Side, Trouble, TroubleKind, WINDOW_MAX};
pub use stream::{SimListener, SimNet, SimStream};
pub use trace::{Event, What};
use world::{Door, World};

/// The wall clock's reading when a simulation begins: 2025-01-01 00:00:00 UTC, in nanoseconds.
pub const DAWN: u64 = 1_735_689_600_000_000_000;

/// The simulated network, as its maker sees it. Clones are the same network.
#[derive(Clone)]
pub struct Sim {
    world: Rc<World>,
    seed: u64,
}

impl Sim {
    /// A network with the faults that `seed` chooses. It must be made inside a tokio
    /// `LocalRuntime` whose time is paused; [`simulate`] sees to that.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_faults(seed, Faults::swarm(seed))
    }

    /// A network with these faults; `seed` says when and where they strike.
    #[must_use]
    pub fn with_faults(seed: u64, faults: Faults) -> Self {
        let world = World::new(Clock::simulated(DAWN), seed, faults);
        tokio::task::spawn_local(Rc::clone(&world).drive());
        Self { world, seed }
    }

    /// The seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The clock of this network's virtual time.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.world.clock
    }

    /// The network as a program on the host 192.0.2.1 sees it.
    #[must_use]
    pub fn net(&self) -> SimNet {
        self.net_from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
    }

    /// The network as a program on the host `ip` sees it.
    #[must_use]
    pub fn net_from(&self, ip: IpAddr) -> SimNet {
        SimNet::new(Rc::clone(&self.world), ip, world::application_dice(self.seed))
    }

    /// A listener at `address`.
    ///
    /// # Errors
    /// `AddrInUse` while another one is there.
    pub fn listen(&self, address: SocketAddr) -> io::Result<SimListener> {
        self.listen_at(Address::Inet(address))
    }

    /// A listener at `address`, which may be a Unix path.
    ///
    /// # Errors
    /// `AddrInUse` while another one is there.
    pub fn listen_at(&self, address: Address) -> io::Result<SimListener> {
        self.world.change(|state| {
            if state.doors.contains_key(&address) {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            state.doors.insert(address.clone(), Door::default());
            Ok(())
        })?;
        Ok(SimListener::new(Rc::clone(&self.world), address))
    }

    /// Lets `name:port` be found at `address`.
    pub fn name(&self, name: &str, port: u16, address: SocketAddr) {
        self.world.change(|state| state.names.insert((name.into(), port), address));
    }

    /// Other faults for connections made to `address` from now on: for example none between the
    /// test's clients and the proxy, all between the proxy and its origins.
    pub fn faults_at(&self, address: SocketAddr, faults: Faults) {
        self.world.change(|state| state.faults_at.insert(Address::Inet(address), faults));
    }

    /// The next connection to `address` for which nothing is planned yet suffers exactly these
    /// troubles and no other fault.
    pub fn plan(&self, address: SocketAddr, troubles: Vec<Trouble>) {
        self.world.change(|state| {
            state.plans.entry(Address::Inet(address)).or_default().push_back(troubles);
        });
    }

    /// Waits in virtual time.
    pub async fn wait(&self, duration: Duration) {
        self.world.wait(duration).await;
    }

    /// Adds the test's own words to the trace, and so to its hash.
    pub fn note(&self, words: impl Into<String>) {
        let words = What::Note(words.into());
        self.world.change(|state| state.record(None, Side::Caller, words, &[]));
    }

    /// The hash of who did what with how many bytes and when. The same seed and program give the
    /// same value.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.world.change(|state| state.trace().course())
    }

    /// The hash of all bytes that moved. Under TLS it differs from run to run.
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        self.world.change(|state| state.trace().content())
    }

    /// The last events (at most 512), for a failure's message.
    #[must_use]
    pub fn last_events(&self) -> Vec<Event> {
        self.world.change(|state| state.trace().last())
    }
}

/// What became of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<T> {
    /// What the story returned.
    pub value: T,
    /// See [`Sim::trace_hash`].
    pub trace_hash: u64,
    /// See [`Sim::content_hash`].
    pub content_hash: u64,
    /// How many events there were.
    pub events: u64,
    /// How much virtual time passed.
    pub elapsed: Duration,
}

/// A simulation whose story did not end: somebody waits for what never comes. Its text names the
/// seed and the last events.
pub struct Stuck {
    /// The seed.
    pub seed: u64,
    /// The last events.
    pub last: Vec<Event>,
}

impl fmt::Debug for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the story of seed {} did not end; last events:", self.seed)?;
        self.last.iter().try_for_each(|event| write!(f, "\n{event}"))
    }
}

/// Prints the last events if the story panics.
struct Witness(Sim);

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let stuck = Stuck { seed: self.0.seed, last: self.0.last_events() };
            eprintln!("panic in a simulation: {stuck:?}");
        }
        self.0.world.change(|state| state.over = true);
    }
}

/// Runs a story on a network of its own, until it returns or `horizon` of virtual time has passed.
/// Tasks that the story left behind are dropped.
///
/// # Errors
/// The story did not end within the horizon.
///
/// # Panics
/// When the story does, having printed the last events.
pub fn simulate<F: Future>(
    seed: u64,
    faults: Faults,
    horizon: Duration,
    story: impl FnOnce(Sim) -> F,
) -> Result<Run<F::Output>, Stuck> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("a runtime without IO needs nothing of the system");
    runtime.block_on(async {
        let sim = Sim::with_faults(seed, faults);
        let _witness = Witness(sim.clone());
        let value = tokio::time::timeout(horizon, story(sim.clone())).await;
        let last = || sim.last_events();
        Ok(Run {
            value: value.map_err(|_| Stuck { seed, last: last() })?,
            trace_hash: sim.trace_hash(),
            content_hash: sim.content_hash(),
            events: sim.world.change(|state| state.trace().events()),
            elapsed: Duration::from_nanos(sim.world.clock.instant().0),
        })
    })
}
