//! A network between a client and a server that loses, repeats and reorders datagrams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::sums::Dice;

/// What happens to datagrams, in percent.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// Never arrive.
    pub lost: u64,
    /// Arrive twice.
    pub repeated: u64,
    /// Arrive behind the next one.
    pub late: u64,
    /// Larger ones never arrive, bytes.
    pub largest: usize,
}

/// The network; it is gone when this is dropped.
pub struct Lossy {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Lossy {
    /// A network to `server` for one client, the same each time for a seed.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(server: SocketAddr, losses: Losses, seed: u64) -> io::Result<Self> {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        far.connect(server)?;
        let address = near.local_addr()?;
        // The first datagram says who the client is.
        let stop = Arc::new(AtomicBool::new(false));
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        }
        let (near, far) = (Arc::new(near), Arc::new(far));
        let client = Arc::new(std::sync::OnceLock::new());
        let up = {
            let (near, far) = (Arc::clone(&near), Arc::clone(&far));
            let (stop, client) = (Arc::clone(&stop), Arc::clone(&client));
            std::thread::spawn(move || {
                let mut way = Way::new(losses, seed);
                way.follow(
                    &stop,
                    |buffer| {
                        let (n, from) = near.recv_from(buffer)?;
                        let _ = client.set(from);
                        Ok(n)
                    },
                    |datagram| drop(far.send(datagram)),
                );
            })
        };
        let down = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut way = Way::new(losses, seed + 1);
                way.follow(
                    &stop,
                    |buffer| far.recv(buffer),
                    |datagram| {
                        if let Some(client) = client.get() {
                            let _ = near.send_to(datagram, client);
                        }
                    },
                );
            })
        };
        Ok(Self { address, stop, threads: vec![up, down] })
    }

    /// Where the client finds the server.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One direction.
struct Way {
    losses: Losses,
    dice: Dice,
    late: Option<Vec<u8>>,
}

impl Way {
    fn new(losses: Losses, seed: u64) -> Self {
        Self { losses, dice: Dice::new(seed), late: None }
    }

    fn follow(
        &mut self,
        stop: &AtomicBool,
        receive: impl Fn(&mut [u8]) -> io::Result<usize>,
        send: impl Fn(&[u8]),
    ) {
        let mut buffer = vec![0; 64 * 1024];
        while !stop.load(Ordering::Relaxed) {
            let Ok(n) = receive(&mut buffer) else {
                // Nothing comes: what waits for the next one goes alone.
                self.late.take().iter().for_each(|late| send(late));
                continue;
            };
            self.pass(&buffer[..n], &send);
        }
    }

    fn pass(&mut self, datagram: &[u8], send: &impl Fn(&[u8])) {
        let fate = self.dice.below(100);
        let Losses { lost, repeated, late, largest } = self.losses;
        if fate < lost || datagram.len() > largest {
            return;
        }
        if fate < lost + late && self.late.is_none() {
            self.late = Some(datagram.to_vec());
            return;
        }
        send(datagram);
        if fate >= 100 - repeated {
            send(datagram);
        }
        if let Some(late) = self.late.take() {
            send(&late);
        }
    }
}
