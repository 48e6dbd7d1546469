//! Which core a datagram belongs to.
//!
//! Each core has a socket of its own, and the kernel spreads datagrams over them by the addresses at
//! both ends. When a client's address changes (it moved to another network, a router forgot it),
//! its datagrams arrive at another core's socket. So connection ids name their core, and what landed
//! on a wrong one is passed on.
//!
//! ```text
//! id:   nonce (4 bytes) | core ^ mask[0] | mask[1..4]       mask = AES(key, nonce)
//! ```
//!
//! The core is hidden, since an id must tell an observer nothing that two ids of a connection have in
//! common (RFC 9000 section 5.1), and the last three bytes tell our ids from foreign ones.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSliceMut;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use aws_lc_rs::aead::quic::{AES_128, HeaderProtectionKey};
use aws_lc_rs::{hkdf, hmac};
use quinn::udp::RecvMeta;
use quinn::{ConnectionId, ConnectionIdGenerator};

use super::tokens::Used;

/// Length of our connection ids.
const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 4;
/// Datagrams that may wait for a core. One that is so far behind would not get to more of them
/// before their senders repeat them.
const PASSED_MAX: usize = 512;

/// What all sockets for HTTP/3 share for as long as the process lives. Its keys keep connection ids
/// readable over reloads, and let any core reset a connection that none knows.
pub struct Quic {
    ids: HeaderProtectionKey,
    pub(super) reset: Arc<hmac::Key>,
    pub(super) tokens: Arc<hkdf::Prk>,
    pub(super) used_tokens: Arc<Used>,
    pub(super) passed: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) sent_back: AtomicU64,
    pub(super) turned_away: AtomicU64,
}

/// What became of datagrams and connections that are not served as they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuicCounts {
    /// Datagrams that landed on a wrong core and were passed on.
    pub passed: u64,
    /// Those that were dropped, because too many waited for their core.
    pub dropped: u64,
    /// Connections whose client had to prove its address first (Retry).
    pub sent_back: u64,
    /// Connections that were turned away, because too many handshakes were under way.
    pub turned_away: u64,
}

impl Quic {
    /// Fresh keys.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn new() -> Result<Self, QuicError> {
        let (mut ids, mut reset, mut tokens) = ([0; 16], [0; 64], [0; 64]);
        for room in [&mut ids[..], &mut reset, &mut tokens] {
            aws_lc_rs::rand::fill(room).map_err(|_| QuicError)?;
        }
        Ok(Self {
            ids: HeaderProtectionKey::new(&AES_128, &ids).map_err(|_| QuicError)?,
            reset: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset)),
            tokens: Arc::new(hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&tokens)),
            used_tokens: Arc::default(),
            passed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            sent_back: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        })
    }

    /// What became of datagrams and connections that are not served as they come.
    #[must_use]
    pub fn counts(&self) -> QuicCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QuicCounts {
            passed: read(&self.passed),
            dropped: read(&self.dropped),
            sent_back: read(&self.sent_back),
            turned_away: read(&self.turned_away),
        }
    }

    fn mask(&self, nonce: &[u8]) -> [u8; 5] {
        let mut sample = [0; 16];
        sample[..NONCE_BYTES].copy_from_slice(nonce);
        // The sample has the one length that the cipher takes.
        self.ids.new_mask(&sample).unwrap_or_default()
    }

    fn id(&self, nonce: [u8; NONCE_BYTES], core: u8) -> [u8; ID_BYTES] {
        let mask = self.mask(&nonce);
        let [a, b, c, d] = nonce;
        [a, b, c, d, core ^ mask[0], mask[1], mask[2], mask[3]]
    }

    /// The core that an id names, if it is one of ours.
    fn core(&self, id: &[u8]) -> Option<usize> {
        let (nonce, rest) = id.split_at_checked(NONCE_BYTES)?;
        let mask = self.mask(nonce);
        (rest.get(1..) == Some(&mask[1..4])).then(|| usize::from(rest[0] ^ mask[0]))
    }
}

impl fmt::Debug for Quic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quic").finish_non_exhaustive()
    }
}

/// The system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicError;

impl fmt::Display for QuicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no randomness for the keys of HTTP/3")
    }
}

impl std::error::Error for QuicError {}

/// What the cores pass each other of what arrives at one address.
#[derive(Debug)]
pub struct Lanes {
    pub(super) quic: Arc<Quic>,
    inboxes: Box<[Inbox]>,
}

/// Datagrams for one core that landed on others.
#[derive(Debug, Default)]
struct Inbox {
    /// Looked at on every turn, so that the lock is taken only when something is there.
    waiting: AtomicUsize,
    datagrams: Mutex<VecDeque<Passed>>,
    /// The task that reads the socket: the same one for as long as the socket lives.
    reader: OnceLock<Waker>,
}

#[derive(Debug)]
struct Passed {
    bytes: Box<[u8]>,
    meta: RecvMeta,
}

impl Lanes {
    /// Lanes for so many cores; at most 256 of them are told apart.
    #[must_use]
    pub fn new(quic: Arc<Quic>, cores: usize) -> Arc<Self> {
        Arc::new(Self { quic, inboxes: (0..cores).map(|_| Inbox::default()).collect() })
    }

    /// The lane of one core.
    #[must_use]
    pub fn lane(self: &Arc<Self>, core: usize) -> Lane {
        Lane { lanes: Arc::clone(self), core }
    }
}

/// One core's place among those that read the datagrams of an address.
#[derive(Clone, Debug)]
pub struct Lane {
    pub(super) lanes: Arc<Lanes>,
    core: usize,
}

impl Lane {
    /// Hands over datagrams that other cores passed on, each in a buffer of its own.
    pub(super) fn take(
        &self,
        cx: &Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> usize {
        let Some(inbox) = self.lanes.inboxes.get(self.core) else { return 0 };
        if inbox.reader.get().is_none() {
            let _ = inbox.reader.set(cx.waker().clone());
        }
        if inbox.waiting.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let mut datagrams = inbox.datagrams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some(passed) = datagrams.pop_front() else { break };
            // A buffer holds what the socket may give at once, so more than one datagram.
            let n = passed.bytes.len().min(buffer.len());
            buffer[..n].copy_from_slice(&passed.bytes[..n]);
            *meta = RecvMeta { len: n, stride: n.max(1), ..passed.meta };
            taken += 1;
        }
        inbox.waiting.store(datagrams.len(), Ordering::Release);
        taken
    }

    /// Passes on what belongs to other cores and closes the gaps.
    pub(super) fn sort(&self, buffers: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta], n: usize) {
        if self.lanes.inboxes.len() < 2 {
            return;
        }
        for (buffer, meta) in buffers.iter_mut().zip(meta).take(n) {
            let (mut at, mut kept) = (0, 0);
            while at < meta.len {
                let end = (at + meta.stride.max(1)).min(meta.len);
                match self.owner(&buffer[at..end]) {
                    Some(core) if core != self.core => self.pass(core, &buffer[at..end], *meta),
                    _ => {
                        if kept != at {
                            buffer.copy_within(at..end, kept);
                        }
                        kept += end - at;
                    }
                }
                at = end;
            }
            meta.len = kept;
        }
    }

    /// The core that a datagram's destination connection id names. Clients choose the first ones of
    /// a connection by themselves; those belong to whoever got them.
    fn owner(&self, datagram: &[u8]) -> Option<usize> {
        const LONG_HEADER: u8 = 0x80;
        let id = if datagram.first()? & LONG_HEADER == 0 {
            datagram.get(1..1 + ID_BYTES)?
        } else {
            // Version, then the id behind its length (RFC 9000 section 17.2).
            let length = usize::from(*datagram.get(5)?);
            datagram.get(6..6 + length).filter(|id| id.len() == ID_BYTES)?
        };
        self.lanes.quic.core(id).filter(|core| *core < self.lanes.inboxes.len())
    }

    fn pass(&self, core: usize, datagram: &[u8], meta: RecvMeta) {
        let Some(inbox) = self.lanes.inboxes.get(core) else { return };
        {
            let mut datagrams = inbox.datagrams.lock().unwrap_or_else(PoisonError::into_inner);
            if datagrams.len() >= PASSED_MAX {
                self.lanes.quic.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            datagrams.push_back(Passed { bytes: datagram.into(), meta });
            inbox.waiting.store(datagrams.len(), Ordering::Release);
        }
        self.lanes.quic.passed.fetch_add(1, Ordering::Relaxed);
        if let Some(reader) = inbox.reader.get() {
            reader.wake_by_ref();
        }
    }
}

/// Makes connection ids that name a core.
pub(super) struct Ids {
    pub(super) lane: Lane,
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut nonce = [0; NONCE_BYTES];
        // Without randomness ids repeat, and the endpoint asks again for one that is in use.
        let _ = aws_lc_rs::rand::fill(&mut nonce);
        let core = u8::try_from(self.lane.core).unwrap_or(u8::MAX);
        ConnectionId::new(&self.lane.lanes.quic.id(nonce, core))
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), quinn_proto::InvalidCid> {
        self.lane.lanes.quic.core(id).map(|_| ()).ok_or(quinn_proto::InvalidCid)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    fn lanes(cores: usize) -> Arc<Lanes> {
        Lanes::new(Arc::new(Quic::new().unwrap()), cores)
    }

    fn short(lanes: &Lanes, core: u8, mark: u8) -> Vec<u8> {
        let mut datagram = vec![0x40];
        datagram.extend_from_slice(&lanes.quic.id([1, 2, 3, mark], core));
        datagram.push(mark);
        datagram
    }

    fn meta(len: usize, stride: usize) -> RecvMeta {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 4433));
        RecvMeta { addr, len, stride, ecn: None, dst_ip: None }
    }

    #[test]
    fn an_id_names_its_core_and_foreign_ids_name_none() {
        let (ours, others) = (lanes(4), lanes(4));
        for core in 0..4u8 {
            let mut ids = Ids { lane: ours.lane(usize::from(core)) };
            let id = ids.generate_cid();
            assert_eq!(ours.quic.core(&id), Some(usize::from(core)));
            assert!(ids.validate(&id).is_ok());
            assert_eq!(others.quic.core(&id), None);
        }
        let foreign = ConnectionId::new(&[7; ID_BYTES]);
        assert!(Ids { lane: ours.lane(0) }.validate(&foreign).is_err());
        assert_eq!(ours.quic.core(&[1, 2]), None);
    }

    #[test]
    fn datagrams_in_one_buffer_are_sorted_by_core() {
        let lanes = lanes(2);
        let all: Vec<_> =
            [(0, 1), (1, 2), (0, 3), (1, 4)].map(|(core, mark)| short(&lanes, core, mark)).concat();
        let stride = all.len() / 4;
        let mut buffer = all.clone();
        let mut metas = [meta(buffer.len(), stride)];
        let (first, second) = (lanes.lane(0), lanes.lane(1));
        first.sort(&mut [IoSliceMut::new(&mut buffer)], &mut metas, 1);
        assert_eq!(metas[0].len, 2 * stride);
        assert_eq!((buffer[stride - 1], buffer[2 * stride - 1]), (1, 3));

        let cx = Context::from_waker(Waker::noop());
        let (mut a, mut b, mut c) = ([0; 64], [0; 64], [0; 64]);
        let mut buffers = [&mut a, &mut b, &mut c].map(|room| IoSliceMut::new(&mut room[..]));
        let mut metas = [meta(0, 0); 3];
        assert_eq!(second.take(&cx, &mut buffers, &mut metas), 2);
        assert_eq!((metas[0].len, metas[1].len), (stride, stride));
        assert_eq!((a[stride - 1], b[stride - 1]), (2, 4));
        assert_eq!(first.take(&cx, &mut [], &mut []), 0);
        assert_eq!((lanes.quic.counts().passed, lanes.quic.counts().dropped), (2, 0));
    }

    #[test]
    fn long_headers_go_by_our_ids_and_stay_with_foreign_ones() {
        let lanes = lanes(2);
        let long = |id: &[u8]| {
            let mut datagram = vec![0xC0, 0, 0, 0, 1, u8::try_from(id.len()).unwrap()];
            datagram.extend_from_slice(id);
            datagram
        };
        let lane = lanes.lane(0);
        assert_eq!(lane.owner(&long(&lanes.quic.id([9; 4], 1))), Some(1));
        assert_eq!(lane.owner(&long(&lanes.quic.id([9; 4], 5))), None, "no such core");
        assert_eq!(lane.owner(&long(&[3; 8])), None);
        assert_eq!(lane.owner(&long(&[3; 20])), None);
        for cut in 0..8 {
            assert_eq!(lane.owner(&long(&[3; 8])[..cut]), None);
        }
    }

    #[test]
    fn what_waits_for_a_core_is_bounded() {
        let lanes = lanes(2);
        let datagram = short(&lanes, 1, 1);
        for _ in 0..PASSED_MAX + 3 {
            let mut buffer = datagram.clone();
            let mut metas = [meta(buffer.len(), buffer.len())];
            lanes.lane(0).sort(&mut [IoSliceMut::new(&mut buffer)], &mut metas, 1);
            assert_eq!(metas[0].len, 0);
        }
        let counts = lanes.quic.counts();
        assert_eq!((counts.passed, counts.dropped), (PASSED_MAX as u64, 3));
    }
}
