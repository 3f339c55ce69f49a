//! The internet checksum (RFC 1071), with and without pseudo-header, and the verdict on one.

use std::net::IpAddr;

use etherparse::checksum::Sum16BitWords;

/// Verdict on a checksum found in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// It matches the bytes it covers.
    Correct,
    /// It does not match.
    Wrong {
        /// The value in the packet.
        found: u16,
        /// The value that would be right.
        expected: u16,
    },
    /// There is none: an IPv6 header, a zero in UDP over IPv4, a protocol without one.
    Absent,
    /// The bytes it covers are not all here (fragments, truncated packets) or the final
    /// destination that it covers is not known (source routes).
    Unverified,
}

impl Checksum {
    /// One word for tables: `correct`, `wrong`, `absent` or `unverified`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Wrong { .. } => "wrong",
            Self::Absent => "absent",
            Self::Unverified => "unverified",
        }
    }
}

/// Sum of the pseudo-header that TCP, UDP and ICMPv6 cover (RFC 9293, 3.1; RFC 8200, 8.1).
///
/// Mixed families cannot occur in one packet; they give a sum over both addresses as they are.
pub(super) fn pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    length: usize,
) -> Sum16BitWords {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut sum = Sum16BitWords::new();
    for address in [source, destination] {
        sum = match address {
            IpAddr::V4(address) => sum.add_4bytes(address.octets()),
            IpAddr::V6(address) => sum.add_16bytes(address.octets()),
        };
    }
    sum.add_4bytes(length).add_2bytes([0, protocol])
}

/// The checksum of `message` on top of `start`, where the two bytes at `field` count as zero.
pub(super) fn compute(start: Sum16BitWords, message: &[u8], field: usize) -> u16 {
    let (before, rest) = message.split_at(field.min(message.len()));
    let after = rest.get(2..).unwrap_or(&[]);
    start
        .add_slice(before)
        .add_slice(after)
        .ones_complement()
        .to_be()
}

/// Judges the checksum at offset `field` (even) of `message`.
pub(super) fn verify(start: Sum16BitWords, message: &[u8], field: usize) -> Checksum {
    // With the right value in place everything sums up to zero; comparing values instead would
    // reject the second representation of zero, 0xffff.
    if start.clone().add_slice(message).ones_complement() == 0 {
        return Checksum::Correct;
    }
    let Some(&[high, low]) = message.get(field..field + 2) else {
        return Checksum::Unverified;
    };
    Checksum::Wrong {
        found: u16::from_be_bytes([high, low]),
        expected: compute(start, message, field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of RFC 1071, section 3.
    #[test]
    fn rfc_1071_example() {
        let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(
            Sum16BitWords::new()
                .add_slice(&words)
                .ones_complement()
                .to_be(),
            !0xddf2
        );
    }

    #[test]
    fn a_flipped_bit_is_named_with_the_right_value() {
        let mut header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
            0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert_eq!(verify(Sum16BitWords::new(), &header, 10), Checksum::Correct);
        header[11] ^= 1;
        assert_eq!(
            verify(Sum16BitWords::new(), &header, 10),
            Checksum::Wrong {
                found: 0xb860,
                expected: 0xb861
            }
        );
    }

    #[test]
    fn both_zeros_are_correct() {
        // These words sum up to 0xffff, so that 0x0000 and 0xffff are both right in the field.
        for field in [[0, 0], [0xff, 0xff]] {
            let message = [0xff, 0xfe, field[0], field[1], 0x00, 0x01];
            assert_eq!(verify(Sum16BitWords::new(), &message, 2), Checksum::Correct);
        }
    }
}
