//! What a discovery found, and what it means for people.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::behavior::{Allocation, Filtering, Mapping};

/// How far away a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrip {
    /// The server's address.
    pub server: SocketAddr,
    /// From the first request to the answer.
    pub round_trip: Duration,
}

/// What a NAT does. None stands everywhere for: not found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where the first server to answer saw the live socket; none when UDP does not get through.
    pub mapped: Option<SocketAddr>,
    /// All addresses that our sockets were seen with; a NAT with several may give each socket another.
    pub addresses: Vec<IpAddr>,
    /// Whether there is a NAT at all: the live socket's own address is another than the mapped one.
    pub is_translated: Option<bool>,
    /// For which destinations one socket keeps one outer port.
    pub mapping: Option<Mapping>,
    /// Who may send to it.
    pub filtering: Option<Filtering>,
    /// Whether two inner sockets reach each other at their outer addresses.
    pub hairpin: Option<bool>,
    /// Whether the outer port was the inner one, for every socket.
    pub preserves_port: Option<bool>,
    /// How new ports are chosen, where the mapping depends on the destination.
    pub allocation: Option<Allocation>,
    /// The servers that answered, in the order of their answers.
    pub round_trips: Vec<RoundTrip>,
}

impl Report {
    /// What it means for direct connections, in a sentence.
    pub fn sentence(&self) -> &'static str {
        use Mapping::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
        if self.mapped.is_none() {
            return "UDP does not get through to any STUN server: connections are relayed, or direct over \
                    TCP where that can be.";
        }
        let is_open = self.filtering == Some(Filtering::EndpointIndependent);
        let is_strict = self.filtering == Some(Filtering::AddressAndPortDependent);
        match (self.is_translated, self.mapping, self.allocation) {
            (Some(false), ..) if is_open => {
                "This host has a public address and no firewall: every peer that has UDP reaches it directly."
            }
            (Some(false), ..) => {
                "This host has a public address and a firewall that lets answers in: direct connections \
                 work with every peer that has a predictable port."
            }
            (_, Some(EndpointIndependent), _) if !is_strict => {
                "The NAT keeps one port for all destinations and is lenient about who may use it: direct \
                 connections work with every peer that has UDP."
            }
            (_, Some(EndpointIndependent), _) => {
                "The NAT keeps one port for all destinations: direct connections work with most peers; where \
                 the peer's NAT takes a new port for each destination, that port has to be guessed."
            }
            (_, Some(_), Some(Allocation::Sequential { .. })) => {
                "The NAT takes a new port for each destination, but counts them: ports can be predicted, and \
                 direct connections work with most peers."
            }
            (_, Some(_), Some(Allocation::Random { range, .. })) if range <= 4096 => {
                "The NAT takes a new port for each destination out of a small block: direct connections can \
                 be had by guessing, after some seconds."
            }
            (_, Some(AddressDependent), _) => {
                "The NAT takes a new port for each address: direct connections work with peers whose NAT is \
                 lenient about ports; elsewhere the port has to be guessed."
            }
            (_, Some(AddressAndPortDependent), _) => {
                "The NAT takes a new random port for each destination: direct connections work with peers \
                 whose NAT keeps its ports, after some guessing; between two such NATs they are relayed."
            }
            (_, None, _) => {
                "UDP works, but the servers that answered do not show what the NAT does: direct connections \
                 are tried."
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
