//! The IP headers of packets that are made here, and which addresses stand for one host.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;

use super::Protocol;
use crate::packet::checksum;

/// The default that IANA recommends for IPv4, and what systems use for IPv6.
const HOP_LIMIT: u8 = 64;

/// Fills `header` (20 bytes) for a message of `length` bytes, at most 65,515.
///
/// It says "don't fragment" and has no identification, as RFC 6864 has it for datagrams that are
/// never fragmented.
pub(in crate::packet) fn write_ipv4(
    header: &mut [u8],
    type_of_service: u8,
    protocol: Protocol,
    length: usize,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) {
    let [high, low] = ((header.len() + length) as u16).to_be_bytes();
    header[..12].copy_from_slice(&[
        0x45,
        type_of_service,
        high,
        low,
        0,
        0,
        0x40,
        0,
        HOP_LIMIT,
        protocol.0,
        0,
        0,
    ]);
    header[12..16].copy_from_slice(&source.octets());
    header[16..].copy_from_slice(&destination.octets());
    let sum = checksum::compute(Sum16BitWords::new(), header, 10);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Fills `header` (40 bytes) for a message of `length` bytes, at most 65,535.
pub(in crate::packet) fn write_ipv6(
    header: &mut [u8],
    traffic_class: u8,
    protocol: Protocol,
    length: usize,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) {
    let [high, low] = (length as u16).to_be_bytes();
    let (class_high, class_low) = (traffic_class >> 4, traffic_class << 4);
    header[..8].copy_from_slice(&[
        0x60 | class_high,
        class_low,
        0,
        0,
        high,
        low,
        protocol.0,
        HOP_LIMIT,
    ]);
    header[8..24].copy_from_slice(&source.octets());
    header[24..].copy_from_slice(&destination.octets());
}

/// RFC 1122, 3.2.2: a source that "defines a single host".
pub(in crate::packet) fn is_one_host(source: Ipv4Addr) -> bool {
    !(is_many_hosts(source) || source.is_loopback() || source.octets()[0] == 0)
}

/// Multicast, broadcast and the reserved class E.
pub(in crate::packet) fn is_many_hosts(address: Ipv4Addr) -> bool {
    address.octets()[0] >= 224
}
