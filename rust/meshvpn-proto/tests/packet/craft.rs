//! Packets for the tests: crafted by etherparse where it can, byte by byte where it cannot.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4Header, PacketBuilder, PacketBuilderStep};

pub(crate) const V4_FROM: [u8; 4] = [10, 0, 0, 1];
pub(crate) const V4_TO: [u8; 4] = [10, 0, 0, 2];
pub(crate) const V6_FROM: [u8; 16] = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets();
pub(crate) const V6_TO: [u8; 16] = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).octets();

/// An etherparse builder on top of one of the two IP versions.
pub(crate) fn v4() -> PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ipv4(V4_FROM, V4_TO, 64)
}

pub(crate) fn v6() -> PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ipv6(V6_FROM, V6_TO, 64)
}

/// Writes a builder out; a macro, because each step of the builder is another type.
macro_rules! build {
    ($builder:expr, $payload:expr) => {{
        let mut packet = Vec::new();
        $builder.write(&mut packet, $payload).unwrap();
        packet
    }};
}
pub(crate) use build;

/// An IPv4 packet of any protocol with the right header checksum.
pub(crate) fn v4_raw(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut header = Ipv4Header::new(length, 64, protocol.into(), V4_FROM, V4_TO).unwrap();
    header.dont_fragment = false;
    header.identification = 0x1234;
    header.header_checksum = header.calc_header_checksum();
    [&header.to_bytes()[..], payload].concat()
}

/// Recomputes the checksum of an IPv4 header that was changed by hand.
pub(crate) fn fix_v4(mut packet: Vec<u8>) -> Vec<u8> {
    let header = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = Sum16BitWords::new()
        .add_slice(&packet[..header])
        .ones_complement()
        .to_be();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// An IPv6 packet whose payload begins with the header `next`.
pub(crate) fn v6_raw(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    packet.extend(V6_FROM);
    packet.extend(V6_TO);
    packet.extend(payload);
    packet
}

/// An ICMP message (over IPv4) with its checksum.
pub(crate) fn icmp(kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    v4_raw(1, &message(Sum16BitWords::new(), kind, code, rest, data))
}

/// An ICMPv6 message with its checksum.
pub(crate) fn icmpv6(kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + data.len()).unwrap().to_be_bytes();
    let pseudo_header = Sum16BitWords::new()
        .add_16bytes(V6_FROM)
        .add_16bytes(V6_TO)
        .add_4bytes(length)
        .add_2bytes([0, 58]);
    v6_raw(58, &message(pseudo_header, kind, code, rest, data))
}

fn message(start: Sum16BitWords, kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0], &rest[..], data].concat();
    let sum = start.add_slice(&message).ones_complement().to_be();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Cuts a packet into fragments that end at the offsets `ends` of the fragmentable part, in
/// units of eight bytes. This is the test's own reading of RFC 791 and RFC 8200, section 4.5.
pub(crate) fn fragments(packet: &[u8], id: u32, ends: &[usize]) -> Vec<Vec<u8>> {
    let is_v4 = packet[0] >> 4 == 4;
    let header = if is_v4 {
        usize::from(packet[0] & 15) * 4
    } else {
        40
    };
    let (header, data) = packet.split_at(header);
    let mut ends: Vec<usize> = ends
        .iter()
        .map(|end| end * 8)
        .filter(|end| (1..data.len()).contains(end))
        .collect();
    ends.push(data.len());
    ends.sort_unstable();
    ends.dedup();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let cut = |(start, &end): (usize, &usize)| {
        let offset = u16::try_from(start).unwrap();
        let more = end < data.len();
        let piece = &data[start..end];
        if is_v4 {
            v4_fragment(header, offset, more, piece)
        } else {
            v6_fragment(header, id, offset, more, piece)
        }
    };
    starts.zip(&ends).map(cut).collect()
}

/// The identification is the packet's own.
fn v4_fragment(header: &[u8], offset: u16, more: bool, data: &[u8]) -> Vec<u8> {
    let mut fragment = [header, data].concat();
    let length = u16::try_from(fragment.len()).unwrap();
    fragment[2..4].copy_from_slice(&length.to_be_bytes());
    let place = (offset / 8) | if more { 0x2000 } else { 0 };
    fragment[6..8].copy_from_slice(&place.to_be_bytes());
    fix_v4(fragment)
}

fn v6_fragment(header: &[u8], id: u32, offset: u16, more: bool, data: &[u8]) -> Vec<u8> {
    let place = (offset | u16::from(more)).to_be_bytes();
    let id = id.to_be_bytes();
    let fragment_header = [header[6], 0, place[0], place[1], id[0], id[1], id[2], id[3]];
    let mut fragment = [header, &fragment_header, data].concat();
    fragment[6] = 44;
    let length = u16::try_from(fragment.len() - 40).unwrap();
    fragment[4..6].copy_from_slice(&length.to_be_bytes());
    fragment
}

/// The address as the library's API takes it.
pub(crate) fn address(octets: impl Into<IpAddr>) -> IpAddr {
    octets.into()
}
