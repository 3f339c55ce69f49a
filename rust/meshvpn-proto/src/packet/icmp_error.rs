//! Telling a sender that its packet does not fit: ICMP "fragmentation needed" (RFC 792, RFC 1191)
//! and ICMPv6 "packet too big" (RFC 4443).
//!
//! ```text
//! +-----------+---------------------------+------------------------------------------+
//! | IP header | ICMP header with the MTU  | as much of the offending packet as fits  |
//! |  20 / 40  |             8             |       up to 576 (v4) / 1280 (v6) in all  |
//! +-----------+---------------------------+------------------------------------------+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    IpNumber, Ipv4Header, Ipv4HeaderSlice, Ipv6ExtensionSlice, Ipv6ExtensionsSlice, Ipv6Header,
    Ipv6HeaderSlice,
};

use super::checksum;
use super::icmp::{self, v4, v6};
use super::ip::Protocol;
use super::ip::write::{is_many_hosts, is_one_host, write_ipv4, write_ipv6};

/// Room that [`too_big`] may need in its output: the minimum MTU of IPv6.
pub const TOO_BIG_ROOM: usize = MIN_MTU_V6;

/// RFC 1812, 4.3.2.3: an ICMP error must not exceed 576 bytes.
const MAX_ERROR_V4: usize = 576;
/// RFC 8200, 5: every IPv6 link carries packets of this size, so a sender may ignore less.
const MIN_MTU_V6: usize = 1280;
/// RFC 791, 3.2: every IPv4 module forwards packets of this size.
const MIN_MTU_V4: u16 = 68;
/// RFC 1812, 4.3.2.5: errors travel with precedence 6, "internetwork control".
const INTERNETWORK_CONTROL: u8 = 0xc0;
/// Writes the ICMP error that tells the sender of `packet` to use packets of at most `mtu` bytes
/// into `out` and returns its length. Allocates nothing.
///
/// `source` is the address the error comes from, of the packet's IP version; `out` should have
/// [`TOO_BIG_ROOM`] bytes. The minimum MTU of the version is the smallest that is told.
///
/// `None` when no error may be sent (RFC 1122 section 3.2.2, RFC 4443 section 2.4): the packet is
/// malformed, is an ICMP error itself, a later IPv4 fragment, comes from an address that is not
/// one host's or goes to many in IPv4; also when it is an IPv6 packet that no MTU may refuse
/// (up to 1280 bytes), when `source` is of the other version, and when `out` is too small.
///
/// Whether an IPv4 packet may be fragmented instead ("don't fragment" is clear) is for the caller
/// to decide; this function does not look.
pub fn too_big(packet: &[u8], mtu: u16, source: IpAddr, out: &mut [u8]) -> Option<usize> {
    match (packet.first()? >> 4, source) {
        (4, IpAddr::V4(source)) => fragmentation_needed(packet, mtu, source, out),
        (6, IpAddr::V6(source)) => packet_too_big(packet, mtu, source, out),
        _ => None,
    }
}

fn fragmentation_needed(
    packet: &[u8],
    mtu: u16,
    source: Ipv4Addr,
    out: &mut [u8],
) -> Option<usize> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let packet = packet.get(..usize::from(header.total_len()))?;
    let message = packet.get(header.slice().len()..)?;
    let sender = header.source_addr();
    let provoked_by_error = header.protocol().0 == Protocol::ICMP.0
        && message.first().is_none_or(|&kind| !v4::is_query(kind));
    if header.fragments_offset().value() != 0
        || provoked_by_error
        || !is_one_host(sender)
        || is_many_hosts(header.destination_addr())
    {
        return None;
    }
    let quote = &packet[..packet
        .len()
        .min(MAX_ERROR_V4 - Ipv4Header::MIN_LEN - icmp::HEADER_LENGTH)];
    let length = Ipv4Header::MIN_LEN + icmp::HEADER_LENGTH + quote.len();
    let (ip, message) = out.get_mut(..length)?.split_at_mut(Ipv4Header::MIN_LEN);

    let [high, low] = mtu.max(MIN_MTU_V4).to_be_bytes();
    write_message(
        message,
        [v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED],
        [0, 0, high, low],
        quote,
        Sum16BitWords::new(),
    );
    let class = INTERNETWORK_CONTROL;
    write_ipv4(ip, class, Protocol::ICMP, message.len(), source, sender);
    Some(length)
}

fn packet_too_big(packet: &[u8], mtu: u16, source: Ipv6Addr, out: &mut [u8]) -> Option<usize> {
    let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let packet = packet.get(..Ipv6Header::LEN + usize::from(header.payload_length()))?;
    let sender = header.source_addr();
    if packet.len() <= MIN_MTU_V6
        || sender.is_multicast()
        || sender.is_unspecified()
        || source.is_multicast()
        || is_icmpv6_error(packet)
    {
        return None;
    }
    let quote = &packet[..MIN_MTU_V6 - Ipv6Header::LEN - icmp::HEADER_LENGTH];
    let (ip, message) = out.get_mut(..MIN_MTU_V6)?.split_at_mut(Ipv6Header::LEN);

    let mtu = u32::from(mtu).max(MIN_MTU_V6 as u32);
    let pseudo_header = checksum::pseudo_header(
        source.into(),
        sender.into(),
        Protocol::ICMPV6.0,
        message.len(),
    );
    write_message(
        message,
        [v6::PACKET_TOO_BIG, 0],
        mtu.to_be_bytes(),
        quote,
        pseudo_header,
    );
    write_ipv6(ip, 0, Protocol::ICMPV6, message.len(), source, sender);
    Some(MIN_MTU_V6)
}

/// Fills `message` with an ICMP error; `start` is the sum of what the checksum covers beside it.
fn write_message(
    message: &mut [u8],
    [kind, code]: [u8; 2],
    [a, b, c, d]: [u8; 4],
    quote: &[u8],
    start: Sum16BitWords,
) {
    let (head, rest) = message.split_at_mut(icmp::HEADER_LENGTH);
    head.copy_from_slice(&[kind, code, 0, 0, a, b, c, d]);
    rest.copy_from_slice(quote);
    let sum = checksum::compute(start, message, icmp::CHECKSUM_AT);
    message[icmp::CHECKSUM_AT..][..2].copy_from_slice(&sum.to_be_bytes());
}

/// Walks the extension headers without the allocation that [`super::Ip`] makes.
///
/// A later fragment counts as no error, like a chain that cannot be followed to its end: RFC 4443
/// does not exclude those, and the sender must learn of the MTU.
fn is_icmpv6_error(packet: &[u8]) -> bool {
    let start = IpNumber(packet[6]);
    let rest = &packet[Ipv6Header::LEN..];
    let (headers, last, message, _) = Ipv6ExtensionsSlice::from_slice_lax(start, rest);
    let later = |header| matches!(header, Ipv6ExtensionSlice::Fragment(header) if header.fragment_offset().value() > 0);
    last.0 == Protocol::ICMPV6.0
        && !headers.into_iter().any(later)
        && message.first().is_some_and(|&kind| v6::is_error(kind))
}
