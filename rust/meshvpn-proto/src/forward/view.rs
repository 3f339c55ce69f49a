//! What the data plane must know of an IP packet, and not a field more.
//!
//! People get their packets from [`crate::packet`]; this view is read once a packet on the hot path.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::DropReason;

/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The outermost header of an IP packet, checked against the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpView {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The whole packet's length as its header says: never more than the bytes at hand.
    pub total_len: usize,
    /// Length of the IP header; in IPv6 without extension headers.
    pub header_len: usize,
    /// The protocol after that header (in IPv6 it may be an extension header's).
    pub protocol: u8,
    /// May not be fragmented: DF is set, or it is IPv6.
    pub dont_fragment: bool,
    /// A fragment, first or later (IPv4 only: in IPv6 the fragment header is the `protocol`).
    pub is_fragment: bool,
}

impl IpView {
    /// Reads the header. Bytes past the packet's own length (WireGuard's padding) are ignored.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] when it is not IP, or its lengths do not fit.
    pub fn parse(packet: &[u8]) -> Result<Self, DropReason> {
        match packet.first().map(|byte| byte >> 4) {
            Some(4) => Self::parse_v4(packet),
            Some(6) => Self::parse_v6(packet),
            _ => Err(DropReason::Malformed),
        }
    }

    fn parse_v4(packet: &[u8]) -> Result<Self, DropReason> {
        let header: &[u8; IPV4_HEADER] = packet.first_chunk().ok_or(DropReason::Malformed)?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_len < IPV4_HEADER || total_len < header_len || total_len > packet.len() {
            return Err(DropReason::Malformed);
        }
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        let address = |at: usize| {
            IpAddr::V4(Ipv4Addr::new(
                header[at],
                header[at + 1],
                header[at + 2],
                header[at + 3],
            ))
        };
        Ok(Self {
            source: address(12),
            destination: address(16),
            total_len,
            header_len,
            protocol: header[9],
            dont_fragment: fragment & 0x4000 != 0,
            is_fragment: fragment & 0x3fff != 0,
        })
    }

    fn parse_v6(packet: &[u8]) -> Result<Self, DropReason> {
        let header: &[u8; IPV6_HEADER] = packet.first_chunk().ok_or(DropReason::Malformed)?;
        let total_len = IPV6_HEADER + usize::from(u16::from_be_bytes([header[4], header[5]]));
        if total_len > packet.len() {
            return Err(DropReason::Malformed);
        }
        let address = |bytes: &[u8]| {
            let mut octets = [0; 16];
            octets.copy_from_slice(bytes);
            IpAddr::V6(Ipv6Addr::from(octets))
        };
        Ok(Self {
            source: address(&header[8..24]),
            destination: address(&header[24..40]),
            total_len,
            header_len: IPV6_HEADER,
            protocol: header[6],
            dont_fragment: true,
            is_fragment: false,
        })
    }
}

/// The addresses of an IP header as bytes, source then destination, for a pseudo-header.
pub(super) fn address_bytes(packet: &[u8]) -> &[u8] {
    if packet[0] >> 4 == 4 {
        &packet[12..20]
    } else {
        &packet[8..40]
    }
}

/// Writes `total_len` into an IP header and, in IPv4, the header's checksum.
pub(super) fn set_length(packet: &mut [u8], header_len: usize, total_len: usize) {
    if packet[0] >> 4 == 4 {
        packet[2..4].copy_from_slice(&(total_len as u16).to_be_bytes());
        packet[10..12].fill(0);
        let checksum = super::checksum::Sum::of(&packet[..header_len]).checksum();
        packet[10..12].copy_from_slice(&checksum);
    } else {
        packet[4..6].copy_from_slice(&((total_len - IPV6_HEADER) as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padding_after_the_packet_is_not_part_of_it() {
        let mut packet = vec![0; 48];
        packet[0] = 0x45;
        packet[3] = 28;
        packet[9] = UDP;
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        let view = IpView::parse(&packet).unwrap();
        assert_eq!(
            (view.total_len, view.header_len, view.protocol),
            (28, 20, UDP)
        );
        assert_eq!(view.destination, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
    }

    #[test]
    fn a_length_beyond_the_bytes_at_hand_is_malformed() {
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[5] = 1;
        assert_eq!(IpView::parse(&packet), Err(DropReason::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_reach_too_far(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            if let Ok(view) = IpView::parse(&bytes) {
                prop_assert!(view.total_len <= bytes.len());
                prop_assert!(view.header_len <= view.total_len);
            }
        }
    }
}
