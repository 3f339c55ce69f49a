//! Peers by number: a [`Path`](crate::forward::Path) through a relay has room for a number and not for a key.
//!
//! Numbers are given in order and never again to another key, so that a path that somebody still holds can
//! lead nowhere else. Whoever owns relay connections keeps one table for all of them.

use std::collections::BTreeMap;

use crate::keys::PublicKey;

/// Which number stands for which key.
#[derive(Debug, Clone, Default)]
pub struct PeerNumbers {
    by_key: BTreeMap<PublicKey, u64>,
    keys: Vec<PublicKey>,
}

impl PeerNumbers {
    /// No peers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of `peer`, a new one if it has none.
    pub fn assign(&mut self, peer: PublicKey) -> u64 {
        let next = self.keys.len() as u64;
        let number = *self.by_key.entry(peer).or_insert(next);
        if number == next {
            self.keys.push(peer);
        }
        number
    }

    /// The number of `peer`, if it has one.
    pub fn number(&self, peer: &PublicKey) -> Option<u64> {
        self.by_key.get(peer).copied()
    }

    /// Whose number it is.
    pub fn key(&self, number: u64) -> Option<PublicKey> {
        self.keys.get(usize::try_from(number).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_for_one_key_for_ever() {
        let [one, two, three] = [1, 2, 3].map(|byte| PublicKey::new([byte; 32]));
        let mut numbers = PeerNumbers::new();
        assert_eq!([one, two, one].map(|key| numbers.assign(key)), [0, 1, 0]);
        assert_eq!(numbers.number(&two), Some(1));
        assert_eq!(numbers.number(&three), None);
        assert_eq!(
            [0, 1, 2].map(|n| numbers.key(n)),
            [Some(one), Some(two), None]
        );
    }
}
