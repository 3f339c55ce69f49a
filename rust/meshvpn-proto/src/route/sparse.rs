//! An array of 256 places that has room for the taken ones alone.

/// A set of bytes that knows how many of its members are below one.
#[derive(Debug, Clone, Copy)]
struct ByteSet {
    words: [u64; 4],
    /// Members in the words before each word: one word has to be counted, not four.
    before: [u8; 4],
}

impl ByteSet {
    fn contains(&self, byte: u8) -> bool {
        self.words[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// How many members are less than `byte`.
    fn rank(&self, byte: u8) -> usize {
        let word = usize::from(byte >> 6);
        let below = self.words[word] & ((1 << (byte & 63)) - 1);
        usize::from(self.before[word]) + below.count_ones() as usize
    }

    fn flip(&mut self, byte: u8) {
        self.words[usize::from(byte >> 6)] ^= 1 << (byte & 63);
        let mut sum = 0;
        for (word, before) in self.words.iter().zip(&mut self.before) {
            *before = sum;
            // Up to 256 after the last word, which nobody asks for.
            sum = sum.wrapping_add(word.count_ones() as u8);
        }
    }
}

/// Values at some of the places 0 to 255, in the order of their places.
#[derive(Debug, Clone)]
pub(super) struct Sparse<V> {
    places: ByteSet,
    values: Vec<V>,
}

impl<V> Sparse<V> {
    pub(super) const fn new() -> Self {
        Self {
            places: ByteSet {
                words: [0; 4],
                before: [0; 4],
            },
            values: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn contains(&self, place: u8) -> bool {
        self.places.contains(place)
    }

    #[inline]
    pub(super) fn get(&self, place: u8) -> Option<&V> {
        if !self.places.contains(place) {
            return None;
        }
        self.values.get(self.places.rank(place))
    }

    pub(super) fn get_mut(&mut self, place: u8) -> Option<&mut V> {
        if !self.places.contains(place) {
            return None;
        }
        self.values.get_mut(self.places.rank(place))
    }

    /// Puts a value at a place and gives back what was there.
    pub(super) fn insert(&mut self, place: u8, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(place) {
            return Some(core::mem::replace(old, value));
        }
        self.values.insert(self.places.rank(place), value);
        self.places.flip(place);
        None
    }

    /// Takes away what is at a place.
    pub(super) fn remove(&mut self, place: u8) -> Option<V> {
        if !self.places.contains(place) {
            return None;
        }
        self.places.flip(place);
        Some(self.values.remove(self.places.rank(place)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter()
    }

    /// Places and values in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, &V)> {
        let places = (0..=255).filter(|place| self.places.contains(*place));
        places.zip(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<u8>(), any::<bool>(), any::<u16>()), 0..600)) {
            let mut sparse = Sparse::new();
            let mut model = BTreeMap::new();
            for (place, is_removed, value) in steps {
                if is_removed {
                    prop_assert_eq!(sparse.remove(place), model.remove(&place));
                } else {
                    prop_assert_eq!(sparse.insert(place, value), model.insert(place, value));
                }
                prop_assert_eq!(sparse.get(place), model.get(&place));
                prop_assert_eq!(sparse.len(), model.len());
            }
            let pairs: Vec<_> = sparse.iter().map(|(place, value)| (place, *value)).collect();
            prop_assert_eq!(pairs, model.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn a_full_array_has_every_place(removed: u8) {
            let mut sparse = Sparse::new();
            for place in 0..=255u8 {
                sparse.insert(place, place);
            }
            sparse.remove(removed);
            for place in (0..=255).filter(|place| *place != removed) {
                prop_assert_eq!(sparse.get(place), Some(&place));
            }
        }
    }
}
