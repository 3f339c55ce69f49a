//! Which value belongs to the longest prefix that holds an address.
//!
//! A trie of eight bits a step, whose nodes have room for their contents alone (`node.rs` has the
//! layout). A look-up goes through at most 4 nodes for IPv4 and 16 for IPv6, as a rule 2 or 3: what
//! all addresses have in common is skipped. How many prefixes there are makes no difference to that,
//! only to how much of the table lies in the processor's caches.
//!
//! Tables are *persistent*: a clone costs two reference counts and shares everything. Changing one of
//! two copies the nodes on the way to the change, some microseconds; changing one that nobody else has
//! copies nothing. So a thread that configures can keep a table, change it as it likes, and publish
//! a clone of it, which the forwarding threads read without a lock.
//!
//! The layout follows "tree bitmap" (Eatherton, Varghese, Dittia: *Tree Bitmap: Hardware/Software IP
//! Lookups with Incremental Updates*, 2004), with paths compressed.

use core::net::IpAddr;
use std::sync::Arc;

use super::Prefix;
use super::node::Node;

/// Prefixes of both IP versions with a value each. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PrefixTable<T> {
    v4: Arc<Node<u32, T>>,
    v6: Arc<Node<u128, T>>,
    len: usize,
}

impl<T> PrefixTable<T> {
    /// A table without prefixes.
    pub fn new() -> Self {
        Self {
            v4: Arc::new(Node::new(0, 0)),
            v6: Arc::new(Node::new(0, 0)),
            len: 0,
        }
    }

    /// The value of the longest prefix that holds `address`.
    ///
    /// An IPv4 address inside an IPv6 one (`::ffff:0:0/96`) is an IPv6 address.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<&T> {
        match address {
            IpAddr::V4(address) => self.v4.lookup(address.into()),
            IpAddr::V6(address) => self.v6.lookup(address.into()),
        }
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no prefix.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Clone> PrefixTable<T> {
    /// Gives a prefix a value, and back the one that it had.
    pub fn insert(&mut self, prefix: Prefix, value: T) -> Option<T> {
        let len = prefix.len();
        let old = match prefix.address() {
            IpAddr::V4(address) => Arc::make_mut(&mut self.v4).insert(address.into(), len, value),
            IpAddr::V6(address) => Arc::make_mut(&mut self.v6).insert(address.into(), len, value),
        };
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes a prefix away; longer and shorter ones stay.
    pub fn remove(&mut self, prefix: Prefix) -> Option<T> {
        let len = prefix.len();
        let old = match prefix.address() {
            IpAddr::V4(address) => Arc::make_mut(&mut self.v4).remove(address.into(), len),
            IpAddr::V6(address) => Arc::make_mut(&mut self.v6).remove(address.into(), len),
        };
        self.len -= usize::from(old.is_some());
        old
    }
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The slow way: ask every prefix.
    #[derive(Default, Clone)]
    struct Model(BTreeMap<Prefix, u16>);

    impl Model {
        fn lookup(&self, address: IpAddr) -> Option<&u16> {
            let holds = |(prefix, _): &(&Prefix, &u16)| prefix.contains(address);
            let longest = self
                .0
                .iter()
                .filter(holds)
                .max_by_key(|(prefix, _)| prefix.len());
            longest.map(|(_, value)| value)
        }
    }

    /// Few distinct bits, all over the address: prefixes that hold each other, and long shared starts.
    fn any_address() -> impl Strategy<Value = IpAddr> {
        let octet = || {
            prop_oneof![
                Just(0u8),
                Just(1),
                Just(127),
                Just(128),
                Just(255),
                any::<u8>()
            ]
        };
        let v4 = prop::array::uniform4(octet()).prop_map(|octets| Ipv4Addr::from(octets).into());
        let far = prop::array::uniform16(octet());
        let near = (0..3u8, octet(), octet()).prop_map(|(third, ninth, last)| {
            let mut octets = [0xfd; 16];
            (octets[3], octets[9], octets[15]) = (third, ninth, last);
            octets
        });
        let v6 = prop_oneof![far, near].prop_map(|octets| Ipv6Addr::from(octets).into());
        prop_oneof![v4, v6]
    }

    fn any_prefix() -> impl Strategy<Value = Prefix> {
        (any_address(), any::<u8>()).prop_map(|(address, len)| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            Prefix::new(address, len % (bits + 1)).unwrap()
        })
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(Prefix, u16),
        /// One of those that are there.
        Remove(prop::sample::Index),
        RemoveAny(Prefix),
        Lookup(IpAddr),
        /// One that is near what is there.
        LookupIn(prop::sample::Index),
        Keep,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (any_prefix(), any::<u16>()).prop_map(|(prefix, value)| Step::Insert(prefix, value)),
            3 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => any_prefix().prop_map(Step::RemoveAny),
            3 => any_address().prop_map(Step::Lookup),
            3 => any::<prop::sample::Index>().prop_map(Step::LookupIn),
            1 => Just(Step::Keep),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn it_finds_what_the_model_finds(steps in prop::collection::vec(any_step(), 1..400)) {
            let (mut table, mut model) = (PrefixTable::new(), Model::default());
            let mut kept = Vec::new();
            for step in steps {
                let chosen = |index: &prop::sample::Index| {
                    let count = model.0.len();
                    (count > 0).then(|| *model.0.keys().nth(index.index(count)).unwrap())
                };
                match step {
                    Step::Insert(prefix, value) => {
                        prop_assert_eq!(table.insert(prefix, value), model.0.insert(prefix, value));
                    }
                    Step::Remove(index) => if let Some(prefix) = chosen(&index) {
                        prop_assert_eq!(table.remove(prefix), model.0.remove(&prefix));
                    }
                    Step::RemoveAny(prefix) => {
                        prop_assert_eq!(table.remove(prefix), model.0.remove(&prefix));
                    }
                    Step::Lookup(address) => {
                        prop_assert_eq!(table.lookup(address), model.lookup(address));
                    }
                    Step::LookupIn(index) => if let Some(prefix) = chosen(&index) {
                        let address = prefix.address();
                        prop_assert_eq!(table.lookup(address), model.lookup(address));
                    }
                    Step::Keep => kept.push((table.clone(), model.clone())),
                }
                prop_assert_eq!(table.len(), model.0.len());
            }
            // Older versions have not noticed anything.
            for (table, model) in kept {
                for prefix in model.0.keys() {
                    let address = prefix.address();
                    prop_assert_eq!(table.lookup(address), model.lookup(address));
                }
            }
            // And what is taken away leaves nothing behind.
            let mut nodes = (table.v4.count(), table.v6.count());
            for prefix in model.0.keys() {
                prop_assert!(table.remove(*prefix).is_some());
                let now = (table.v4.count(), table.v6.count());
                prop_assert!(now.0 <= nodes.0 && now.1 <= nodes.1);
                nodes = now;
            }
            prop_assert_eq!((nodes, table.len()), ((1, 1), 0));
        }

        #[test]
        fn the_order_of_changes_leaves_no_trace(
            prefixes in prop::collection::btree_map(any_prefix(), any::<u16>(), 0..60),
            others in prop::collection::vec(any_prefix(), 0..20),
        ) {
            let mut forwards = PrefixTable::new();
            prefixes.iter().for_each(|(prefix, value)| { forwards.insert(*prefix, *value); });
            let mut backwards = PrefixTable::new();
            others.iter().for_each(|prefix| { backwards.insert(*prefix, 0); });
            prefixes.iter().rev().for_each(|(prefix, value)| { backwards.insert(*prefix, *value); });
            for prefix in others.iter().filter(|prefix| !prefixes.contains_key(prefix)) {
                backwards.remove(*prefix);
            }
            prop_assert_eq!(forwards.v4.count(), backwards.v4.count());
            prop_assert_eq!(forwards.v6.count(), backwards.v6.count());
            prop_assert!(forwards.v4.count() + forwards.v6.count() <= prefixes.len() + 2);
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let mut table = PrefixTable::new();
        for (value, prefix) in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.0/23",
            "10.1.2.3/32",
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(table.insert(prefix.parse().unwrap(), value), None);
        }
        for (address, value) in [
            ("192.0.2.1", Some(&0)),
            ("10.255.0.1", Some(&1)),
            ("10.1.255.1", Some(&2)),
            ("10.1.3.3", Some(&3)),
            ("10.1.2.3", Some(&4)),
            ("::ffff:10.1.2.3", None),
        ] {
            assert_eq!(table.lookup(address.parse().unwrap()), value, "{address}");
        }
    }
}
