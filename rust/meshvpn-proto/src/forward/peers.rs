//! What the forwarder knows of peers: a slot for each, and one trait to find the right one.
//!
//! A [`Slot`] stays where it is for as long as the peer exists. Its session and path are swapped
//! atomically, so a rekey or a new endpoint rebuilds nothing and stops no thread.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::activity::Noted;
use super::view::IpView;
use super::{DropReason, PathCounts};
use crate::session::transport::{SealedSession, Session};

/// A prefix that no packet is ever delivered in (RFC 6666): there, peers on a relay have their numbers.
const DISCARD_ONLY: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0);

/// A way to a peer: the local socket, the address to send from, and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Which of the engine's sockets.
    pub socket: usize,
    /// The local address, where the socket has several.
    pub source: Option<IpAddr>,
    /// The peer's address and UDP port.
    pub destination: SocketAddr,
}

impl Path {
    /// The way to a peer over a relay: `place` is the relay connection's among the engine's sockets, and by
    /// `number` whoever owns that connection knows the peer.
    pub fn relayed(place: usize, number: u64) -> Self {
        let address = DISCARD_ONLY.to_bits() | u128::from(number);
        Self {
            socket: place,
            source: None,
            destination: SocketAddr::new(Ipv6Addr::from_bits(address).into(), 0),
        }
    }

    /// The peer's number, when this is a way over a relay.
    pub fn relayed_number(&self) -> Option<u64> {
        let IpAddr::V6(address) = self.destination.ip() else {
            return None;
        };
        let bits = address.to_bits();
        (bits >> 64 == DISCARD_ONLY.to_bits() >> 64).then_some(bits as u64)
    }
}

/// One peer, as the data plane sees it.
#[derive(Debug, Default)]
pub struct Slot {
    /// How to frame packets to it; none before the first handshake.
    pub session: ArcSwapOption<Session>,
    /// Where to send them; none before an endpoint is known.
    pub path: ArcSwapOption<Path>,
    /// Longest UDP payload that the path takes unfragmented, in bytes.
    pub datagram_max: AtomicUsize,
    /// Inner packets handed to it.
    pub sent_packets: AtomicU64,
    /// Inner packets and keepalives taken from it.
    pub received_packets: AtomicU64,
    /// Bytes of UDP payload sent to it.
    pub sent_bytes: AtomicU64,
    /// Bytes of UDP payload that came from it, authentic ones.
    pub received_bytes: AtomicU64,
    /// What passed, for the owner of its timers.
    pub noted: Noted,
    /// What came by which path, of a peer that does not roam.
    pub arrivals: PathCounts,
    /// The session comes and goes: packets wait for it instead of being dropped.
    pub parks: AtomicBool,
    /// An authentic packet from elsewhere moves the path there.
    pub roams: AtomicBool,
    /// The kernel does not segment towards the path: a run of datagrams goes out one by one.
    pub sends_singly: AtomicBool,
    /// How often what waited was given up.
    pub discards: AtomicU64,
}

impl Slot {
    /// A slot without a session, whose path takes datagrams of `datagram_max` bytes.
    pub fn new(path: Path, datagram_max: usize) -> Self {
        Self {
            path: ArcSwapOption::from_pointee(path),
            datagram_max: AtomicUsize::new(datagram_max),
            ..Self::default()
        }
    }

    /// Gives up what waits for a session: no handshake will come of it.
    pub fn discard_parked(&self) {
        self.discards.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what was sent; called once a batch.
    pub(super) fn count_sent(&self, packets: u64, bytes: u64) {
        self.sent_packets.fetch_add(packets, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts what was received; called once a batch.
    pub(super) fn count_received(&self, packets: u64, bytes: u64) {
        self.received_packets.fetch_add(packets, Ordering::Relaxed);
        self.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts IP packets that came by `path`; called once a batch.
    pub(super) fn count_arrived(&self, path: &Path, packets: u64) {
        // Where the source moves the path, nobody compares paths.
        if packets > 0 && !self.roams.load(Ordering::Relaxed) {
            self.arrivals.add(path, packets);
        }
    }

    /// Sends with `session` from now on; with none when there is none.
    pub fn send_with(&self, session: Option<&Arc<SealedSession>>) {
        let session = session.map(|session| Arc::new(Session::Sealed(Arc::clone(session))));
        self.session.store(session);
    }

    /// Sends to `path` from now on.
    pub fn set_path(&self, path: Path) {
        self.sends_singly.store(false, Ordering::Relaxed);
        self.path.store(Some(Arc::new(path)));
    }

    /// Follows a roaming peer to the path that its last packet came by; true when the peer has moved. The
    /// address that it sent to is the one that it hears from.
    pub(crate) fn follow(&self, path: Path) -> bool {
        if !self.roams.load(Ordering::Relaxed) {
            return false;
        }
        let before = self.path.load().as_deref().copied();
        if before == Some(path) {
            return false;
        }
        self.set_path(path);
        before.is_none_or(|before| before.destination != path.destination)
    }
}

/// Whose a datagram is.
#[derive(Debug, Clone)]
pub enum Claim {
    /// An IP packet as it is.
    Plain {
        /// The peer's slot.
        slot: usize,
    },
    /// A data message of this session.
    Sealed {
        /// The peer's slot.
        slot: usize,
        /// The session that the message names.
        session: Arc<SealedSession>,
    },
    /// Something for the driver: a handshake, a cookie, a STUN answer, a bare probe.
    Control,
}

/// The peers of one device, as one batch sees them. The forwarder asks once a packet, or once a
/// super-packet, and never waits for an answer.
pub trait Peers {
    /// Routes and judges a packet from the TUN.
    ///
    /// # Errors
    /// Why it goes nowhere.
    fn route(&self, view: &IpView, packet: &[u8]) -> Result<usize, DropReason>;

    /// The slot that [`Self::route`] or [`Self::claim`] named.
    fn slot(&self, slot: usize) -> &Slot;

    /// Says whose a datagram from the network is.
    ///
    /// # Errors
    /// Why it is nobody's.
    fn claim(&self, datagram: &[u8], source: SocketAddr) -> Result<Claim, DropReason>;

    /// Judges an authenticated packet from a peer: may it have this source, may it pass?
    ///
    /// # Errors
    /// Why it may not.
    fn admit(&self, slot: usize, view: &IpView, packet: &[u8]) -> Result<(), DropReason>;

    /// The slot has noted its first activity since that was last taken: called at the end of a batch, and
    /// then no more until somebody takes it. Where no timers depend on it, nothing need be done.
    fn mark_active(&self, _slot: usize) {}
}

/// The peers of one device as its threads share them: each batch takes a view for itself, and so what
/// is the same for all packets of a batch is looked up once.
pub trait SharedPeers: Send + Sync + 'static {
    /// What a batch sees.
    type Batch<'a>: Peers
    where
        Self: 'a;

    /// A view for one batch, not to be kept longer.
    fn batch(&self) -> Self::Batch<'_>;

    /// Some slot was [marked](Peers::mark_active), and nobody has taken that yet.
    fn has_activity(&self) -> bool {
        false
    }
}

impl<P: Peers> Peers for &P {
    fn route(&self, view: &IpView, packet: &[u8]) -> Result<usize, DropReason> {
        P::route(self, view, packet)
    }

    fn slot(&self, slot: usize) -> &Slot {
        P::slot(self, slot)
    }

    fn claim(&self, datagram: &[u8], source: SocketAddr) -> Result<Claim, DropReason> {
        P::claim(self, datagram, source)
    }

    fn admit(&self, slot: usize, view: &IpView, packet: &[u8]) -> Result<(), DropReason> {
        P::admit(self, slot, view, packet)
    }

    fn mark_active(&self, slot: usize) {
        P::mark_active(self, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_over_a_relay_is_told_from_every_other() {
        for number in [0, 7, u64::MAX] {
            let path = Path::relayed(3, number);
            assert_eq!((path.socket, path.relayed_number()), (3, Some(number)));
        }
        for address in ["192.0.2.1:5", "[100:0:0:1::]:0", "[2001:db8::7]:5"] {
            let path = Path {
                destination: address.parse().unwrap(),
                ..Path::relayed(3, 7)
            };
            assert_eq!(path.relayed_number(), None, "{address}");
        }
    }
}
