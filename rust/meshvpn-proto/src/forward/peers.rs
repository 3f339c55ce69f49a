//! What the forwarder knows of peers: a slot for each, and one trait to find the right one.
//!
//! A [`Slot`] stays where it is for as long as the peer exists. Its session and path are swapped
//! atomically, so a rekey or a new endpoint rebuilds nothing and stops no thread.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::DropReason;
use super::view::IpView;
use crate::session::transport::{SealedSession, Session};

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

    /// Counts traffic; called once a batch.
    pub(super) fn count(&self, sent: u64, received: u64) {
        if sent > 0 {
            self.sent_packets.fetch_add(sent, Ordering::Relaxed);
        }
        if received > 0 {
            self.received_packets.fetch_add(received, Ordering::Relaxed);
        }
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
}
