//! What travels: a UDP datagram or a segment of a stream, with its IP addresses.

use core::fmt;
use core::net::SocketAddr;

use blake2::{Blake2s256, Digest};

/// Hops that a packet may take, unless its sender wants fewer (Linux's default).
pub const HOPS: u8 = 64;

/// What a NAT tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
}

/// A packet on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Where it says it comes from.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// How many more hops it may take: TTL, or hop limit.
    pub hops: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Packet {
    /// A datagram with the usual number of hops.
    pub fn udp(from: SocketAddr, to: SocketAddr, payload: Vec<u8>) -> Self {
        Self {
            protocol: Protocol::Udp,
            from,
            to,
            hops: HOPS,
            payload,
        }
    }

    /// Bytes of the whole IP packet.
    pub fn size(&self) -> usize {
        let ip = if self.to.is_ipv4() { 20 } else { 40 };
        let transport = match self.protocol {
            Protocol::Udp => 8,
            Protocol::Tcp => 20,
        };
        ip + transport + self.payload.len()
    }

    /// Tells the payload from others: four bytes of its hash.
    pub fn mark(&self) -> u32 {
        let hash = Blake2s256::digest(&self.payload);
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        };
        let (from, to, len) = (self.from, self.to, self.payload.len());
        write!(f, "{from} -> {to} {protocol} {len} {:08x}", self.mark())
    }
}
