//! Packets of links in a file for Wireshark: what `tcpdump` would see on the interfaces of hosts and routers.

use core::net::SocketAddr;
use core::time::Duration;

use etherparse::PacketBuilder;
use meshvpn_proto::packet::pcapng::{self, Direction};

use crate::packet::{Packet, Protocol};

/// A capture file that grows, with an interface for each link that is watched.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    file: Vec<u8>,
    interfaces: u32,
}

impl Capture {
    pub(crate) fn new() -> Self {
        let mut file = Vec::new();
        pcapng::section_header("meshvpn simulator", &mut file);
        Self {
            file,
            interfaces: 0,
        }
    }

    /// Adds an interface; returns its number.
    pub(crate) fn interface(&mut self, name: &str) -> u32 {
        pcapng::interface(name, &mut self.file);
        self.interfaces += 1;
        self.interfaces - 1
    }

    /// Adds a packet, seen at `time` since 1970.
    pub(crate) fn packet(
        &mut self,
        interface: u32,
        time: Duration,
        direction: Direction,
        packet: &Packet,
    ) {
        let bytes = bytes(packet);
        pcapng::packet(interface, time, Some(direction), &bytes, &mut self.file);
    }

    pub(crate) fn file(&self) -> &[u8] {
        &self.file
    }
}

/// The packet as it would be on the wire.
fn bytes(packet: &Packet) -> Vec<u8> {
    let (from, to) = (packet.from, packet.to);
    let ip = match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), packet.hops)
        }
        _ => PacketBuilder::ipv6(octets(from), octets(to), packet.hops),
    };
    let mut out = Vec::with_capacity(packet.size());
    let written = match packet.protocol {
        Protocol::Udp => ip
            .udp(from.port(), to.port())
            .write(&mut out, &packet.payload),
        Protocol::Tcp => ip
            .tcp(from.port(), to.port(), 0, u16::MAX)
            .write(&mut out, &packet.payload),
    };
    // Only a payload that no IP packet holds fails, and no link carries one.
    written.map(|()| out).unwrap_or_default()
}

fn octets(address: SocketAddr) -> [u8; 16] {
    match address {
        SocketAddr::V4(address) => address.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(address) => address.ip().octets(),
    }
}
