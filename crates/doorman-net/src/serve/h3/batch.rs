//! Datagrams on their way out, gathered into fewer system calls.
//!
//! The library hands over ten datagrams at a time. The kernel takes up to 64 of one size for one address,
//! and asks nearly the same for the call whether they are many or few. So what is handed over is held
//! until the core has nothing more for that address, which is a turn of its tasks and not a time: a
//! core without other work sends at once.

use std::io;
use std::net::{IpAddr, SocketAddr};

use quinn::udp::{EcnCodepoint, Transmit};

/// Bytes of one call: what an IP packet can say of its length, less the headers.
const BYTES_MAX: usize = 65_000;
/// Addresses that datagrams are gathered for at once. Each may hold a buffer of `BYTES_MAX`.
const BATCHES_MAX: usize = 16;

/// Sends datagrams, as [`quinn::udp::UdpSocketState::send`] does.
pub(super) trait Send {
    /// # Errors
    /// `WouldBlock`: the socket is full.
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()>;
}

/// Datagrams for one address, all of one size but for the last.
#[derive(Debug)]
struct Batch {
    destination: SocketAddr,
    source: Option<IpAddr>,
    ecn: Option<EcnCodepoint>,
    segment: usize,
    bytes: Vec<u8>,
}

impl Batch {
    fn transmit(&self) -> Transmit<'_> {
        Transmit {
            destination: self.destination,
            ecn: self.ecn,
            contents: &self.bytes,
            segment_size: Some(self.segment),
            src_ip: self.source,
        }
    }

    /// Whether `transmit` may stand behind what is here: only the last datagram may be shorter.
    fn takes(&self, transmit: &Transmit<'_>, segments_max: usize) -> bool {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        let fits = match transmit.segment_size {
            Some(_) => segment == self.segment,
            None => segment <= self.segment,
        };
        let length = self.bytes.len() + transmit.contents.len();
        fits && self.bytes.len().is_multiple_of(self.segment)
            && (transmit.ecn, transmit.src_ip) == (self.ecn, self.source)
            && length <= BYTES_MAX
            && length.div_ceil(self.segment) <= segments_max
    }
}

/// What waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    batches: Vec<Batch>,
    /// Buffers of batches that have left.
    spare: Vec<Vec<u8>>,
    /// Bytes that have come so far, so that a look says whether more did since the last.
    came: u64,
    seen: u64,
}

impl Gathered {
    /// Takes datagrams, or sends them at once where there is nothing to gather.
    ///
    /// # Errors
    /// `WouldBlock`: the socket is full, and nothing was taken.
    pub(super) fn take(
        &mut self,
        transmit: &Transmit<'_>,
        segments_max: usize,
        socket: &impl Send,
    ) -> io::Result<()> {
        let at = self.batches.iter().position(|batch| batch.destination == transmit.destination);
        if let Some(at) = at {
            if self.batches[at].takes(transmit, segments_max) {
                self.batches[at].bytes.extend_from_slice(transmit.contents);
                self.came += transmit.contents.len() as u64;
                return Ok(());
            }
            // What is here came first.
            self.send(at, socket)?;
        }
        // One datagram alone may be a probe for the path's size: were it first of a batch, all that
        // joined it would share its fate.
        let Some(segment) = transmit.segment_size.filter(|_| segments_max > 1) else {
            return socket.send(transmit);
        };
        if self.batches.len() == BATCHES_MAX {
            self.send(0, socket)?;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(transmit.contents);
        self.came += transmit.contents.len() as u64;
        self.batches.push(Batch {
            destination: transmit.destination,
            source: transmit.src_ip,
            ecn: transmit.ecn,
            segment,
            bytes,
        });
        Ok(())
    }

    /// Whether more came since the last look.
    pub(super) const fn has_grown(&mut self) -> bool {
        let has_grown = self.came != self.seen;
        self.seen = self.came;
        has_grown
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Sends all.
    ///
    /// # Errors
    /// `WouldBlock`: the socket is full. The rest is kept.
    pub(super) fn send_all(&mut self, socket: &impl Send) -> io::Result<()> {
        while !self.batches.is_empty() {
            self.send(0, socket)?;
        }
        Ok(())
    }

    fn send(&mut self, at: usize, socket: &impl Send) -> io::Result<()> {
        socket.send(&self.batches[at].transmit())?;
        let mut bytes = self.batches.remove(at).bytes;
        bytes.clear();
        // An idle socket keeps one buffer; a busy one has them in its batches.
        if self.spare.is_empty() {
            self.spare.push(bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const MAX: usize = 8;

    /// Port, bytes and segment size of what was sent.
    type Sent = (u16, Vec<u8>, Option<usize>);

    #[derive(Default)]
    struct Wire {
        sent: RefCell<Vec<Sent>>,
        is_full: Cell<bool>,
    }

    impl Send for Wire {
        fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
            if self.is_full.get() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let port = transmit.destination.port();
            let sent = (port, transmit.contents.to_vec(), transmit.segment_size);
            self.sent.borrow_mut().push(sent);
            Ok(())
        }
    }

    fn transmit(port: u16, contents: &[u8], segment: Option<usize>) -> Transmit<'_> {
        Transmit {
            destination: SocketAddr::from(([192, 0, 2, 1], port)),
            ecn: None,
            contents,
            segment_size: segment,
            src_ip: None,
        }
    }

    /// Takes each, sends the rest, and gives lengths and segment sizes as they left.
    fn check(given: &[(u16, usize, Option<usize>)], wanted: &[(u16, usize, Option<usize>)]) {
        let (mut gathered, wire) = (Gathered::default(), Wire::default());
        let mut all = Vec::new();
        for (number, &(port, length, segment)) in given.iter().enumerate() {
            let contents = vec![u8::try_from(number).unwrap(); length];
            gathered.take(&transmit(port, &contents, segment), MAX, &wire).unwrap();
            all.extend(contents);
        }
        gathered.send_all(&wire).unwrap();
        assert!(gathered.is_empty());
        let sent = wire.sent.take();
        let lengths: Vec<_> =
            sent.iter().map(|(port, bytes, segment)| (*port, bytes.len(), *segment)).collect();
        assert_eq!(lengths, wanted);
        let mut bytes: Vec<u8> = sent.into_iter().flat_map(|(_, bytes, _)| bytes).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, all, "nothing is lost and nothing comes twice");
    }

    #[test]
    fn what_fits_leaves_together() {
        check(&[(1, 30, Some(10)), (1, 30, Some(10))], &[(1, 60, Some(10))]);
        check(&[(1, 30, Some(10)), (1, 7, None)], &[(1, 37, Some(10))]);
        check(&[(1, 30, Some(10)), (1, 10, None), (1, 25, Some(10))], &[(1, 65, Some(10))]);
        check(
            &[(1, 30, Some(10)), (2, 30, Some(10)), (1, 30, Some(10))],
            &[(1, 60, Some(10)), (2, 30, Some(10))],
        );
    }

    #[test]
    fn what_does_not_fit_leaves_behind_what_came_first() {
        check(&[(1, 35, Some(10)), (1, 30, Some(10))], &[(1, 35, Some(10)), (1, 30, Some(10))]);
        check(&[(1, 30, Some(10)), (1, 22, Some(11))], &[(1, 30, Some(10)), (1, 22, Some(11))]);
        check(&[(1, 30, Some(10)), (1, 11, None)], &[(1, 30, Some(10)), (1, 11, None)]);
        check(&[(1, 60, Some(10)), (1, 30, Some(10))], &[(1, 60, Some(10)), (1, 30, Some(10))]);
        let long = 40_000;
        check(
            &[(1, long, Some(20_000)), (1, long, Some(20_000))],
            &[(1, long, Some(20_000)), (1, long, Some(20_000))],
        );
    }

    #[test]
    fn one_datagram_waits_for_nobody() {
        let (mut gathered, wire) = (Gathered::default(), Wire::default());
        gathered.take(&transmit(1, &[0; 10], None), MAX, &wire).unwrap();
        assert_eq!(wire.sent.borrow().len(), 1);
        // Where the system can't take many at a time.
        gathered.take(&transmit(1, &[0; 20], Some(10)), 1, &wire).unwrap();
        assert_eq!(wire.sent.borrow().len(), 2);
        assert!(gathered.is_empty());
    }

    #[test]
    fn a_full_socket_loses_nothing_and_the_number_of_batches_is_bounded() {
        let (mut gathered, wire) = (Gathered::default(), Wire::default());
        wire.is_full.set(true);
        for port in 0..BATCHES_MAX {
            let port = u16::try_from(port).unwrap();
            gathered.take(&transmit(port, &[0; 20], Some(10)), MAX, &wire).unwrap();
        }
        let more = transmit(9999, &[0; 20], Some(10));
        let is_full = |result: io::Result<()>| result.unwrap_err().kind();
        assert_eq!(is_full(gathered.take(&more, MAX, &wire)), io::ErrorKind::WouldBlock);
        assert_eq!(is_full(gathered.send_all(&wire)), io::ErrorKind::WouldBlock);
        wire.is_full.set(false);
        gathered.take(&more, MAX, &wire).unwrap();
        gathered.send_all(&wire).unwrap();
        assert_eq!(wire.sent.borrow().len(), BATCHES_MAX + 1);
    }

    #[test]
    fn a_look_says_whether_more_came() {
        let (mut gathered, wire) = (Gathered::default(), Wire::default());
        assert!(!gathered.has_grown());
        gathered.take(&transmit(1, &[0; 20], Some(10)), MAX, &wire).unwrap();
        assert!(gathered.has_grown());
        assert!(!gathered.has_grown());
    }
}
