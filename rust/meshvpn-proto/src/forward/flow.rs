//! Which packets may be joined, and with which.
//!
//! Only what splitting a super-packet could have made: plain TCP or UDP with data in it, without
//! IPv4 options, IPv6 extension headers or fragmentation, and with intact checksums.

use super::checksum::Sum;
use super::split::{PSH, TCP_FLAGS, UDP_CHECKSUM};
use super::view::{IpView, TCP, UDP, address_bytes};

const ACK: u8 = 0x10;

/// What a packet is to the joiner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It could be part of a run.
    Joinable(Headers),
    /// TCP that acknowledges and carries nothing: its place in the stream does not matter.
    PureAck,
    /// Neither: nothing that follows it between these hosts may overtake it.
    Other,
}

/// Where the headers of a packet that can be joined end, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) transport: usize,
    pub(super) len: usize,
    pub(super) protocol: u8,
}

impl Kind {
    /// Looks at the headers of `packet`, which `view` describes; not at its checksums.
    pub(super) fn of(packet: &[u8], view: &IpView) -> Self {
        let has_options = packet[0] >> 4 == 4 && view.header_len != 20;
        if has_options || view.is_fragment {
            return Self::Other;
        }
        let transport = view.header_len;
        let segment = &packet[transport..];
        let protocol = view.protocol;
        match protocol {
            TCP if segment.len() >= 20 => {
                let len = transport + usize::from(segment[12] >> 4) * 4;
                let is_ordinary = segment[TCP_FLAGS] & !PSH == ACK;
                if !is_ordinary || len < transport + 20 || len > packet.len() {
                    Self::Other
                } else if len == packet.len() {
                    Self::PureAck
                } else {
                    Self::Joinable(Headers {
                        transport,
                        len,
                        protocol,
                    })
                }
            }
            UDP if segment.len() > 8 => {
                let length = usize::from(u16::from_be_bytes([segment[4], segment[5]]));
                let has_checksum = segment[UDP_CHECKSUM..8] != [0, 0];
                if length == segment.len() && has_checksum {
                    Self::Joinable(Headers {
                        transport,
                        len: transport + 8,
                        protocol,
                    })
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        }
    }
}

/// Whether two packets go between the same two addresses, in the same direction.
pub(super) fn same_hosts(a: &[u8], b: &[u8]) -> bool {
    a[0] >> 4 == b[0] >> 4 && address_bytes(a) == address_bytes(b)
}

/// Whether two packets that can be joined are of one flow: the same addresses and ports.
pub(super) fn same_flow(a: &[u8], a_headers: &Headers, b: &[u8], b_headers: &Headers) -> bool {
    let at = a_headers.transport;
    (at, a_headers.protocol) == (b_headers.transport, b_headers.protocol)
        && a[at..at + 4] == b[at..at + 4]
        && same_hosts(a, b)
}

/// Whether two packets of one flow, with headers of one shape, agree in all that the segments of
/// one super-packet share.
pub(super) fn same_headers(a: &[u8], b: &[u8], headers: &Headers) -> bool {
    let ip_agrees = if a[0] >> 4 == 4 {
        // Type of service; flags, TTL and protocol.
        a[..2] == b[..2] && a[6..10] == b[6..10]
    } else {
        // Traffic class and flow label; next header and hop limit.
        a[..4] == b[..4] && a[6..8] == b[6..8]
    };
    let (a, b) = (
        &a[headers.transport..headers.len],
        &b[headers.transport..headers.len],
    );
    ip_agrees && (headers.protocol == UDP || same_tcp_state(a, b))
}

fn same_tcp_state(a: &[u8], b: &[u8]) -> bool {
    // Acknowledgement and data offset; flags but PSH; window; urgent pointer and options.
    a[8..13] == b[8..13]
        && a[TCP_FLAGS] & !PSH == b[TCP_FLAGS] & !PSH
        && a[14..16] == b[14..16]
        && a[18..] == b[18..]
}

/// Whether every checksum in the packet is right: joining replaces them all.
pub(super) fn is_intact(packet: &[u8], headers: &Headers) -> bool {
    let is_v6 = packet[0] >> 4 == 6;
    let segment = &packet[headers.transport..];
    (is_v6 || Sum::of(&packet[..headers.transport]).is_valid())
        && Sum::of(segment)
            .and(Sum::pseudo_header(
                address_bytes(packet),
                headers.protocol,
                segment.len(),
            ))
            .is_valid()
}
