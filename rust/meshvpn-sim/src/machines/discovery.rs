//! A host that finds out what its NAT does.

use core::net::SocketAddr;
use std::time::Instant;

use meshvpn_proto::forward::Path;
use meshvpn_proto::nat::discovery::{Discovery, Report, SOCKETS, Setup};
use meshvpn_proto::time::Now;

use crate::internet::{HostId, Internet, MachineId};
use crate::machine::{Machine, Transmit};

/// Runs [`Discovery`] once, over IPv4.
#[derive(Debug)]
pub struct DiscoveryMachine {
    discovery: Discovery,
    report: Option<Report>,
}

impl DiscoveryMachine {
    /// Starts to ask these servers, from fresh sockets of the host.
    ///
    /// # Panics
    /// The host has no IPv4 address.
    pub fn attach(net: &mut Internet, host: HostId, servers: &[SocketAddr]) -> MachineId {
        let addresses = net.addresses(host);
        let ip = addresses.into_iter().find(|address| address.is_ipv4());
        let ip = ip.expect("a host with an IPv4 address");
        let mut ports: Vec<u16> = Vec::new();
        while ports.len() < SOCKETS {
            let port = net.free_port(host);
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        let sockets = ports.iter().map(|port| SocketAddr::new(ip, *port));
        let setup = Setup {
            servers: servers.to_vec(),
            sockets: sockets.collect(),
            seed: net.chance(&format!("discovery of {ip} {ports:?}")).seed(),
        };
        let machine = Self {
            discovery: Discovery::new(net.clock().instant, setup),
            report: None,
        };
        net.attach(host, "discovery", Box::new(machine), &ports)
    }

    /// What was found; none before it is over.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }
}

impl Machine for DiscoveryMachine {
    fn handle_datagram(
        &mut self,
        now: Now,
        socket: usize,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let path = Path {
            socket,
            source: Some(local.ip()),
            destination: from,
        };
        self.discovery.handle_datagram(now.instant, path, datagram);
    }

    fn handle_timeout(&mut self, now: Now) {
        self.discovery.handle_timeout(now.instant);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.discovery.poll_transmit().map(Transmit::from)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.discovery.poll_timeout().map(|(at, _)| at)
    }

    fn poll_note(&mut self) -> Option<String> {
        let report = self.discovery.poll_report()?;
        let note = format!("found {report:?}");
        self.report = Some(report);
        Some(note)
    }
}
