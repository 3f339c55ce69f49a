//! The network layer: what an IPv4 or IPv6 header says, with its options, extension headers and
//! fragmentation; and writing plain ones.

mod v4;
mod v6;
pub(super) mod write;

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use etherparse::{IpNumber, ip_number};

use super::checksum::Checksum;
use super::defect::Defect;

pub(super) use v4::options as ipv4_options;

/// The facts of an IP header. Ranges are offsets into the packet's bytes and never leave them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ip {
    /// Source address.
    pub source: IpAddr,
    /// Destination address; on a source-routed packet the next stop, not the last.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// Differentiated services code point, 0–63 (RFC 2474).
    pub dscp: u8,
    /// Explicit congestion notification, 0–3 (RFC 3168).
    pub ecn: u8,
    /// What only one of the two versions has.
    pub version: Version,
    /// Length of the packet in bytes as its header states it.
    pub stated_length: usize,
    /// The fixed header with IPv4 options, without IPv6 extension headers.
    pub header: Range<usize>,
    /// Extension headers in their order; under IPv4 at most an authentication header.
    pub extensions: Vec<Extension>,
    /// Set when the packet is a fragment, also an atomic one.
    pub fragment: Option<Fragment>,
    /// The upper protocol, or the extension header that could not be read.
    pub protocol: Protocol,
    /// Everything after the headers above: the upper protocol's message or a piece of it.
    pub payload: Range<usize>,
    /// The transport checksum cannot be verified: a source route hides the final destination.
    pub source_routed: bool,
}

/// What only one of the two IP versions has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Version {
    /// IPv4 (RFC 791).
    V4 {
        /// Identification, meaningful on fragments only (RFC 6864).
        identification: u16,
        /// Routers must not fragment this packet.
        dont_fragment: bool,
        /// Verdict on the header checksum.
        checksum: Checksum,
    },
    /// IPv6 (RFC 8200).
    V6 {
        /// Flow label, 20 bits.
        flow_label: u32,
    },
}

/// An IPv6 extension header, or an authentication header under IPv4.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    /// Which header this is.
    pub protocol: Protocol,
    /// Where it is.
    pub range: Range<usize>,
}

/// A fragment's place in its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of the payload in the datagram in bytes, a multiple of 8.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
}

/// Where in its datagram a fragment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FragmentKind {
    /// Offset 0 and more to come: has the upper header.
    First,
    /// Something before, something after.
    Middle,
    /// The end of the datagram.
    Last,
    /// An IPv6 fragment header on a whole datagram (RFC 6946).
    Atomic,
}

impl Fragment {
    /// First, middle, last or atomic.
    pub fn kind(self) -> FragmentKind {
        match (self.offset, self.more) {
            (0, true) => FragmentKind::First,
            (0, false) => FragmentKind::Atomic,
            (_, true) => FragmentKind::Middle,
            (_, false) => FragmentKind::Last,
        }
    }

    /// The whole datagram is here: only under an atomic fragment.
    pub fn is_whole(self) -> bool {
        self.kind() == FragmentKind::Atomic
    }
}

impl FragmentKind {
    /// `first`, `middle`, `last` or `atomic`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Middle => "middle",
            Self::Last => "last",
            Self::Atomic => "atomic",
        }
    }
}

/// An IP protocol number; `Display` gives IANA's keyword, or `protocol 253` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4.
    pub const ICMP: Self = Self(ip_number::ICMP.0);
    /// TCP.
    pub const TCP: Self = Self(ip_number::TCP.0);
    /// UDP.
    pub const UDP: Self = Self(ip_number::UDP.0);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(ip_number::IPV6_ICMP.0);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match IpNumber(self.0).keyword_str() {
            // IANA's keyword IPv6-ICMP is what nobody calls it.
            _ if *self == Self::ICMPV6 => f.write_str("ICMPv6"),
            Some(keyword) => f.write_str(keyword),
            None => write!(f, "protocol {}", self.0),
        }
    }
}

impl Ip {
    /// Reads the IP header (and extension headers) at the start of `bytes`, noting what is wrong.
    ///
    /// `None` when not even the addresses can be read; `defects` then holds the reason. Bytes
    /// after the end that the header states belong to no range.
    pub(super) fn read(bytes: &[u8], defects: &mut Vec<Defect>) -> Option<Self> {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => v4::read(bytes, defects),
            Some(6) => v6::read(bytes, defects),
            Some(other) => {
                defects.push(Defect::NotIp(other));
                None
            }
            None => {
                defects.push(Defect::Empty);
                None
            }
        }
    }

    /// 4 or 6.
    pub fn version_number(&self) -> u8 {
        match self.version {
            Version::V4 { .. } => 4,
            Version::V6 { .. } => 6,
        }
    }

    /// The upper protocol's message starts here: not in a middle or last fragment.
    pub fn has_upper_header(&self) -> bool {
        self.fragment.is_none_or(|fragment| fragment.offset == 0)
    }

    /// The upper protocol's message is here from start to end.
    pub fn has_whole_message(&self) -> bool {
        self.payload.end == self.stated_length && self.fragment.is_none_or(Fragment::is_whole)
    }
}

/// Where the packet ends: at the length it states or at the end of the buffer, whichever is
/// first, with the defect that the difference is.
fn end_of_packet(
    part: &'static str,
    stated: usize,
    available: usize,
    defects: &mut Vec<Defect>,
) -> usize {
    if stated > available {
        defects.push(Defect::Truncated {
            part,
            have: available,
            need: stated,
        });
    } else if stated < available {
        defects.push(Defect::StrayBytes(available - stated));
    }
    stated.min(available)
}

/// Notes what is wrong with a fragment of `length` payload bytes.
fn check_fragment(fragment: Fragment, length: usize, defects: &mut Vec<Defect>) {
    if fragment.more && !length.is_multiple_of(8) {
        defects.push(Defect::UnalignedFragment(length));
    }
    let end = usize::from(fragment.offset) + length;
    if end > usize::from(u16::MAX) {
        defects.push(Defect::OversizedFragment(end));
    }
}
