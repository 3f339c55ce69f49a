//! The headers that a UDP datagram travels under (RFC 768, RFC 791, RFC 8200).
//!
//! ```text
//! +-----------+---------------------------------------------+----------------+
//! | IP header | source port | destination port | length | sum |    payload     |
//! |  20 / 40  |      2      |        2         |   2    |  2  |  up to 65,507  |
//! +-----------+---------------------------------------------+----------------+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::{Ipv4Header, Ipv6Header};

use super::checksum;
use super::ip::Protocol;
use super::ip::write::{write_ipv4, write_ipv6};

/// Bytes of a UDP header.
const HEADER_LENGTH: usize = 8;
/// Offset of the checksum in it.
const CHECKSUM_AT: usize = 6;
/// What is left for data in an IPv4 packet of the greatest length, and so taken over IPv6 too.
const MAX_PAYLOAD: usize = 65_507;

/// Appends the IP packet that carries `payload` from one endpoint to the other to `out`.
///
/// The IP version is the destination's; a source of the other one is written as unspecified. Beside addresses
/// and lengths the header has what RFC 6864 wants of packets that are never fragmented, and a hop limit
/// of 64. Of a payload beyond the 65,507 bytes that UDP carries, the rest is left out.
pub fn udp_packet(source: SocketAddr, destination: SocketAddr, payload: &[u8], out: &mut Vec<u8>) {
    let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
    let length = HEADER_LENGTH + payload.len();
    let header = out.len();
    let from: IpAddr = match (source.ip(), destination.ip()) {
        (from, IpAddr::V4(to)) => {
            let from = v4(from);
            out.resize(header + Ipv4Header::MIN_LEN, 0);
            write_ipv4(&mut out[header..], 0, Protocol::UDP, length, from, to);
            from.into()
        }
        (from, IpAddr::V6(to)) => {
            let from = v6(from);
            out.resize(header + Ipv6Header::LEN, 0);
            write_ipv6(&mut out[header..], 0, Protocol::UDP, length, from, to);
            from.into()
        }
    };
    let message = out.len();
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(payload);
    let start = checksum::pseudo_header(from, destination.ip(), Protocol::UDP.0, length);
    let sum = match checksum::compute(start, &out[message..], CHECKSUM_AT) {
        // Zero would say that there is none.
        0 => 0xffff,
        sum => sum,
    };
    out[message + CHECKSUM_AT..][..2].copy_from_slice(&sum.to_be_bytes());
}

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(address) => address,
        IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::{Checksum, Transport, dissect};

    const V4: [&str; 2] = ["192.0.2.1:51820", "198.51.100.2:7"];
    const V6: [&str; 2] = ["[2001:db8::1]:51820", "[2001:db8::2]:7"];

    fn written([source, destination]: [&str; 2], payload: &[u8]) -> Vec<u8> {
        let mut out = vec![9; 3];
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        udp_packet(source, destination, payload, &mut out);
        assert_eq!(out[..3], [9; 3], "what was there stays");
        out.split_off(3)
    }

    #[test]
    fn the_longest_payload_fits_and_no_longer_one() {
        for ends in [V4, V6] {
            let packet = written(ends, &[7; 70_000]);
            let read = dissect(&packet);
            assert_eq!(read.defects, []);
            assert_eq!(read.checksum, Checksum::Correct);
            assert_eq!(packet[read.payload], [7; MAX_PAYLOAD]);
        }
    }

    #[test]
    fn a_source_of_the_other_version_is_unspecified() {
        let read = dissect(&written([V6[0], V4[1]], b"x"));
        assert_eq!(read.ip.unwrap().source, Ipv4Addr::UNSPECIFIED);
        let read = dissect(&written([V4[0], V6[1]], b"x"));
        assert_eq!(read.ip.unwrap().source, Ipv6Addr::UNSPECIFIED);
    }

    /// This one sums up to 0xffff, whose complement must not be written.
    #[test]
    fn a_checksum_of_zero_is_written_as_ones() {
        let packet = written(["0.0.0.0:0", "0.0.0.0:0"], &[0xff, 0xff - 17 - 10 - 10]);
        assert_eq!(packet[26..28], [0xff, 0xff]);
        assert_eq!(dissect(&packet).checksum, Checksum::Correct);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(is_v4: bool, payload: Vec<u8>) {
            let ends = if is_v4 { V4 } else { V6 };
            let packet = written(ends, &payload);
            let read = dissect(&packet);
            prop_assert_eq!(&read.defects, &[]);
            prop_assert_eq!(read.checksum, Checksum::Correct);
            let ip = read.ip.unwrap();
            let Transport::Udp(udp) = read.transport else { panic!("no UDP") };
            let seen = [(ip.source, udp.source_port), (ip.destination, udp.destination_port)];
            prop_assert_eq!(seen.map(|end| SocketAddr::from(end).to_string()), ends);
            prop_assert_eq!(&packet[read.payload], &payload[..]);
        }
    }
}
