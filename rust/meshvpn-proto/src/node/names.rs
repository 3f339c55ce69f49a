//! Names and addresses: who is meant, and who it was.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::Node;
use crate::control::map::{Map, NodeId};

/// Nodes by name and by address, ourselves included.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_name: BTreeMap<String, NodeId>,
    by_address: BTreeMap<IpAddr, NodeId>,
}

impl Names {
    pub(super) fn of(map: &Map) -> Self {
        let mut names = Self::default();
        for node in map.peers.values().chain(&map.node) {
            names
                .by_name
                .insert(node.name.to_ascii_lowercase(), node.id);
            let addresses = node.addresses.iter();
            names
                .by_address
                .extend(addresses.map(|address| (*address, node.id)));
        }
        names
    }
}

impl Node {
    /// The node of this name: `laptop`, or `laptop.` and the mesh's domain. Names know no case.
    pub fn named(&self, name: &str) -> Option<NodeId> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let domain = self.map.domain.to_ascii_lowercase();
        let label = match name.strip_suffix(&domain).filter(|_| !domain.is_empty()) {
            Some(label) => label.strip_suffix('.')?,
            None => &name,
        };
        self.names.by_name.get(label).copied()
    }

    /// The addresses of the node of this name.
    pub fn resolve(&self, name: &str) -> &[IpAddr] {
        let node = self.named(name).and_then(|id| self.known(id));
        node.map_or(&[], |node| &node.addresses)
    }

    /// Whose own address this is.
    pub fn whois(&self, address: IpAddr) -> Option<NodeId> {
        self.names.by_address.get(&address).copied()
    }

    /// The peer that packets to this address go to: whose own it is, or who has the way there.
    pub fn next_hop(&self, address: IpAddr) -> Option<NodeId> {
        let slot = self.wireguard.allowed_ips().lookup(address)?;
        self.by_slot.get(slot).copied()
    }

    /// What the map says of a node, which may be ourselves.
    pub fn known(&self, id: NodeId) -> Option<&crate::control::map::Node> {
        let own = self.map.node.as_ref().filter(|node| node.id == id);
        own.or_else(|| self.map.peers.get(&id))
    }
}
