//! Who owns which prefixes, from both sides.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::{Prefix, PrefixTable};

/// The allowed IPs of all peers: prefix to owner for packets, owner to prefixes for configuration.
///
/// A prefix has one owner: the last one that claimed it. No operation depends on how many prefixes other
/// owners have, beyond the depth of a tree.
#[derive(Debug)]
pub struct AllowedIps<T> {
    table: PrefixTable<T>,
    owned: BTreeMap<T, BTreeSet<Prefix>>,
}

impl<T: Clone + Ord> AllowedIps<T> {
    /// Nobody owns anything.
    pub fn new() -> Self {
        Self {
            table: PrefixTable::new(),
            owned: BTreeMap::new(),
        }
    }

    /// Gives a prefix to `owner`, and tells whose it was.
    pub fn insert(&mut self, prefix: Prefix, owner: T) -> Option<T> {
        let former = self.table.insert(prefix, owner.clone());
        if let Some(former) = former.as_ref().filter(|former| **former != owner) {
            self.disown(prefix, former);
        }
        self.owned.entry(owner).or_default().insert(prefix);
        former
    }

    /// Takes a prefix from `owner`; false when it is not theirs, and then nothing changes.
    pub fn remove(&mut self, prefix: Prefix, owner: &T) -> bool {
        let is_owner = self.disown(prefix, owner);
        if is_owner {
            self.table.remove(prefix);
        }
        is_owner
    }

    /// Takes everything from `owner`.
    pub fn remove_all(&mut self, owner: &T) {
        for prefix in self.owned.remove(owner).unwrap_or_default() {
            self.table.remove(prefix);
        }
    }

    /// The owner of the longest prefix that holds `address`.
    pub fn lookup(&self, address: IpAddr) -> Option<&T> {
        self.table.lookup(address)
    }

    /// What `owner` has: IPv4 first, then by address and length.
    pub fn owned_by(&self, owner: &T) -> impl Iterator<Item = Prefix> {
        self.owned.get(owner).into_iter().flatten().copied()
    }

    /// Everything, owner by owner.
    pub fn iter(&self) -> impl Iterator<Item = (&T, Prefix)> {
        let owned = self.owned.iter();
        owned.flat_map(|(owner, prefixes)| prefixes.iter().map(move |prefix| (owner, *prefix)))
    }

    /// How many prefixes have an owner.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The table as it is now, for those who forward. Costs the same for any size; see
    /// [`PrefixTable`].
    pub fn snapshot(&self) -> PrefixTable<T> {
        self.table.clone()
    }

    fn disown(&mut self, prefix: Prefix, owner: &T) -> bool {
        let Some(prefixes) = self.owned.get_mut(owner) else {
            return false;
        };
        let is_owner = prefixes.remove(&prefix);
        if prefixes.is_empty() {
            self.owned.remove(owner);
        }
        is_owner
    }
}

impl<T: Clone + Ord> Default for AllowedIps<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_belongs_to_the_last_that_claimed_it() {
        let mut allowed = AllowedIps::new();
        assert_eq!(allowed.insert(prefix("10.0.0.0/24"), "a"), None);
        assert_eq!(allowed.insert(prefix("10.0.0.0/24"), "b"), Some("a"));
        assert_eq!(allowed.insert(prefix("10.0.0.0/24"), "b"), Some("b"));
        assert_eq!(allowed.lookup([10, 0, 0, 9].into()), Some(&"b"));
        assert_eq!(allowed.owned_by(&"a").count(), 0);
        assert!(!allowed.remove(prefix("10.0.0.0/24"), &"a"));
        assert!(allowed.remove(prefix("10.0.0.0/24"), &"b"));
        assert!(allowed.is_empty());
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let mut allowed = AllowedIps::new();
        allowed.insert(prefix("10.0.0.0/8"), 1);
        let before = allowed.snapshot();
        allowed.insert(prefix("10.0.0.0/9"), 2);
        allowed.remove_all(&1);
        let found = |table: &PrefixTable<i32>, last| table.lookup([10, last, 0, 1].into()).copied();
        assert_eq!((found(&before, 0), found(&before, 200)), (Some(1), Some(1)));
        let after = allowed.snapshot();
        assert_eq!((found(&after, 0), found(&after, 200)), (Some(2), None));
    }

    #[test]
    fn prefixes_are_listed_in_order() {
        let mut allowed = AllowedIps::new();
        let sorted = [
            "0.0.0.0/0",
            "9.0.0.0/8",
            "10.0.0.0/8",
            "10.0.0.0/9",
            "::/0",
            "fd00::1/128",
        ];
        for text in sorted.iter().rev() {
            allowed.insert(prefix(text), 5);
        }
        let listed: Vec<_> = allowed
            .owned_by(&5)
            .map(|prefix| prefix.to_string())
            .collect();
        assert_eq!(listed, sorted);
    }

    proptest! {
        #[test]
        fn both_sides_agree(
            steps in prop::collection::vec((any::<u16>(), 12..20u8, 0..5u8, 0..8u8), 0..200),
        ) {
            let mut allowed = AllowedIps::new();
            let mut model = BTreeMap::new();
            for (high, len, owner, what) in steps {
                let prefix = Prefix::new((u32::from(high) << 16).to_be_bytes().into(), len).unwrap();
                match what {
                    0 => {
                        allowed.remove_all(&owner);
                        model.retain(|_, other| *other != owner);
                    }
                    1 => {
                        let is_owner = model.get(&prefix) == Some(&owner);
                        prop_assert_eq!(allowed.remove(prefix, &owner), is_owner);
                        if is_owner {
                            model.remove(&prefix);
                        }
                    }
                    _ => prop_assert_eq!(allowed.insert(prefix, owner), model.insert(prefix, owner)),
                }
            }
            prop_assert_eq!(allowed.len(), model.len());
            let mut listed: Vec<_> = allowed.iter().map(|(owner, prefix)| (prefix, *owner)).collect();
            listed.sort_unstable();
            prop_assert_eq!(listed, model.into_iter().collect::<Vec<_>>());
        }
    }
}
