//! Frames that wait for a session.
//!
//! The first packet to a peer arrives before the handshake that it sets off is done. It waits here, and
//! goes out when the handshake ends; or is dropped when that fails, as whoever decides it says by
//! [`Slot::discard_parked`](super::Slot::discard_parked).

use core::sync::atomic::Ordering;
use std::collections::{BTreeMap, VecDeque};

use super::Peers;

/// Frames that wait for one peer, at most; the oldest makes room for the newest, which is worth more
/// (whitepaper, section 6.4, leaves the number open; Linux has the same).
pub const MAX_PARKED: usize = 128;
/// Bytes that wait for all peers together, at most: a subnet may be scanned through the tunnel.
const MAX_BYTES: usize = 16 << 20;

/// Waiting frames by slot, as the sending thread owns them.
#[derive(Default)]
pub(super) struct Parked {
    by_slot: BTreeMap<usize, Queue>,
    /// Of both those that wait and those that were released.
    bytes: usize,
    /// What need not wait any more.
    released: VecDeque<Box<[u8]>>,
}

struct Queue {
    frames: VecDeque<Box<[u8]>>,
    /// The slot's count of discards when the first came.
    epoch: u64,
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// It is the first to wait for this peer.
    pub(super) is_first: bool,
    /// Frames dropped: older ones, or this one.
    pub(super) dropped: u64,
}

impl Parked {
    /// Keeps a frame for `slot`, whose count of discards is `epoch`.
    pub(super) fn park(&mut self, slot: usize, epoch: u64, frame: &[u8]) -> Outcome {
        let mut dropped = 0;
        if self
            .by_slot
            .get(&slot)
            .is_some_and(|queue| queue.epoch != epoch)
        {
            dropped += self.discard(slot);
        }
        let queue = self.by_slot.entry(slot).or_insert_with(|| Queue {
            frames: VecDeque::new(),
            epoch,
        });
        let is_first = queue.frames.is_empty();
        while let Some(oldest) = queue.frames.front()
            && (queue.frames.len() == MAX_PARKED || self.bytes + frame.len() > MAX_BYTES)
        {
            self.bytes -= oldest.len();
            queue.frames.pop_front();
            dropped += 1;
        }
        if self.bytes + frame.len() > MAX_BYTES {
            // Others wait with so much that there is no room. The peer is called even so: what the sender
            // repeats may find the session.
            dropped += 1;
        } else {
            self.bytes += frame.len();
            queue.frames.push_back(frame.into());
        }
        if queue.frames.is_empty() {
            self.by_slot.remove(&slot);
        }
        Outcome { is_first, dropped }
    }

    /// Looks whose session has come, and releases their frames. Returns how many are dropped because
    /// they were given up.
    pub(super) fn release(&mut self, peers: &impl Peers) -> u64 {
        let mut given_up = 0;
        let mut freed = 0;
        let released = &mut self.released;
        self.by_slot.retain(|slot, queue| {
            let state = peers.slot(*slot);
            if queue.epoch != state.discards.load(Ordering::Relaxed) {
                given_up += queue.frames.len() as u64;
                freed += queue.bytes();
                return false;
            }
            if state.session.load().is_none() {
                return true;
            }
            released.append(&mut queue.frames);
            false
        });
        self.bytes -= freed;
        given_up
    }

    /// The next frame that was released.
    pub(super) fn next(&mut self) -> Option<Box<[u8]>> {
        let frame = self.released.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    fn discard(&mut self, slot: usize) -> u64 {
        let Some(queue) = self.by_slot.remove(&slot) else {
            return 0;
        };
        self.bytes -= queue.bytes();
        queue.frames.len() as u64
    }
}

impl Queue {
    fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.len()).sum()
    }
}
