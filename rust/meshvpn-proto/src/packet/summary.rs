//! One packet, one line: `source -> destination | what it is | length`.
//!
//! ```text
//! 192.168.1.100 -> 8.8.8.8 | ICMP Echo Request | 64 bytes
//! 10.0.0.1:443 -> 10.0.0.2:51514 | TCP SYN, ACK seq=7 ack=8 win=64240 len=0 | 40 bytes
//! 10.0.0.1 -> 10.0.0.2 | IPv4 fragment last id=0x1234 offset=1480 of ICMP | 28 bytes
//! [fd00::1]:53 -> [fd00::2]:9 | UDP len=4, malformed: wrong UDP checksum 0x0001, should be 0x5b2c | 12 bytes
//! ```
//!
//! The length is that of the IP payload ([`Dissection::message_length`]).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::dissection::Dissection;
use super::icmp::{Body, Icmp, Quote};
use super::ip::Ip;
use super::transport::Transport;

impl fmt::Display for Dissection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_summary(f, None)
    }
}

impl Dissection {
    /// Writes the line; `pieces` is the number of fragments the packet was put together from.
    pub(super) fn write_summary(
        &self,
        f: &mut impl fmt::Write,
        pieces: Option<usize>,
    ) -> fmt::Result {
        match &self.ip {
            Some(ip) => {
                endpoints(f, ip.source, ip.destination, self.ports())?;
                f.write_str(" | ")?;
                self.write_kind(f, ip)?;
            }
            None => f.write_str("? -> ? | ")?,
        }
        if let Some(pieces) = pieces {
            write!(f, ", reassembled from {pieces} fragments")?;
        }
        for (place, defect) in self.defects.iter().enumerate() {
            f.write_str(match (place, &self.ip) {
                (0, None) => "malformed: ",
                (0, Some(_)) => ", malformed: ",
                _ => "; ",
            })?;
            write!(f, "{defect}")?;
        }
        let length = self.message_length();
        write!(f, " | {length} byte{}", if length == 1 { "" } else { "s" })
    }

    fn write_kind(&self, f: &mut impl fmt::Write, ip: &Ip) -> fmt::Result {
        if let Some(fragment) = ip.fragment {
            let version = ip.version_number();
            let kind = fragment.kind().as_str();
            // Identifications are shown at the width they have in the header.
            let width = if version == 4 { 6 } else { 10 };
            let (id, offset) = (fragment.id, fragment.offset);
            write!(
                f,
                "IPv{version} fragment {kind} id={id:#0width$x} offset={offset} of "
            )?;
        }
        let data = self.payload.len();
        match &self.transport {
            Transport::Icmp(icmp) => write_icmp(f, "ICMP", icmp),
            Transport::Icmpv6(icmp) => write_icmp(f, "ICMPv6", icmp),
            Transport::Tcp(tcp) => {
                write!(f, "TCP {} seq={}", tcp.flags, tcp.sequence)?;
                write!(
                    f,
                    " ack={} win={} len={data}",
                    tcp.acknowledgment, tcp.window
                )
            }
            Transport::Udp(_) => write!(f, "UDP len={data}"),
            Transport::Other | Transport::LaterFragment | Transport::Malformed => {
                write!(f, "{}", ip.protocol)
            }
        }
    }
}

fn endpoints(
    f: &mut impl fmt::Write,
    source: IpAddr,
    destination: IpAddr,
    ports: Option<(u16, u16)>,
) -> fmt::Result {
    match ports {
        Some((from, to)) => {
            write!(
                f,
                "{} -> {}",
                SocketAddr::new(source, from),
                SocketAddr::new(destination, to)
            )
        }
        None => write!(f, "{source} -> {destination}"),
    }
}

fn write_icmp(f: &mut impl fmt::Write, protocol: &str, icmp: &Icmp) -> fmt::Result {
    match icmp.name {
        Some(name) => write!(f, "{protocol} {name}")?,
        None => write!(f, "{protocol} type {} code {}", icmp.kind, icmp.code)?,
    }
    match (icmp.code_name, icmp.code) {
        (Some(code), _) => write!(f, ": {code}")?,
        (None, 0) => {}
        (None, code) if icmp.name.is_some() => write!(f, ": code {code}")?,
        (None, _) => {}
    }
    match icmp.body {
        // A ping's line stays the short one that everybody knows.
        Body::Plain | Body::Query { .. } => {}
        Body::Mtu(mtu) => write!(f, " (MTU {mtu})")?,
        Body::Gateway(gateway) => write!(f, " to {gateway}")?,
        Body::Pointer(pointer) => write!(f, " at byte {pointer}")?,
        Body::Target(target) => write!(f, " for {target}")?,
        Body::Group(group) => write!(f, " for {group}")?,
        Body::Records(1) => write!(f, " (1 record)")?,
        Body::Records(count) => write!(f, " ({count} records)")?,
    }
    match icmp.quote {
        Some(Quote {
            source,
            destination,
            protocol,
            ports,
        }) => {
            write!(f, ", about {protocol} ")?;
            endpoints(f, source, destination, ports)
        }
        None => Ok(()),
    }
}
