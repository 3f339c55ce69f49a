//! The virtio header that a TUN with offload puts before every packet (virtio 1.2, section 5.1.6).
//!
//! ```text
//! 0       1          2         4          6            8             10
//! | flags | gso_type | hdr_len | gso_size | csum_start | csum_offset |    all little-endian
//! ```
//!
//! With `NEEDS_CSUM` the transport checksum holds only the pseudo-header's sum, and whoever sends
//! the packet on completes it. With a `gso_type` the packet is a *super-packet*: up to 64 KB that
//! stand for many segments of `gso_size` payload bytes each.

use super::view::{IpView, TCP};

/// Bytes of the header.
pub const LEN: usize = 10;

/// The transport checksum must still be completed, from `csum_start` to the end.
pub const NEEDS_CSUM: u8 = 1;

const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// Set beside a TCP type when the super-packet carries ECN's CWR; says nothing about its kind.
const GSO_ECN: u8 = 0x80;

/// What the segments of a super-packet are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gso {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams over either (`UDP_SEGMENT`).
    Udp,
}

/// The header, parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// The transport checksum is only partial.
    pub needs_csum: bool,
    /// The packet is a super-packet of this kind.
    pub gso: Option<Gso>,
    /// Length of all headers. The kernel may set it too large on forwarded packets: do not trust it.
    pub hdr_len: u16,
    /// Payload bytes of each segment, but perhaps the last.
    pub gso_size: u16,
    /// Where the transport header starts.
    pub csum_start: u16,
    /// Where, from there, its checksum stands.
    pub csum_offset: u16,
}

impl Header {
    /// Reads the header. `None` when the kind of super-packet is one that was never asked for.
    pub fn parse(bytes: &[u8; LEN]) -> Option<Self> {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let gso = match bytes[1] & !GSO_ECN {
            0 => None,
            GSO_TCPV4 => Some(Gso::TcpV4),
            GSO_TCPV6 => Some(Gso::TcpV6),
            GSO_UDP_L4 => Some(Gso::Udp),
            _ => return None,
        };
        Some(Self {
            needs_csum: bytes[0] & NEEDS_CSUM != 0,
            gso,
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        })
    }

    /// The header under which a single TCP packet is a super-packet of one segment, which can be cut
    /// smaller. `None` for other packets, and for those whose checksum is complete: a fresh one could
    /// sign a corrupt packet as good.
    pub fn as_stream(&self, view: &IpView) -> Option<Self> {
        let is_tcp = view.protocol == TCP && usize::from(self.csum_start) == view.header_len;
        let gso = if view.source.is_ipv4() {
            Gso::TcpV4
        } else {
            Gso::TcpV6
        };
        (is_tcp && self.needs_csum && !view.is_fragment).then_some(Self {
            gso: Some(gso),
            gso_size: u16::MAX,
            ..*self
        })
    }

    /// Writes the header.
    pub fn write(&self, out: &mut [u8; LEN]) {
        out[0] = if self.needs_csum { NEEDS_CSUM } else { 0 };
        out[1] = match self.gso {
            None => 0,
            Some(Gso::TcpV4) => GSO_TCPV4,
            Some(Gso::TcpV6) => GSO_TCPV6,
            Some(Gso::Udp) => GSO_UDP_L4,
        };
        out[2..4].copy_from_slice(&self.hdr_len.to_le_bytes());
        out[4..6].copy_from_slice(&self.gso_size.to_le_bytes());
        out[6..8].copy_from_slice(&self.csum_start.to_le_bytes());
        out[8..10].copy_from_slice(&self.csum_offset.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ecn_bit_does_not_hide_the_kind() {
        let header = Header::parse(&[1, 0x81, 52, 0, 0x78, 5, 20, 0, 16, 0]).unwrap();
        assert_eq!(header.gso, Some(Gso::TcpV4));
        assert_eq!(
            (header.gso_size, header.csum_start, header.csum_offset),
            (1400, 20, 16)
        );
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!(Header::parse(&[0, 3, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn writing_then_reading_gives_the_same() {
        let header = Header {
            needs_csum: true,
            gso: Some(Gso::Udp),
            hdr_len: 48,
            gso_size: 1200,
            csum_start: 40,
            csum_offset: 6,
        };
        let mut bytes = [0; LEN];
        header.write(&mut bytes);
        assert_eq!(Header::parse(&bytes), Some(header));
    }
}
