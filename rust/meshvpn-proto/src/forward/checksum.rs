//! The Internet checksum (RFC 1071), as fast as safe code goes.
//!
//! Two passes over every payload cost as much as a system call, so this is the one place where the
//! forwarder cares about vector width: the kernels below are plain loops, compiled once for the
//! baseline and once for AVX2 (by `pulp`), and chosen at run time.
//!
//! Sums are kept unfolded in native byte order: the one's complement sum does not care about the
//! order as long as the folded result is stored the way the words were loaded (RFC 1071, 2(B)).

use std::sync::LazyLock;

/// An unfinished one's complement sum over native-endian 16-bit words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// The sum of `bytes`; an odd last byte counts as if a zero followed.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.len() < VECTOR_THRESHOLD {
            return Self(sum_words(bytes));
        }
        Self(ARCH.dispatch(|| sum_words(bytes)))
    }

    /// Copies `from` into `to` (same length) and sums it on the way: one pass instead of two.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn of_copy(from: &[u8], to: &mut [u8]) -> Self {
        assert_eq!(
            from.len(),
            to.len(),
            "source and destination differ in length"
        );
        if from.len() < VECTOR_THRESHOLD {
            return Self(copy_and_sum_words(from, to));
        }
        Self(ARCH.dispatch(|| copy_and_sum_words(from, to)))
    }

    /// The pseudo-header's contribution (RFC 793 and RFC 8200, section 8.1): both addresses as they
    /// stand in the IP header, the protocol number, and the length of the transport segment.
    pub fn pseudo_header(addresses: &[u8], protocol: u8, transport_len: usize) -> Self {
        let mut sum = sum_words(addresses);
        sum += u64::from(u16::from_ne_bytes([0, protocol]));
        let [a, b, c, d] = (transport_len as u32).to_be_bytes();
        sum += u64::from(u16::from_ne_bytes([a, b])) + u64::from(u16::from_ne_bytes([c, d]));
        Self(sum)
    }

    /// Both sums together. The right-hand bytes must start at an even offset.
    pub fn and(self, other: Self) -> Self {
        // Each side is below 2^48 for anything that fits in memory, so this cannot overflow.
        Self(self.0 + other.0)
    }

    /// Folded to sixteen bits, not complemented: what a partial checksum holds.
    pub fn partial(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (sum as u16).to_ne_bytes()
    }

    /// Folded and complemented: what goes into the checksum field.
    pub fn checksum(self) -> [u8; 2] {
        let [a, b] = self.partial();
        [!a, !b]
    }

    /// Whether a segment summed together with its own checksum field is intact.
    pub fn is_valid(self) -> bool {
        self.partial() == [0xff, 0xff]
    }
}

/// Below this many bytes the dispatch costs more than the wider registers bring.
const VECTOR_THRESHOLD: usize = 128;

static ARCH: LazyLock<pulp::Arch> = LazyLock::new(pulp::Arch::new);

#[inline(always)]
fn sum_words(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<4>();
    let sum: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)))
        .sum();
    sum + sum_tail(tail)
}

#[inline(always)]
fn copy_and_sum_words(from: &[u8], to: &mut [u8]) -> u64 {
    let (words, tail) = from.as_chunks::<4>();
    let (out, out_tail) = to.as_chunks_mut::<4>();
    let mut sum = 0;
    for (word, out) in words.iter().zip(out) {
        *out = *word;
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    out_tail.copy_from_slice(tail);
    sum + sum_tail(tail)
}

#[inline(always)]
fn sum_tail(tail: &[u8]) -> u64 {
    let mut padded = [0; 4];
    padded[..tail.len()].copy_from_slice(tail);
    u64::from(u32::from_ne_bytes(padded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 as written: big-endian words, end-around carry.
    fn reference(bytes: &[u8]) -> [u8; 2] {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let sum = Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.partial(), [0xdd, 0xf2]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            // A sum of zero has two representations; both verify, so compare modulo 0xffff.
            let (ours, theirs) = (Sum::of(&bytes).checksum(), reference(&bytes));
            let same = ours == theirs || (ours, theirs) == ([0, 0], [0xff, 0xff])
                || (ours, theirs) == ([0xff, 0xff], [0, 0]);
            prop_assert!(same, "{ours:?} != {theirs:?}");
        }

        #[test]
        fn copying_copies_and_sums(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let mut copy = vec![0; bytes.len()];
            prop_assert_eq!(Sum::of_copy(&bytes, &mut copy), Sum::of(&bytes));
            prop_assert_eq!(copy, bytes);
        }

        #[test]
        fn a_flipped_bit_is_seen(
            mut bytes in proptest::collection::vec(any::<u8>(), 4..1600), at: usize, bit in 0..8u8,
        ) {
            bytes[..2].fill(0);
            let sum = Sum::of(&bytes).checksum();
            bytes[..2].copy_from_slice(&sum);
            prop_assert!(Sum::of(&bytes).is_valid());
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(!Sum::of(&bytes).is_valid());
        }
    }
}
