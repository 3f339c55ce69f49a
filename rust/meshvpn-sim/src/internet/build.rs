//! Building: networks, hosts, routers, links.

use core::net::IpAddr;
use std::collections::BTreeMap;

use meshvpn_proto::route::Prefix;

use super::{End, Host, HostId, Internet, Link, LinkId, MachineId, Network, NetworkId, Router};
use super::{RouterId, Runner};
use crate::link::{Conditions, Direction};
use crate::machine::Machine;
use crate::nat::{Behavior, Nat};

/// Which side of a router a link is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Towards those whom it protects.
    Inner,
    /// Towards the rest of the world.
    Outer,
}

/// One side of a router: the network, its addresses there, and the link.
#[derive(Debug, Clone)]
pub struct Port {
    /// Which network.
    pub network: NetworkId,
    /// The router's addresses in it. All of a NAT's outer IPv4 addresses are its to map to.
    pub addresses: Vec<IpAddr>,
    /// The link's conditions.
    pub conditions: Conditions,
}

impl Internet {
    /// A network that nobody is part of yet.
    pub fn network(&mut self, name: &str) -> NetworkId {
        self.networks.push(Network {
            name: name.to_owned(),
            addresses: BTreeMap::new(),
            routes: Vec::new(),
            gateway: None,
            hops: 0,
        });
        NetworkId(self.networks.len() - 1)
    }

    /// A host without links.
    pub fn host(&mut self, name: &str) -> HostId {
        self.hosts.push(Host {
            name: name.to_owned(),
            links: Vec::new(),
            ports: BTreeMap::new(),
            listeners: BTreeMap::new(),
            chance: self.chance.derive(name).derive("ports"),
        });
        HostId(self.hosts.len() - 1)
    }

    /// Joins a host to a network.
    pub fn connect(
        &mut self,
        host: HostId,
        network: NetworkId,
        addresses: &[IpAddr],
        conditions: Conditions,
    ) -> LinkId {
        let name = self.hosts[host.0].name.clone();
        let port = Port {
            network,
            addresses: addresses.to_vec(),
            conditions,
        };
        let link = self.link(&name, port, End::Host(host));
        self.hosts[host.0].links.push(link);
        link
    }

    /// A router between two networks, which becomes the gateway of the inner one: a NAT for IPv4, a firewall
    /// for IPv6.
    pub fn router(
        &mut self,
        name: &str,
        inner: Port,
        outer: Port,
        v4: Behavior,
        v6: Behavior,
    ) -> RouterId {
        let id = RouterId(self.routers.len());
        let chance = self.chance.derive(name);
        let mapped = outer.addresses.iter().copied().filter(IpAddr::is_ipv4);
        let v4 = Nat::new(v4, mapped.collect(), chance.derive("v4"));
        let v6 = Nat::new(v6, Vec::new(), chance.derive("v6"));
        let network = inner.network;
        let inner = self.link(&format!("{name}-in"), inner, End::Router(id, Side::Inner));
        let outer = self.link(&format!("{name}-out"), outer, End::Router(id, Side::Outer));
        self.networks[network.0].gateway = Some(inner);
        self.routers.push(Router {
            name: name.to_owned(),
            inner,
            outer,
            v4,
            v6,
        });
        id
    }

    /// Lets a network know that `prefix` is behind a router's outer link.
    pub fn route(&mut self, network: NetworkId, prefix: Prefix, router: RouterId) {
        let link = self.routers[router.0].outer;
        self.networks[network.0].routes.push((prefix, link));
    }

    /// A router's links, inner and outer.
    pub fn router_links(&self, router: RouterId) -> [LinkId; 2] {
        let router = &self.routers[router.0];
        [router.inner, router.outer]
    }

    /// A host's links.
    pub fn links(&self, host: HostId) -> &[LinkId] {
        &self.hosts[host.0].links
    }

    /// Starts a machine on a host. `sockets` are the ports of its first sockets, by number; 0 for any.
    ///
    /// # Panics
    /// A port is in use on that host.
    pub fn attach(
        &mut self,
        host: HostId,
        name: &str,
        machine: Box<dyn Machine>,
        sockets: &[u16],
    ) -> MachineId {
        let id = MachineId(self.machines.len());
        self.machines.push(Runner {
            name: name.to_owned(),
            host,
            machine,
            sockets: BTreeMap::new(),
            wakes_at: None,
            spins: 0,
            is_running: true,
        });
        for (socket, port) in sockets.iter().enumerate() {
            self.open(id, socket, *port);
        }
        self.drain(id);
        id
    }

    /// A port that no socket of the host has, for a machine that wants to know it before it is attached.
    pub fn free_port(&mut self, host: HostId) -> u16 {
        let host = &mut self.hosts[host.0];
        loop {
            // Linux's range of ephemeral ports.
            let port = 32_768 + host.chance.below(28_232) as u16;
            if !host.ports.contains_key(&port) {
                return port;
            }
        }
    }

    /// Whether no socket of the host has this port.
    pub fn is_free(&self, host: HostId, port: u16) -> bool {
        !self.hosts[host.0].ports.contains_key(&port)
    }

    /// Opens a socket of a machine on a port, 0 for any; returns the port.
    ///
    /// # Panics
    /// The port is in use on that host.
    pub fn open(&mut self, id: MachineId, socket: usize, port: u16) -> u16 {
        let host = self.machines[id.0].host;
        let port = if port == 0 {
            self.free_port(host)
        } else {
            port
        };
        let before = self.hosts[host.0].ports.insert(port, (id, socket));
        assert!(
            before.is_none(),
            "port {port} of {} is in use",
            self.hosts[host.0].name
        );
        if let Some(old) = self.machines[id.0].sockets.insert(socket, port) {
            self.hosts[host.0].ports.remove(&old);
        }
        port
    }

    fn link(&mut self, name: &str, port: Port, end: End) -> LinkId {
        let id = LinkId(self.links.len());
        let chance = self.chance.derive(name).derive(&format!("link {}", id.0));
        let network = &mut self.networks[port.network.0];
        for address in &port.addresses {
            let before = network.addresses.insert(*address, id);
            assert!(before.is_none(), "{} has {address} already", network.name);
        }
        self.links.push(Link {
            name: name.to_owned(),
            network: port.network,
            end,
            addresses: port.addresses,
            is_up: true,
            up: Direction::new(port.conditions),
            down: Direction::new(port.conditions),
            chance,
            interface: None,
        });
        id
    }
}
