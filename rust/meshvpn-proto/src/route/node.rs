//! One step of a look-up: eight bits of the address.
//!
//! A node at depth *d* decides by octet *d* of an address. It holds
//!
//! * the prefixes that end within that octet ([`Own`]): `partial` has those of 0 to 7 of its bits, each at
//!   the place `1 << bits | bits' value` of a binary tree laid out in an array; `full` has those of all
//!   eight;
//! * under each value of the octet, what goes on: another node, or, when only one prefix does, that prefix
//!   as a `Leaf`.
//!
//! A child may lie several octets deeper, where the addresses below it part for the first time: a
//! look-up compares what it skipped with the child's key. So a node has at least two things in it, the
//! number of nodes is below the number of prefixes, and the same prefixes give the same nodes in
//! whatever order they came.
//!
//! Nodes are shared between versions of a table: a change copies the nodes on its way (at most 4 or
//! 16) when another version has them too, and otherwise changes them in place ([`Arc::make_mut`]).

use std::sync::Arc;

use super::sparse::Sparse;

/// An address as a number, first bit highest.
pub(super) trait Key: Copy + Eq {
    /// Octet `at` of the address.
    fn octet(self, at: u8) -> u8;
    /// How many bits from the first on are the same in both.
    fn common_bits(self, other: Self) -> u8;
    /// The first `count` octets, then `next`, then zeros.
    fn start(self, count: u8, next: u8) -> Self;
}

macro_rules! impl_key {
    ($number:ty) => {
        impl Key for $number {
            #[inline]
            fn octet(self, at: u8) -> u8 {
                (self >> (Self::BITS - 8 - 8 * u32::from(at))) as u8
            }

            #[inline]
            fn common_bits(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            fn start(self, count: u8, next: u8) -> Self {
                let behind = Self::BITS - 8 * u32::from(count);
                let first = self & Self::MAX.checked_shl(behind).unwrap_or(0);
                first | Self::from(next) << (behind - 8)
            }
        }
    };
}

impl_key!(u32);
impl_key!(u128);

#[derive(Debug, Clone)]
pub(super) struct Node<K, T> {
    /// An address below this node; its first `depth` octets are those of all of them.
    key: K,
    depth: u8,
    /// Boxed, since most nodes have none: what a look-up reads is then two cache lines, not five.
    own: Option<Box<Own<T>>>,
    children: Sparse<Child<K, T>>,
}

#[derive(Debug, Clone)]
struct Own<T> {
    partial: Sparse<T>,
    full: Sparse<T>,
}

#[derive(Debug, Clone)]
enum Child<K, T> {
    Node(Arc<Node<K, T>>),
    Leaf { key: K, len: u8, value: T },
}

impl<K: Key, T> Node<K, T> {
    pub(super) fn new(key: K, depth: u8) -> Self {
        Self {
            key,
            depth,
            own: None,
            children: Sparse::new(),
        }
    }

    /// The value of the longest prefix that holds `address`.
    pub(super) fn lookup(&self, address: K) -> Option<&T> {
        let mut node = self;
        let mut best = None;
        loop {
            let octet = address.octet(node.depth);
            if let Some(own) = &node.own {
                best = own.longest(octet).or(best);
            }
            match node.children.get(octet) {
                Some(Child::Node(child)) if address.common_bits(child.key) >= 8 * child.depth => {
                    node = child;
                }
                Some(Child::Leaf { key, len, value }) if address.common_bits(*key) >= *len => {
                    return Some(value);
                }
                _ => return best,
            }
        }
    }
}

impl<T> Own<T> {
    const EMPTY: Self = Self {
        partial: Sparse::new(),
        full: Sparse::new(),
    };

    /// The value of the longest of these prefixes that holds addresses with `octet`.
    #[inline]
    fn longest(&self, octet: u8) -> Option<&T> {
        if let Some(value) = self.full.get(octet) {
            return Some(value);
        }
        if self.partial.is_empty() {
            return None;
        }
        let place = (0..8)
            .rev()
            .map(|bits| place(bits, octet))
            .find(|place| self.partial.contains(*place))?;
        self.partial.get(place)
    }

    fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.full.is_empty()
    }
}

impl<K: Key, T: Clone> Node<K, T> {
    /// Gives a prefix a value, and back the one it had. `key` has no bits behind the prefix.
    pub(super) fn insert(&mut self, key: K, len: u8, value: T) -> Option<T> {
        let home = home(len);
        let octet = key.octet(self.depth);
        if home == self.depth {
            let own = self.own.get_or_insert_with(|| Box::new(Own::EMPTY));
            return match len - 8 * self.depth {
                8 => own.full.insert(octet, value),
                bits => own.partial.insert(place(bits, octet), value),
            };
        }
        let Some(child) = self.children.get_mut(octet) else {
            self.children.insert(octet, Child::Leaf { key, len, value });
            return None;
        };
        let (other, depth) = match child {
            Child::Leaf {
                key: other,
                len: other_len,
                value: old,
            } => {
                if (*other, *other_len) == (key, len) {
                    return Some(core::mem::replace(old, value));
                }
                (*other, self::home(*other_len))
            }
            Child::Node(node) => (node.key, node.depth),
        };
        // Where the two ways part, or one of them ends.
        let fork_depth = (key.common_bits(other) / 8).min(home).min(depth);
        if let Child::Node(node) = child
            && fork_depth == depth
        {
            return Arc::make_mut(node).insert(key, len, value);
        }
        let mut fork = Self::new(key, fork_depth);
        match child.clone() {
            Child::Leaf { key, len, value } => fork.insert(key, len, value),
            node @ Child::Node(_) => {
                fork.children.insert(other.octet(fork_depth), node);
                None
            }
        };
        fork.insert(key, len, value);
        *child = Child::Node(Arc::new(fork));
        None
    }

    /// Takes a prefix away. `key` has no bits behind the prefix.
    pub(super) fn remove(&mut self, key: K, len: u8) -> Option<T> {
        let octet = key.octet(self.depth);
        if home(len) == self.depth {
            let own = self.own.as_mut()?;
            let removed = match len - 8 * self.depth {
                8 => own.full.remove(octet),
                bits => own.partial.remove(place(bits, octet)),
            };
            self.own.take_if(|own| own.is_empty());
            return removed;
        }
        let child = self.children.get_mut(octet)?;
        match child {
            Child::Node(node) => {
                if home(len) < node.depth || key.common_bits(node.key) < 8 * node.depth {
                    return None;
                }
                let node = Arc::make_mut(node);
                let removed = node.remove(key, len)?;
                if let Some(only) = node.only() {
                    *child = only;
                }
                Some(removed)
            }
            Child::Leaf {
                key: other,
                len: other_len,
                ..
            } => {
                if (*other, *other_len) != (key, len) {
                    return None;
                }
                match self.children.remove(octet) {
                    Some(Child::Leaf { value, .. }) => Some(value),
                    _ => None,
                }
            }
        }
    }

    /// What takes this node's place when there is but one thing in it.
    fn only(&self) -> Option<Child<K, T>> {
        let Some(own) = &self.own else {
            return self.children.only().map(|(_, child)| child.clone());
        };
        match (own.partial.len(), own.full.len(), self.children.len()) {
            (1, 0, 0) => own.partial.only().map(|(place, value)| {
                let bits = place.ilog2() as u8;
                // The place's highest bit says only how many there are.
                self.leaf(bits, (u16::from(place) << (8 - bits)) as u8, value)
            }),
            (0, 1, 0) => own
                .full
                .only()
                .map(|(octet, value)| self.leaf(8, octet, value)),
            _ => None,
        }
    }

    fn leaf(&self, bits: u8, octet: u8, value: &T) -> Child<K, T> {
        Child::Leaf {
            key: self.key.start(self.depth, octet),
            len: 8 * self.depth + bits,
            value: value.clone(),
        }
    }

    /// Nodes from this one downwards.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let below = (0..=255).filter_map(|octet| self.children.get(octet));
        let count = |child: &Child<K, T>| match child {
            Child::Node(node) => node.count(),
            Child::Leaf { .. } => 0,
        };
        1 + below.map(count).sum::<usize>()
    }
}

/// Depth of the node that a prefix belongs in: that of its last bit.
fn home(len: u8) -> u8 {
    len.saturating_sub(1) / 8
}

/// Place of the first `bits` (0 to 7) bits of `octet` in a binary tree whose root is at 1.
#[inline]
fn place(bits: u8, octet: u8) -> u8 {
    (1 << bits) | (u16::from(octet) >> (8 - bits)) as u8
}
