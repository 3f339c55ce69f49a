//! Receiver indices: from the number in a message to the session that it is for, in one step.
//!
//! The numbers are ours to choose, and random on the wire. So a number is drawn anew until its low bits
//! name a free place in the table: then each place has at most one entry, and looking up is one read and
//! one comparison, at any size. The table is never more than half full, so two draws do on average. A
//! table of twice the size keeps all entries apart that the smaller one kept apart.
//!
//! Any thread may look up; only one may change the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::session::transport::SealedSession;

const FIRST_LEN: usize = 256;
/// With 2³¹ entries, no number would be free after two draws on average.
const MAX_LEN: usize = 1 << 31;

/// What a number stands for.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    index: u32,
    /// The peer's slot.
    pub(crate) slot: usize,
    /// None while the handshake goes on.
    pub(crate) session: Option<Arc<SealedSession>>,
}

type Places = Box<[ArcSwapOption<Entry>]>;

/// Entries by number.
#[derive(Debug)]
pub(crate) struct Indices {
    places: ArcSwap<Places>,
    len: AtomicUsize,
}

impl Indices {
    pub(crate) fn new() -> Self {
        Self {
            places: ArcSwap::from_pointee(places(FIRST_LEN)),
            len: AtomicUsize::new(0),
        }
    }

    /// What `index` stands for.
    pub(crate) fn get(&self, index: u32) -> Option<Arc<Entry>> {
        let places = self.places.load();
        let entry = place(&places, index).load();
        let entry = entry.as_ref().filter(|entry| entry.index == index)?;
        Some(Arc::clone(entry))
    }

    /// Entries in the table.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Finds a number for a handshake with the peer in `slot`.
    pub(crate) fn reserve(&self, slot: usize, mut random: impl FnMut() -> u32) -> u32 {
        self.make_room();
        let places = self.places.load();
        let index = loop {
            let index = random();
            if place(&places, index).load().is_none() {
                break index;
            }
        };
        let session = None;
        let entry = Entry {
            index,
            slot,
            session,
        };
        place(&places, index).store(Some(Arc::new(entry)));
        self.len.fetch_add(1, Ordering::Relaxed);
        index
    }

    /// The handshake of this number has led to a session.
    pub(crate) fn set(&self, slot: usize, session: &Arc<SealedSession>) {
        let index = session.local_index;
        let entry = Entry {
            index,
            slot,
            session: Some(Arc::clone(session)),
        };
        let places = self.places.load();
        let is_reserved = |known: &Arc<Entry>| known.index == index;
        if place(&places, index)
            .load()
            .as_ref()
            .is_some_and(is_reserved)
        {
            place(&places, index).store(Some(Arc::new(entry)));
        }
    }

    /// The number stands for nothing any more.
    pub(crate) fn remove(&self, index: u32) {
        if self.get(index).is_some() {
            place(&self.places.load(), index).store(None);
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn make_room(&self) {
        let before = self.places.load();
        let len = before.len();
        if self.len() < len / 2 || len == MAX_LEN {
            return;
        }
        let doubled = places(len * 2);
        for entry in before.iter().filter_map(ArcSwapOption::load_full) {
            place(&doubled, entry.index).store(Some(entry));
        }
        self.places.store(Arc::new(doubled));
    }
}

fn places(len: usize) -> Places {
    (0..len).map(|_| ArcSwapOption::empty()).collect()
}

fn place(places: &Places, index: u32) -> &ArcSwapOption<Entry> {
    &places[index as usize & (places.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::aead::Key;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn session(index: u32) -> Arc<SealedSession> {
        let key = || Key::new([0; 32]);
        Arc::new(SealedSession::new(index, 0, key(), key()))
    }

    #[test]
    fn a_number_without_a_session_is_reserved_all_the_same() {
        let indices = Indices::new();
        let mut numbers = [5, 5 + FIRST_LEN as u32, 6].into_iter();
        assert_eq!(indices.reserve(1, || 5), 5);
        assert_eq!(
            indices.reserve(2, || numbers.next().unwrap()),
            6,
            "5 is taken"
        );
        assert!(indices.get(5).unwrap().session.is_none());
        indices.set(1, &session(5));
        indices.set(1, &session(7));
        assert!(indices.get(5).unwrap().session.is_some());
        assert!(indices.get(5 + FIRST_LEN as u32).is_none());
        assert!(indices.get(7).is_none(), "never reserved");
        indices.remove(5);
        indices.remove(5);
        assert!(indices.get(5).is_none());
        assert_eq!(indices.len(), 1);
    }

    #[test]
    fn others_look_up_while_it_grows() {
        let indices = Indices::new();
        let first = indices.reserve(7, || 123);
        std::thread::scope(|scope| {
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    while indices.len() < 5000 {
                        assert_eq!(indices.get(first).map(|entry| entry.slot), Some(7));
                    }
                })
            });
            let mut number = 0u32;
            for slot in 1..5000 {
                indices.reserve(slot, || {
                    number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    number.rotate_left(16)
                });
            }
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec(any::<(u32, bool)>(), 1..1500)) {
            let indices = Indices::new();
            let mut model = BTreeMap::new();
            for (slot, (number, is_removal)) in steps.into_iter().enumerate() {
                if is_removal {
                    let victim = model.keys().nth(number as usize % (model.len() + 1)).copied();
                    indices.remove(victim.unwrap_or(number));
                    model.remove(&victim.unwrap_or(number));
                } else {
                    let mut next = number;
                    let index = indices.reserve(slot, || { next = next.wrapping_add(1); next });
                    prop_assert_eq!(model.insert(index, slot), None);
                }
                prop_assert_eq!(indices.len(), model.len());
            }
            for (index, slot) in model {
                prop_assert_eq!(indices.get(index).map(|entry| entry.slot), Some(slot));
            }
        }
    }
}
