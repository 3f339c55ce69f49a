//! The slots of all peers: a list that grows while others read it.
//!
//! It consists of shelves, the first of 64 slots and each other one as long as all before it together. They
//! are made when they are first needed and never move. So a reference to a slot stays good, adding a peer stops
//! no thread, and finding a slot is arithmetic.
//!
//! Beside each 64 slots lies a word of marks: which of them have noted activity. Whoever keeps the
//! timers reads one word for 64 peers, and for 100,000 peers of which none has anything to say that is
//! some 1,600 words.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::forward::Slot;

/// Slots on the first shelf, and to a word of marks.
const FIRST: usize = 64;
/// Enough for 2³² slots.
const SHELVES: usize = 27;

#[derive(Debug)]
struct Shelf {
    slots: Box<[Slot]>,
    marks: Box<[AtomicU64]>,
}

/// Slots by number.
#[derive(Debug)]
pub(crate) struct Slots {
    shelves: [OnceLock<Shelf>; SHELVES],
    /// Slots in use or used before.
    len: AtomicUsize,
    /// Some slot is marked.
    has_marks: AtomicBool,
    /// For numbers that nobody gave out.
    nobody: Slot,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            shelves: [const { OnceLock::new() }; SHELVES],
            len: AtomicUsize::new(0),
            has_marks: AtomicBool::new(false),
            nobody: Slot::default(),
        }
    }

    /// A slot; one that is nobody's for a number that was never given out.
    pub(crate) fn get(&self, slot: usize) -> &Slot {
        let (shelf, offset) = place(slot);
        let shelf = self.shelves.get(shelf).and_then(OnceLock::get);
        let slot = shelf.and_then(|shelf| shelf.slots.get(offset));
        slot.unwrap_or(&self.nobody)
    }

    /// Appends a slot. Only one thread may do this.
    pub(crate) fn push(&self) -> usize {
        let slot = self.len.load(Ordering::Relaxed);
        let (shelf, _) = place(slot);
        if let Some(place) = self.shelves.get(shelf) {
            place.get_or_init(|| {
                let len = FIRST << shelf.saturating_sub(1);
                Shelf {
                    slots: (0..len).map(|_| Slot::default()).collect(),
                    marks: (0..len / FIRST).map(|_| AtomicU64::new(0)).collect(),
                }
            });
        }
        self.len.store(slot + 1, Ordering::Release);
        slot
    }

    /// Marks that a slot has something to say.
    pub(crate) fn mark(&self, slot: usize) {
        let (shelf, offset) = place(slot);
        let shelf = self.shelves.get(shelf).and_then(OnceLock::get);
        if let Some(word) = shelf.and_then(|shelf| shelf.marks.get(offset / FIRST)) {
            word.fetch_or(1 << (offset % FIRST), Ordering::AcqRel);
            self.has_marks.store(true, Ordering::Release);
        }
    }

    /// Some slot was marked since marks were last taken.
    pub(crate) fn has_marks(&self) -> bool {
        self.has_marks.load(Ordering::Acquire)
    }

    /// Calls `visit` with every slot that was marked since the last call, in order.
    ///
    /// A slot that is marked again meanwhile is visited at the next call: the mark is taken before what
    /// the slot noted.
    pub(crate) fn take_marked(&self, mut visit: impl FnMut(usize)) {
        // First, so that what is marked meanwhile is told again; a swap, so that marks are read after it.
        self.has_marks.swap(false, Ordering::AcqRel);
        for (number, shelf) in self.shelves.iter().enumerate() {
            let Some(shelf) = shelf.get() else { break };
            let start = if number == 0 { 0 } else { shelf.slots.len() };
            for (index, word) in shelf.marks.iter().enumerate() {
                // Reading leaves the cache line shared; most words are zero.
                if word.load(Ordering::Acquire) == 0 {
                    continue;
                }
                let mut marks = word.swap(0, Ordering::AcqRel);
                while marks != 0 {
                    visit(start + index * FIRST + marks.trailing_zeros() as usize);
                    marks &= marks - 1;
                }
            }
        }
    }
}

/// Which shelf a slot is on, and where there. Shelf 0 has slots 0 to 63, shelf 1 has 64 to 127, shelf 2
/// has 128 to 255, and so on.
fn place(slot: usize) -> (usize, usize) {
    match (slot / FIRST).checked_ilog2() {
        None => (0, slot),
        Some(log) => (log as usize + 1, slot - (FIRST << log)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let slots = Slots::new();
        for number in 0..5000 {
            assert_eq!(slots.push(), number);
            slots.get(number).datagram_max.store(number + 1, Relaxed);
        }
        for number in 0..5000 {
            assert_eq!(slots.get(number).datagram_max.load(Relaxed), number + 1);
        }
        assert_eq!(slots.get(usize::MAX).datagram_max.load(Relaxed), 0);
    }

    #[test]
    fn marks_are_taken_once_and_in_order() {
        let slots = Slots::new();
        (0..3000).for_each(|slot| assert_eq!(slots.push(), slot));
        let marked = [0, 1, 63, 64, 127, 128, 1000, 2999];
        marked.iter().rev().for_each(|slot| slots.mark(*slot));
        slots.mark(1000);
        slots.mark(usize::MAX);
        let mut seen = Vec::new();
        slots.take_marked(|slot| seen.push(slot));
        assert_eq!(seen, marked);
        slots.take_marked(|slot| panic!("{slot} again"));
    }

    #[test]
    fn others_read_while_it_grows() {
        let slots = Slots::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..20_000).for_each(|slot| assert_eq!(slots.push(), slot)));
            for _ in 0..2 {
                scope.spawn(|| {
                    while slots.len.load(Ordering::Acquire) < 20_000 {
                        let last = slots.len.load(Ordering::Acquire).saturating_sub(1);
                        slots.get(last).sent_packets.fetch_add(1, Relaxed);
                        slots.mark(last);
                    }
                });
            }
        });
        assert_eq!(
            slots.nobody.sent_packets.load(Relaxed),
            0,
            "all had a place"
        );
    }
}
