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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Claim, DropReason, IpView, Slot};
    use crate::session::transport::Session;
    use core::net::SocketAddr;
    use std::sync::Arc;

    struct Several([Slot; 3]);

    impl Several {
        fn new() -> Self {
            Self(Default::default())
        }

        fn connect(&self, slot: usize) {
            self.0[slot].session.store(Some(Arc::new(Session::Plain)));
        }
    }

    impl Peers for Several {
        fn route(&self, _view: &IpView, _packet: &[u8]) -> Result<usize, DropReason> {
            Err(DropReason::NoRoute)
        }

        fn slot(&self, slot: usize) -> &Slot {
            &self.0[slot]
        }

        fn claim(&self, _datagram: &[u8], _source: SocketAddr) -> Result<Claim, DropReason> {
            Err(DropReason::UnknownType)
        }

        fn admit(&self, _slot: usize, _view: &IpView, _packet: &[u8]) -> Result<(), DropReason> {
            Ok(())
        }
    }

    fn released(parked: &mut Parked) -> Vec<u8> {
        core::iter::from_fn(|| parked.next())
            .map(|frame| frame[0])
            .collect()
    }

    #[test]
    fn frames_wait_for_their_own_session() {
        let (mut parked, peers) = (Parked::default(), Several::new());
        for (slot, frame) in [(0, 1), (1, 2), (0, 3)] {
            let outcome = parked.park(slot, 0, &[frame]);
            assert_eq!((outcome.is_first, outcome.dropped), (frame < 3, 0));
        }
        assert_eq!(parked.release(&peers), 0);
        assert!(!parked.has_released());
        peers.connect(0);
        assert_eq!(parked.release(&peers), 0);
        assert_eq!(released(&mut parked), [1, 3]);
        peers.connect(1);
        parked.release(&peers);
        assert_eq!(released(&mut parked), [2]);
        assert_eq!(parked.bytes, 0);
    }

    #[test]
    fn what_was_given_up_does_not_come_back() {
        let (mut parked, peers) = (Parked::default(), Several::new());
        parked.park(0, 0, &[1]);
        parked.park(1, 0, &[2]);
        peers.0[0].discard_parked();
        peers.0[1].discard_parked();
        let outcome = parked.park(0, 1, &[3]);
        assert_eq!((outcome.is_first, outcome.dropped), (true, 1));
        peers.connect(0);
        peers.connect(1);
        assert_eq!(parked.release(&peers), 1);
        assert_eq!(released(&mut parked), [3]);
        assert_eq!(parked.bytes, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut parked, peers) = (Parked::default(), Several::new());
        let long = vec![0; 1 << 16];
        let dropped: u64 = (0..200).map(|_| parked.park(0, 0, &long).dropped).sum();
        assert_eq!(dropped, 200 - MAX_PARKED as u64);
        let dropped: u64 = (0..200).map(|_| parked.park(1, 0, &long).dropped).sum();
        assert_eq!(dropped, 200 - MAX_PARKED as u64);
        assert_eq!(parked.bytes, MAX_BYTES);
        let outcome = parked.park(2, 0, &[7]);
        assert!(
            outcome.is_first && outcome.dropped == 1,
            "no room, but called"
        );
        assert_eq!(parked.by_slot.len(), 2);
        peers.connect(0);
        parked.release(&peers);
        assert_eq!(released(&mut parked).len(), MAX_PARKED);
        assert_eq!(parked.park(2, 0, &[7]).dropped, 0);
    }
}
