//! The peers of a point-to-point tunnel: exactly one.

use core::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::forward::{Claim, DropReason, IpView, Path, Peers, SharedPeers, Slot};
use crate::session::preshared::HELLO;
use crate::session::transport::{DataMessage, SealedSession, Session};

/// The only slot.
const PEER: usize = 0;

/// What the forwarder knows of the tunnel's other end. Everything routes to it.
#[derive(Debug)]
pub struct PointToPoint {
    slot: Slot,
    remote: SocketAddr,
    /// The session that data messages may name; none in a plain tunnel.
    session: ArcSwapOption<SealedSession>,
    is_plain: bool,
}

impl PointToPoint {
    /// A plain tunnel: whatever comes from the peer's address is the peer's.
    pub fn plain(path: Path, datagram_max: usize) -> Self {
        let peer = Self::new(path, datagram_max, true);
        peer.slot.session.store(Some(Arc::new(Session::Plain)));
        peer
    }

    /// A sealed tunnel, without a session yet.
    pub fn sealed(path: Path, datagram_max: usize) -> Self {
        Self::new(path, datagram_max, false)
    }

    fn new(path: Path, datagram_max: usize, is_plain: bool) -> Self {
        let slot = Slot::new(path, datagram_max);
        Self {
            slot,
            remote: path.destination,
            session: ArcSwapOption::empty(),
            is_plain,
        }
    }

    /// The peer's slot.
    pub fn peer(&self) -> &Slot {
        &self.slot
    }

    /// Receives with `session` from now on.
    pub fn receive_with(&self, session: Arc<SealedSession>) {
        self.session.store(Some(session));
    }

    /// Sends with `session` from now on, and receives with it too.
    pub fn install(&self, session: Arc<SealedSession>) {
        self.receive_with(Arc::clone(&session));
        self.slot
            .session
            .store(Some(Arc::new(Session::Sealed(session))));
    }
}

impl SharedPeers for PointToPoint {
    type Batch<'a> = &'a Self;

    fn batch(&self) -> Self::Batch<'_> {
        self
    }
}

impl Peers for PointToPoint {
    fn route(&self, _view: &IpView, _packet: &[u8]) -> Result<usize, DropReason> {
        Ok(PEER)
    }

    fn slot(&self, _slot: usize) -> &Slot {
        &self.slot
    }

    fn claim(&self, datagram: &[u8], source: SocketAddr) -> Result<Claim, DropReason> {
        if self.is_plain {
            let is_peer = source == self.remote;
            return if is_peer {
                Ok(Claim::Plain { slot: PEER })
            } else {
                Err(DropReason::ForeignSource)
            };
        }
        if let Some(message) = DataMessage::parse(datagram) {
            return self
                .session
                .load_full()
                .filter(|session| session.local_index == message.receiver)
                .map(|session| Claim::Sealed {
                    slot: PEER,
                    session,
                })
                .ok_or(DropReason::UnknownSession);
        }
        match datagram.first() {
            Some(&HELLO) => Ok(Claim::Control),
            _ => Err(DropReason::UnknownType),
        }
    }

    fn admit(&self, _slot: usize, _view: &IpView, _packet: &[u8]) -> Result<(), DropReason> {
        Ok(())
    }
}
