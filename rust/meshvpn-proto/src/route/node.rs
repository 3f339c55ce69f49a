//! One step of a look-up: eight bits of the address.
//!
//! A node at depth *d* decides by octet *d* of an address. It holds
//!
//! * the prefixes that end within that octet ([`Own`]): `partial` has those of 0 to 7 of its bits, each at
//!   the place `1 << bits | bits' value` of a binary tree laid out in an array; `full` has those of all
//!   eight;
//! * under each value of the octet, what goes on: another node, or, while there are but a [`FEW`], the
//!   prefixes themselves, side by side, where comparing all of them costs less than one more step
//!   into memory.
//!
//! A child may lie several octets deeper, where the addresses below it part for the first time: a
//! look-up compares what it skipped with the child's key. So the number of nodes is far below the number
//! of prefixes, and the same prefixes give the same nodes in whatever order they came.
//!
//! Nodes are shared between versions of a table: a change copies the nodes on its way (at most 4 or
//! 16) when another version has them too, and otherwise changes them in place ([`Arc::make_mut`]).

use std::sync::Arc;

use super::sparse::Sparse;

/// Most prefixes that stand side by side. With 100,000 anywhere in the address space, the third step
/// of nearly every look-up ends here instead of going through two more nodes.
const FEW: usize = 8;

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
    /// More than [`FEW`] prefixes.
    Node(Arc<Node<K, T>>),
    /// The longest first.
    Few(Arc<[Leaf<K, T>]>),
}

#[derive(Debug, Clone)]
struct Leaf<K, T> {
    key: K,
    len: u8,
    value: T,
}

impl<K: Key, T> Leaf<K, T> {
    fn is(&self, key: K, len: u8) -> bool {
        (self.key, self.len) == (key, len)
    }

    #[inline]
    fn holds(&self, address: K) -> bool {
        address.common_bits(self.key) >= self.len
    }
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
                Some(Child::Few(leaves)) => {
                    let longest = leaves.iter().find(|leaf| leaf.holds(address));
                    return longest.map(|leaf| &leaf.value).or(best);
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

    fn len(&self) -> usize {
        self.partial.len() + self.full.len()
    }
}

impl<K: Key, T: Clone> Node<K, T> {
    /// Gives a prefix a value, and back the one it had. `key` has no bits behind the prefix.
    pub(super) fn insert(&mut self, key: K, len: u8, value: T) -> Option<T> {
        let octet = key.octet(self.depth);
        if home(len) == self.depth {
            let own = self.own.get_or_insert_with(|| Box::new(Own::EMPTY));
            return match len - 8 * self.depth {
                8 => own.full.insert(octet, value),
                bits => own.partial.insert(place(bits, octet), value),
            };
        }
        let leaf = Leaf { key, len, value };
        match self.children.get_mut(octet) {
            Some(child) => child.insert(leaf),
            None => {
                self.children.insert(octet, Child::Few(Arc::new([leaf])));
                None
            }
        }
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
            self.own.take_if(|own| own.len() == 0);
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
                if let Some(successor) = node.successor() {
                    *child = successor;
                }
                Some(removed)
            }
            Child::Few(leaves) => {
                let removed = leaves.iter().find(|leaf| leaf.is(key, len))?.value.clone();
                if leaves.len() == 1 {
                    self.children.remove(octet);
                } else {
                    let others = leaves.iter().filter(|leaf| !leaf.is(key, len));
                    *leaves = others.cloned().collect();
                }
                Some(removed)
            }
        }
    }

    /// What takes this node's place when it is none any more: a few prefixes, or its only child.
    fn successor(&self) -> Option<Child<K, T>> {
        let own = self.own.as_ref().map_or(0, |own| own.len());
        if own + self.children.len() > FEW {
            return None;
        }
        let mut leaves = Vec::with_capacity(FEW);
        for child in self.children.values() {
            match child {
                Child::Node(_) if own == 0 && self.children.len() == 1 => {
                    return Some(child.clone());
                }
                Child::Node(_) => return None,
                Child::Few(few) if leaves.len() + few.len() > FEW => return None,
                Child::Few(few) => leaves.extend(few.iter().cloned()),
            }
        }
        if leaves.len() + own > FEW {
            return None;
        }
        leaves.extend(self.own_leaves());
        leaves.sort_by_key(|leaf| core::cmp::Reverse(leaf.len));
        Some(Child::Few(leaves.into()))
    }

    /// The prefixes that end here, as they stand outside a node.
    fn own_leaves(&self) -> impl Iterator<Item = Leaf<K, T>> {
        let leaf = |bits: u8, octet: u8, value: &T| Leaf {
            key: self.key.start(self.depth, octet),
            len: 8 * self.depth + bits,
            value: value.clone(),
        };
        let partial = self.own.iter().flat_map(|own| own.partial.iter());
        let partial = partial.map(move |(place, value)| {
            let bits = place.ilog2() as u8;
            // The place's highest bit says only how many there are.
            leaf(bits, (u16::from(place) << (8 - bits)) as u8, value)
        });
        let full = self.own.iter().flat_map(|own| own.full.iter());
        partial.chain(full.map(move |(octet, value)| leaf(8, octet, value)))
    }

    /// Nodes from this one downwards.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let count = |child: &Child<K, T>| match child {
            Child::Node(node) => node.count(),
            Child::Few(_) => 0,
        };
        1 + self.children.values().map(count).sum::<usize>()
    }
}

impl<K: Key, T: Clone> Child<K, T> {
    /// Gives a prefix a value, and back the one it had.
    fn insert(&mut self, leaf: Leaf<K, T>) -> Option<T> {
        let node = match self {
            Self::Node(node) => {
                // Where the way to the prefix and the way to the node part, or the prefix ends.
                let depth = (leaf.key.common_bits(node.key) / 8).min(home(leaf.len));
                if depth >= node.depth {
                    return Arc::make_mut(node).insert(leaf.key, leaf.len, leaf.value);
                }
                let mut fork = Node::new(leaf.key, depth);
                let octet = node.key.octet(depth);
                fork.children.insert(octet, Self::Node(Arc::clone(node)));
                fork.insert(leaf.key, leaf.len, leaf.value);
                fork
            }
            Self::Few(leaves) => {
                let same = leaves.iter().position(|other| other.is(leaf.key, leaf.len));
                if let Some(at) = same {
                    let old = &mut Arc::make_mut(leaves)[at].value;
                    return Some(core::mem::replace(old, leaf.value));
                }
                let at = leaves.partition_point(|other| other.len >= leaf.len);
                let (longer, shorter) = leaves.split_at(at);
                let all = longer.iter().chain([&leaf]).chain(shorter).cloned();
                if leaves.len() < FEW {
                    *leaves = all.collect();
                    return None;
                }
                // Where the first of them ends, or goes another way than the rest.
                let fork =
                    |other: &Leaf<K, T>| (leaf.key.common_bits(other.key) / 8).min(home(other.len));
                let depth = all
                    .clone()
                    .map(|other| fork(&other))
                    .fold(home(leaf.len), u8::min);
                let mut node = Node::new(leaf.key, depth);
                for leaf in all {
                    node.insert(leaf.key, leaf.len, leaf.value);
                }
                node
            }
        };
        *self = Self::Node(Arc::new(node));
        None
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
