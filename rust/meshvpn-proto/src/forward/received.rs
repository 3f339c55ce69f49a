//! What a batch has from each peer: noted at its end, once.

use super::peers::{Path, Peers};

/// What one peer sent.
struct FromPeer {
    slot: usize,
    packets: u64,
    /// Of UDP payload.
    bytes: u64,
    has_data: bool,
    /// How the last of it came, the other way round.
    path: Path,
}

/// What all peers sent, in the order of their first packets.
pub(super) struct Received(Vec<FromPeer>);

impl Received {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(8))
    }

    /// Counts an authentic packet.
    pub(super) fn count(&mut self, slot: usize, bytes: usize, has_data: bool, path: Path) {
        match self.0.iter_mut().rfind(|known| known.slot == slot) {
            Some(peer) => {
                peer.packets += 1;
                peer.bytes += bytes as u64;
                peer.has_data |= has_data;
                peer.path = path;
            }
            None => self.0.push(FromPeer {
                slot,
                packets: 1,
                bytes: bytes as u64,
                has_data,
                path,
            }),
        }
    }

    /// Notes it all in the peers' slots, follows those that roam, and forgets it.
    pub(super) fn note(&mut self, peers: &impl Peers) {
        for peer in self.0.drain(..) {
            let slot = peers.slot(peer.slot);
            slot.count_received(peer.packets, peer.bytes);
            let mut is_first = slot.noted.received(peer.has_data);
            if slot.follow(peer.path) {
                is_first |= slot.noted.moved();
            }
            if is_first {
                peers.mark_active(peer.slot);
            }
        }
    }
}
