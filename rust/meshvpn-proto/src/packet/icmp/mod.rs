//! ICMP (RFC 792) and ICMPv6 (RFC 4443, 4861, 2710, 3810): both share one layout.
//!
//! ```text
//!  0               8               16                             32
//! +---------------+---------------+-------------------------------+
//! |     type      |     code      |           checksum            |
//! +---------------+---------------+-------------------------------+
//! |      by type: id and sequence, MTU, pointer, gateway …        |
//! +---------------------------------------------------------------+
//! |      by type: data, the packet in question, addresses …       |
//! ```

mod names;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::defect::Defect;
use super::ip::{Ip, Protocol};

/// Every ICMP and ICMPv6 message has at least these bytes.
pub(super) const HEADER_LENGTH: usize = 8;

/// Offset of the checksum in a message.
pub(super) const CHECKSUM_AT: usize = 2;

/// An ICMP or ICMPv6 message; which of them, [`super::Transport`] says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Icmp {
    /// The type number (`type` is a keyword).
    pub kind: u8,
    /// The code number.
    pub code: u8,
    /// Name of the type, for example `Echo Request`.
    pub name: Option<&'static str>,
    /// Meaning of the code under this type, for example `Port Unreachable`.
    pub code_name: Option<&'static str>,
    /// Checksum as it stands in the message.
    pub checksum: u16,
    /// What this type carries.
    pub body: Body,
    /// An error message's subject.
    pub quote: Option<Quote>,
}

/// What a type of ICMP message carries beside type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Body {
    /// Nothing that is told here.
    Plain,
    /// Echo, timestamp and similar: which query this belongs to.
    Query {
        /// Chosen by the asking process.
        identifier: u16,
        /// Counts the queries.
        sequence: u16,
    },
    /// Fragmentation needed and packet too big: MTU of the next hop in bytes.
    Mtu(u32),
    /// Redirect: the better gateway.
    Gateway(Ipv4Addr),
    /// Parameter problem: offset of the offending byte.
    Pointer(u32),
    /// Neighbour discovery: the address it is about.
    Target(Ipv6Addr),
    /// Multicast listener query, report or done: the group.
    Group(Ipv6Addr),
    /// Multicast listener report, version 2: number of records.
    Records(u16),
}

/// The packet that an ICMP error quotes, as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quote {
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its upper protocol.
    pub protocol: Protocol,
    /// Source and destination port, for TCP and UDP.
    pub ports: Option<(u16, u16)>,
}

/// Types and codes that more than the names depend on.
pub(super) mod v4 {
    pub(in crate::packet) const ECHO_REPLY: u8 = 0;
    pub(in crate::packet) const UNREACHABLE: u8 = 3;
    pub(in crate::packet) const FRAGMENTATION_NEEDED: u8 = 4;
    pub(in crate::packet) const REDIRECT: u8 = 5;
    pub(in crate::packet) const ECHO_REQUEST: u8 = 8;
    pub(in crate::packet) const PARAMETER_PROBLEM: u8 = 12;
    /// The types that quote a packet: unreachable, source quench, redirect, time exceeded,
    /// parameter problem.
    pub(in crate::packet) fn is_error(kind: u8) -> bool {
        matches!(kind, UNREACHABLE | 4 | REDIRECT | 11 | PARAMETER_PROBLEM)
    }

    /// The types that ask or answer. All others, unknown ones too, must not provoke an error
    /// (RFC 1122, 3.2.2).
    pub(in crate::packet) fn is_query(kind: u8) -> bool {
        matches!(kind, ECHO_REPLY | ECHO_REQUEST | 9 | 10 | 13..=18 | 42 | 43)
    }
}

/// Types that more than the names depend on.
pub(super) mod v6 {
    pub(in crate::packet) const PACKET_TOO_BIG: u8 = 2;
    pub(in crate::packet) const PARAMETER_PROBLEM: u8 = 4;
    pub(in crate::packet) const ECHO_REQUEST: u8 = 128;
    pub(in crate::packet) const ECHO_REPLY: u8 = 129;
    pub(in crate::packet) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(in crate::packet) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub(in crate::packet) const REDIRECT: u8 = 137;
    pub(in crate::packet) const LISTENER_REPORT_V2: u8 = 143;
    /// RFC 4443, 2.1: error messages have the highest bit of the type clear.
    pub(in crate::packet) fn is_error(kind: u8) -> bool {
        kind < 128
    }
}

/// How much of a message of `length` bytes is the message itself; the rest is what it carries:
/// echoed data or the packet in question.
pub(super) fn own_length(version: u8, kind: u8, length: usize) -> usize {
    let all_of_it = match version {
        4 => matches!(kind, 9 | 10 | 13..=18),
        _ => matches!(kind, 130..=137 | v6::LISTENER_REPORT_V2),
    };
    if all_of_it { length } else { HEADER_LENGTH }
}

/// Reads an ICMP message (`version` 4) or ICMPv6 message (6).
pub(super) fn read(version: u8, message: &[u8], defects: &mut Vec<Defect>) -> Option<Icmp> {
    let part = if version == 4 {
        "ICMP header"
    } else {
        "ICMPv6 header"
    };
    let Some((head, data)) = message.split_first_chunk::<HEADER_LENGTH>() else {
        defects.push(Defect::Truncated {
            part,
            have: message.len(),
            need: HEADER_LENGTH,
        });
        return None;
    };
    let [kind, code, check0, check1, rest @ ..] = *head;
    let (body, names, quotes) = if version == 4 {
        (
            v4_body(kind, code, rest),
            names::v4(kind, code),
            v4::is_error(kind),
        )
    } else {
        (
            v6_body(kind, rest, data, defects),
            names::v6(kind, code),
            (1..=4).contains(&kind),
        )
    };
    Some(Icmp {
        kind,
        code,
        name: names.0,
        code_name: names.1,
        checksum: u16::from_be_bytes([check0, check1]),
        body,
        quote: if quotes { read_quote(data) } else { None },
    })
}

fn v4_body(kind: u8, code: u8, rest: [u8; 4]) -> Body {
    match kind {
        v4::ECHO_REQUEST | v4::ECHO_REPLY | 13..=18 => query(rest),
        // A router older than RFC 1191 leaves the MTU zero: it is told as it stands.
        v4::UNREACHABLE if code == v4::FRAGMENTATION_NEEDED => {
            Body::Mtu(u32::from(u16::from_be_bytes([rest[2], rest[3]])))
        }
        v4::REDIRECT => Body::Gateway(rest.into()),
        v4::PARAMETER_PROBLEM => Body::Pointer(u32::from(rest[0])),
        _ => Body::Plain,
    }
}

fn v6_body(kind: u8, rest: [u8; 4], data: &[u8], defects: &mut Vec<Defect>) -> Body {
    let mut address = |part| match data.first_chunk::<16>() {
        Some(octets) => Some(Ipv6Addr::from(*octets)),
        None => {
            let (have, need) = (HEADER_LENGTH + data.len(), HEADER_LENGTH + 16);
            defects.push(Defect::Truncated { part, have, need });
            None
        }
    };
    match kind {
        v6::ECHO_REQUEST | v6::ECHO_REPLY => query(rest),
        v6::PACKET_TOO_BIG => Body::Mtu(u32::from_be_bytes(rest)),
        v6::PARAMETER_PROBLEM => Body::Pointer(u32::from_be_bytes(rest)),
        v6::NEIGHBOR_SOLICITATION | v6::NEIGHBOR_ADVERTISEMENT | v6::REDIRECT => {
            address("neighbor discovery target").map_or(Body::Plain, Body::Target)
        }
        130..=132 => address("multicast listener group").map_or(Body::Plain, Body::Group),
        v6::LISTENER_REPORT_V2 => Body::Records(u16::from_be_bytes([rest[2], rest[3]])),
        _ => Body::Plain,
    }
}

fn query(rest: [u8; 4]) -> Body {
    Body::Query {
        identifier: u16::from_be_bytes([rest[0], rest[1]]),
        sequence: u16::from_be_bytes([rest[2], rest[3]]),
    }
}

/// Addresses and ports of a quoted packet; that it is cut off is normal, not a defect.
fn read_quote(data: &[u8]) -> Option<Quote> {
    let ip = Ip::read(data, &mut Vec::new())?;
    let upper = &data[ip.payload.clone()];
    let ports = match ip.protocol {
        Protocol::TCP | Protocol::UDP if ip.has_upper_header() => upper.first_chunk::<4>(),
        _ => None,
    };
    Some(Quote {
        source: ip.source,
        destination: ip.destination,
        protocol: ip.protocol,
        ports: ports.map(|&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
    })
}
