//! From bytes to facts, without taking or copying the bytes.

use std::ops::Range;

use super::checksum::Checksum;
use super::defect::Defect;
use super::ip::Ip;
use super::transport::{self, Transport};

/// All that was understood of one packet. Every range lies within the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dissection {
    /// Number of bytes that were there.
    pub captured: usize,
    /// The network layer; `None` when not even the addresses could be read.
    pub ip: Option<Ip>,
    /// The transport layer.
    pub transport: Transport,
    /// Verdict on the transport layer's checksum.
    pub checksum: Checksum,
    /// The data that the last understood header carries.
    pub payload: Range<usize>,
    /// What is wrong, outermost layer first; empty for a sound packet.
    pub defects: Vec<Defect>,
}

/// Reads one IP packet from `bytes`. Never fails: what cannot be read is a [`Defect`].
///
/// ```
/// use meshvpn_proto::packet::dissect;
///
/// let cut_off = dissect(&[0x45, 0, 0, 84]);
/// assert_eq!(cut_off.to_string(), "? -> ? | malformed: IPv4 header truncated (4 of 20 bytes) | 4 bytes");
/// ```
pub fn dissect(bytes: &[u8]) -> Dissection {
    let mut defects = Vec::new();
    let Some(ip) = Ip::read(bytes, &mut defects) else {
        return Dissection {
            captured: bytes.len(),
            ip: None,
            transport: Transport::Malformed,
            checksum: Checksum::Unverified,
            payload: 0..bytes.len(),
            defects,
        };
    };
    let transport::Reading {
        transport,
        checksum,
        payload,
    } = transport::read(bytes, &ip, &mut defects);
    Dissection {
        captured: bytes.len(),
        ip: Some(ip),
        transport,
        checksum,
        payload,
        defects,
    }
}

impl Dissection {
    /// The length that the summary shows: bytes of the IP payload, that is of the ICMP message,
    /// TCP segment, UDP datagram or fragment with its own header but without IP headers.
    ///
    /// It is the number that `ping` prints. Of a packet whose IP header cannot be read it is all
    /// there is.
    pub fn message_length(&self) -> usize {
        self.ip
            .as_ref()
            .map_or(self.captured, |ip| ip.payload.len())
    }

    /// Source and destination port of TCP and UDP.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match &self.transport {
            Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Transport::Udp(udp) => Some((udp.source_port, udp.destination_port)),
            _ => None,
        }
    }
}
