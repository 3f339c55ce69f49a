//! The transport layer: TCP (RFC 9293), UDP (RFC 768), ICMP and what else IP carries.

use std::fmt;
use std::ops::Range;

use etherparse::err::tcp::{HeaderError, HeaderSliceError};
use etherparse::{TcpHeader, TcpHeaderSlice, UdpHeader, UdpHeaderSlice};

use super::checksum::{self, Checksum};
use super::defect::Defect;
use super::icmp::{self, Icmp};
use super::ip::{Ip, Protocol};

/// What the IP packet carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// ICMP in IPv4.
    Icmp(Icmp),
    /// ICMPv6 in IPv6.
    Icmpv6(Icmp),
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp(Udp),
    /// A protocol that is told by its name or number only.
    Other,
    /// A middle or last fragment: the header travelled in the first.
    LaterFragment,
    /// The header is cut off or contradicts itself; the packet's defects say how.
    Malformed,
}

/// The facts of a TCP header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number as it stands in the header.
    pub sequence: u32,
    /// Acknowledgement number; means something under ACK only.
    pub acknowledgment: u32,
    /// The flags; print them with `Display`.
    pub flags: TcpFlags,
    /// Receive window, unscaled.
    pub window: u16,
    /// Checksum as it stands in the header.
    pub checksum: u16,
    /// Urgent pointer; means something under URG only.
    pub urgent: u16,
}

/// The nine flags of TCP in the order of the header: bit 0 is FIN, bit 7 CWR, bit 8 AE
/// (once NS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u16);

/// The facts of a UDP header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Udp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Length of header and data in bytes as the header states it.
    pub length: u16,
    /// Checksum as it stands in the header; zero for none.
    pub checksum: u16,
}

impl TcpFlags {
    /// Names by bit, in the order in which people list them.
    const NAMES: [(u16, &str); 9] = [
        (0x002, "SYN"),
        (0x001, "FIN"),
        (0x004, "RST"),
        (0x008, "PSH"),
        (0x010, "ACK"),
        (0x020, "URG"),
        (0x040, "ECE"),
        (0x080, "CWR"),
        (0x100, "AE"),
    ];

    /// The names of the flags that are set, `SYN` before `ACK`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(bit, _)| self.0 & bit != 0)
            .map(|(_, name)| name)
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("no flags");
        }
        for (place, name) in self.names().enumerate() {
            write!(f, "{}{name}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What reading the transport header gave.
pub(super) struct Reading {
    pub(super) transport: Transport,
    pub(super) checksum: Checksum,
    /// The data behind the header, as offsets into the packet.
    pub(super) payload: Range<usize>,
}

/// Reads what `ip` carries, noting what is wrong.
pub(super) fn read(bytes: &[u8], ip: &Ip, defects: &mut Vec<Defect>) -> Reading {
    let unread = |transport| Reading {
        transport,
        checksum: Checksum::Absent,
        payload: ip.payload.clone(),
    };
    if !ip.has_upper_header() {
        return Reading {
            checksum: Checksum::Unverified,
            ..unread(Transport::LaterFragment)
        };
    }
    let message = &bytes[ip.payload.clone()];
    let known = match (ip.protocol, ip.version_number()) {
        (Protocol::TCP, _) => read_tcp(ip, message, defects),
        (Protocol::UDP, _) => read_udp(ip, message, defects),
        (Protocol::ICMP, 4) | (Protocol::ICMPV6, 6) => read_icmp(ip, message, defects),
        _ => return unread(Transport::Other),
    };
    match known {
        Some(Known {
            transport,
            header,
            message,
            checksum,
        }) => {
            let start = ip.payload.start;
            Reading {
                transport,
                checksum,
                payload: start + header..start + message,
            }
        }
        None => Reading {
            checksum: Checksum::Unverified,
            ..unread(Transport::Malformed)
        },
    }
}

/// A header that was understood, with its own length and that of the whole message.
struct Known {
    transport: Transport,
    header: usize,
    message: usize,
    checksum: Checksum,
}

fn read_tcp(ip: &Ip, message: &[u8], defects: &mut Vec<Defect>) -> Option<Known> {
    let header = match TcpHeaderSlice::from_slice(message) {
        Ok(header) => header,
        Err(error) => {
            defects.push(match error {
                HeaderSliceError::Len(error) => Defect::Truncated {
                    part: "TCP header",
                    have: error.len,
                    need: error.required_len,
                },
                HeaderSliceError::Content(HeaderError::DataOffsetTooSmall { data_offset }) => {
                    Defect::LengthTooSmall {
                        part: "TCP header length",
                        value: usize::from(data_offset) * 4,
                        minimum: TcpHeader::MIN_LEN,
                    }
                }
            });
            return None;
        }
    };
    let checksum = judge(ip, message, TCP_CHECKSUM_AT, "TCP", defects);
    if header.options_iterator().any(|option| is_broken(&option)) {
        defects.push(Defect::BadOptions("TCP"));
    }
    let tcp = Tcp {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        sequence: header.sequence_number(),
        acknowledgment: header.acknowledgment_number(),
        flags: TcpFlags(u16::from_be_bytes([message[12] & 1, message[13]])),
        window: header.window_size(),
        checksum: header.checksum(),
        urgent: header.urgent_pointer(),
    };
    let (header, message) = (header.slice().len(), message.len());
    Some(Known {
        transport: Transport::Tcp(tcp),
        header,
        message,
        checksum,
    })
}

/// Offset of the checksum in a TCP header.
const TCP_CHECKSUM_AT: usize = 16;

/// Unknown kinds are no defect: etherparse stops there, and so does the judgement.
fn is_broken(
    option: &Result<etherparse::TcpOptionElement, etherparse::TcpOptionReadError>,
) -> bool {
    !matches!(
        option,
        Ok(_) | Err(etherparse::TcpOptionReadError::UnknownId(_))
    )
}

fn read_udp(ip: &Ip, packet: &[u8], defects: &mut Vec<Defect>) -> Option<Known> {
    let Ok(header) = UdpHeaderSlice::from_slice(packet) else {
        let (have, need) = (packet.len(), UdpHeader::LEN);
        defects.push(Defect::Truncated {
            part: "UDP header",
            have,
            need,
        });
        return None;
    };
    let stated = usize::from(header.length());
    if stated < UdpHeader::LEN {
        defects.push(Defect::LengthTooSmall {
            part: "UDP length",
            value: stated,
            minimum: UdpHeader::LEN,
        });
        return None;
    }
    // Beyond the stated length, UDP options may follow (RFC 9868): that is not a defect.
    let message = &packet[..stated.min(packet.len())];
    let whole = ip.has_whole_message();
    if whole && stated > packet.len() {
        defects.push(Defect::Truncated {
            part: "UDP datagram",
            have: packet.len(),
            need: stated,
        });
    }
    let checksum = match header.checksum() {
        // RFC 768: zero means none. RFC 8200, 8.1 forbids that in IPv6, where it is just wrong.
        0 if ip.version_number() == 4 => Checksum::Absent,
        _ if whole && stated > packet.len() => Checksum::Unverified,
        _ => judge(ip, message, UDP_CHECKSUM_AT, "UDP", defects),
    };
    let udp = Udp {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        length: header.length(),
        checksum: header.checksum(),
    };
    let (header, message) = (UdpHeader::LEN, message.len());
    Some(Known {
        transport: Transport::Udp(udp),
        header,
        message,
        checksum,
    })
}

/// Offset of the checksum in a UDP header.
const UDP_CHECKSUM_AT: usize = 6;

fn read_icmp(ip: &Ip, message: &[u8], defects: &mut Vec<Defect>) -> Option<Known> {
    let version = ip.version_number();
    let icmp = icmp::read(version, message, defects)?;
    let header = icmp::own_length(version, icmp.kind, message.len());
    let (transport, part): (fn(Icmp) -> Transport, _) = if version == 4 {
        (Transport::Icmp, "ICMP")
    } else {
        (Transport::Icmpv6, "ICMPv6")
    };
    Some(Known {
        transport: transport(icmp),
        header,
        message: message.len(),
        checksum: judge(ip, message, icmp::CHECKSUM_AT, part, defects),
    })
}

/// Verifies the checksum at offset `field` of `message` where all that it covers is here.
fn judge(
    ip: &Ip,
    message: &[u8],
    field: usize,
    part: &'static str,
    defects: &mut Vec<Defect>,
) -> Checksum {
    if !ip.has_whole_message() || ip.source_routed {
        return Checksum::Unverified;
    }
    let start = if ip.protocol == Protocol::ICMP {
        // Alone among the four, ICMP has no pseudo-header.
        etherparse::checksum::Sum16BitWords::new()
    } else {
        checksum::pseudo_header(ip.source, ip.destination, ip.protocol.0, message.len())
    };
    let verdict = checksum::verify(start, message, field);
    match verdict {
        Checksum::Wrong { found, expected } => {
            // RFC 768: a sum of zero is sent as its other form, because zero means none.
            let expected = if expected == 0 && part == "UDP" {
                u16::MAX
            } else {
                expected
            };
            defects.push(Defect::WrongChecksum {
                part,
                found,
                expected,
            });
            Checksum::Wrong { found, expected }
        }
        verdict => verdict,
    }
}
