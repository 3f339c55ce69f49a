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
    /// IP packets that came that way one after the other.
    run: u64,
}

/// IP packets that came one way, before others came another way.
struct Run {
    slot: usize,
    path: Path,
    packets: u64,
}

/// What all peers sent, in the order of their first packets.
pub(super) struct Received {
    peers: Vec<FromPeer>,
    /// Of peers whose path changed within the batch.
    runs: Vec<Run>,
}

impl Received {
    pub(super) fn new() -> Self {
        Self {
            peers: Vec::with_capacity(8),
            runs: Vec::new(),
        }
    }

    /// Counts an authentic packet, which is data if it is an IP packet.
    pub(super) fn count(&mut self, slot: usize, bytes: usize, has_data: bool, path: Path) {
        match self.peers.iter_mut().rfind(|known| known.slot == slot) {
            Some(peer) => {
                peer.packets += 1;
                peer.bytes += bytes as u64;
                peer.has_data |= has_data;
                if peer.path != path {
                    self.runs.push(Run {
                        slot,
                        path: core::mem::replace(&mut peer.path, path),
                        packets: core::mem::take(&mut peer.run),
                    });
                }
                peer.run += u64::from(has_data);
            }
            None => self.peers.push(FromPeer {
                slot,
                packets: 1,
                bytes: bytes as u64,
                has_data,
                path,
                run: u64::from(has_data),
            }),
        }
    }

    /// Notes it all in the peers' slots, follows those that roam, and forgets it.
    pub(super) fn note(&mut self, peers: &impl Peers) {
        for run in self.runs.drain(..) {
            peers.slot(run.slot).count_arrived(&run.path, run.packets);
        }
        for peer in self.peers.drain(..) {
            let slot = peers.slot(peer.slot);
            slot.count_arrived(&peer.path, peer.run);
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
