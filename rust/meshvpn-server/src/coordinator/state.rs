//! A copy of all records, with what is looked up often.
//!
//! Applying a change gives the change that undoes it: a coordinator decides on the strength of changes that
//! are not yet written, and takes them back when another coordinator was faster.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use meshvpn_proto::control::auth_key::AuthKeyId;
use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::route::Prefix;

use super::record::{Change, KeyRecord, NodeRecord, Settings, Subject};

/// All records as this coordinator knows them.
#[derive(Debug, Default)]
pub(super) struct State {
    nodes: BTreeMap<NodeId, NodeRecord>,
    keys: BTreeMap<AuthKeyId, KeyRecord>,
    settings: Settings,
    next_node: u64,
    by_machine: BTreeMap<PublicKey, NodeId>,
    by_node_key: BTreeMap<PublicKey, NodeId>,
    by_name: BTreeMap<String, NodeId>,
    by_address: BTreeMap<IpAddr, NodeId>,
    routers: BTreeMap<Prefix, BTreeSet<NodeId>>,
    expiries: BTreeSet<(u64, NodeId)>,
}

impl State {
    /// Makes a change; returns the one that takes it back.
    pub(super) fn apply(&mut self, change: Change) -> Change {
        match change {
            Change::Node(node) => {
                let subject = Subject::Node(node.id);
                let old = self.remove_node(node.id);
                self.insert_node(*node);
                undo(subject, old.map(|node| Change::Node(Box::new(node))))
            }
            Change::Key(key) => {
                let change = Change::Key(key.clone());
                let subject = change.subject();
                let Subject::Key(id) = &subject else {
                    return change;
                };
                let old = self.keys.insert(id.clone(), key);
                undo(subject, old.map(Change::Key))
            }
            Change::Settings(settings) => {
                Change::Settings(core::mem::replace(&mut self.settings, settings))
            }
            Change::NextNode(number) => {
                Change::NextNode(core::mem::replace(&mut self.next_node, number))
            }
            Change::Removed(subject) => {
                let old = match &subject {
                    Subject::Node(id) => {
                        let old = self.remove_node(*id);
                        old.map(|node| Change::Node(Box::new(node)))
                    }
                    Subject::Key(id) => self.keys.remove(id).map(Change::Key),
                    Subject::Settings => {
                        Some(Change::Settings(core::mem::take(&mut self.settings)))
                    }
                    Subject::NextNode => {
                        Some(Change::NextNode(core::mem::take(&mut self.next_node)))
                    }
                };
                undo(subject, old)
            }
        }
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&NodeRecord> {
        self.nodes.get(&id)
    }

    pub(super) fn nodes(&self) -> impl ExactSizeIterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    pub(super) fn by_machine(&self, key: &PublicKey) -> Option<&NodeRecord> {
        self.nodes.get(self.by_machine.get(key)?)
    }

    pub(super) fn by_node_key(&self, key: &PublicKey) -> Option<&NodeRecord> {
        self.nodes.get(self.by_node_key.get(key)?)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&NodeRecord> {
        self.nodes.get(self.by_name.get(name)?)
    }

    pub(super) fn is_address_taken(&self, address: &IpAddr) -> bool {
        self.by_address.contains_key(address)
    }

    pub(super) fn addresses_within(&self, network: &Prefix) -> usize {
        let taken = self.by_address.range(network.address()..);
        taken
            .take_while(|(address, _)| network.contains(**address))
            .count()
    }

    pub(super) fn key(&self, id: &AuthKeyId) -> Option<&KeyRecord> {
        self.keys.get(id)
    }

    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = &KeyRecord> {
        self.keys.values()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number that the next node gets.
    pub(super) fn next_node(&self) -> NodeId {
        NodeId(self.next_node.max(1))
    }

    /// Members that may route `prefix` and say that they can, in order.
    pub(super) fn routers(&self, prefix: &Prefix) -> impl Iterator<Item = &NodeRecord> {
        let ids = self.routers.get(prefix).into_iter().flatten();
        ids.filter_map(|id| self.nodes.get(id))
    }

    /// All nodes that may and can route a network, exit nodes apart.
    pub(super) fn subnet_routers(&self) -> impl Iterator<Item = NodeId> {
        let subnets = self.routers.iter().filter(|(prefix, _)| prefix.len() > 0);
        subnets.flat_map(|(_, ids)| ids).copied()
    }

    /// When keys expire, the next one first.
    pub(super) fn expiries(&self) -> impl Iterator<Item = (u64, NodeId)> {
        self.expiries.iter().copied()
    }

    fn insert_node(&mut self, node: NodeRecord) {
        if let Some(machine) = node.machine_key {
            self.by_machine.insert(machine, node.id);
        }
        self.by_node_key.insert(node.node_key, node.id);
        self.by_name.insert(node.name.clone(), node.id);
        for address in &node.addresses {
            self.by_address.insert(*address, node.id);
        }
        for prefix in granted(&node) {
            self.routers.entry(*prefix).or_default().insert(node.id);
        }
        if let Some(expiry) = node.key_expiry {
            self.expiries.insert((expiry, node.id));
        }
        self.nodes.insert(node.id, node);
    }

    fn remove_node(&mut self, id: NodeId) -> Option<NodeRecord> {
        let node = self.nodes.remove(&id)?;
        if let Some(machine) = &node.machine_key {
            self.by_machine.remove(machine);
        }
        self.by_node_key.remove(&node.node_key);
        self.by_name.remove(&node.name);
        for address in &node.addresses {
            self.by_address.remove(address);
        }
        for prefix in granted(&node) {
            if let Some(routers) = self.routers.get_mut(prefix) {
                routers.remove(&id);
                if routers.is_empty() {
                    self.routers.remove(prefix);
                }
            }
        }
        if let Some(expiry) = node.key_expiry {
            self.expiries.remove(&(expiry, id));
        }
        Some(node)
    }
}

/// Networks that a node both may and can route to.
pub(super) fn granted(node: &NodeRecord) -> impl Iterator<Item = &Prefix> {
    let can = |prefix: &&Prefix| node.is_static || node.advertised.contains(prefix);
    node.approved.iter().filter(can)
}

fn undo(subject: Subject, old: Option<Change>) -> Change {
    old.unwrap_or(Change::Removed(subject))
}

#[cfg(test)]
mod tests {
    use meshvpn_proto::control::messages::HostInfo;

    use super::*;

    pub(crate) fn node(id: u64) -> NodeRecord {
        NodeRecord {
            id: NodeId(id),
            machine_key: Some(PublicKey::new([id as u8; 32])),
            node_key: PublicKey::new([id as u8 + 100; 32]),
            name: format!("n{id}"),
            addresses: vec![[100, 64, 0, id as u8].into()],
            host: HostInfo::default(),
            advertised: vec!["10.0.0.0/8".parse().unwrap()],
            approved: vec!["10.0.0.0/8".parse().unwrap()],
            candidates: Vec::new(),
            home_relay: None,
            tags: Vec::new(),
            is_member: true,
            is_ephemeral: false,
            is_static: false,
            online_at: None,
            created: 0,
            last_seen: 0,
            key_expiry: Some(id),
            is_expired: false,
            auth_key: None,
        }
    }

    #[test]
    fn what_is_undone_leaves_no_trace() {
        let mut state = State::default();
        let mut renamed = node(1);
        renamed.name = "other".to_owned();
        renamed.key_expiry = None;
        renamed.approved.clear();
        let changes = [
            Change::Node(Box::new(node(1))),
            Change::NextNode(2),
            Change::Node(Box::new(node(2))),
            Change::Node(Box::new(renamed)),
            Change::Removed(Subject::Node(NodeId(2))),
        ];
        let mut undos: Vec<_> = Vec::new();
        let mut shown = Vec::new();
        for change in changes {
            shown.push(format!("{state:?}"));
            undos.push(state.apply(change));
        }
        while let (Some(undo), Some(before)) = (undos.pop(), shown.pop()) {
            state.apply(undo);
            assert_eq!(format!("{state:?}"), before);
        }
    }
}
