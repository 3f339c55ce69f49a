//! A STUN server with two addresses and two ports.

use core::net::{IpAddr, SocketAddr};
use std::time::Instant;

use meshvpn_proto::forward::Path;
use meshvpn_proto::nat::server::{Addresses, Counters, Server};
use meshvpn_proto::time::Now;

use crate::internet::{HostId, Internet};
use crate::machine::{Machine, Transmit};

/// STUN's port, and the second one.
const PORTS: [u16; 2] = [3478, 3479];

/// Runs [`Server`].
#[derive(Debug)]
pub struct StunServer {
    server: Server,
    ips: [IpAddr; 2],
}

impl StunServer {
    /// Starts a server on a host with two IPv4 addresses; returns its first address.
    ///
    /// # Panics
    /// The host has fewer.
    pub fn attach(net: &mut Internet, host: HostId) -> SocketAddr {
        let addresses = net.addresses(host);
        let mut v4 = addresses.into_iter().filter(IpAddr::is_ipv4);
        let ips = [(); 2].map(|()| v4.next().expect("a host with two IPv4 addresses"));
        let [first, second] = [0, 1].map(|index| SocketAddr::new(ips[index], PORTS[index]));
        let seed = net.chance(&format!("stun {first}")).seed();
        let server = Server::new(Addresses::Four { first, second }, seed);
        net.attach(host, "stun", Box::new(Self { server, ips }), &PORTS);
        first
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.server.counters()
    }
}

impl Machine for StunServer {
    fn handle_datagram(
        &mut self,
        now: Now,
        socket: usize,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        // Here a socket has a port and every address; to the server, each address is a socket of its own.
        let path = Path {
            socket: usize::from(local.ip() == self.ips[1]) << 1 | socket,
            source: Some(local.ip()),
            destination: from,
        };
        self.server.handle_datagram(now.instant, path, datagram);
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.server.poll_transmit()?;
        let socket = transmit.path.socket;
        Some(Transmit {
            socket: socket & 1,
            source: Some(self.ips[socket >> 1]),
            to: transmit.path.destination,
            hops: None,
            datagram: transmit.datagram,
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
