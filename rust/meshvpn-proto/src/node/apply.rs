//! What a new map changes, and nothing else.

use core::sync::atomic::Ordering;

use super::names::Names;
use super::peer::{Agent, Peer};
use super::{Event, Node};
use crate::control::map::{self, Map, NodeId};
use crate::forward::Filter;
use crate::forward::filter::DenyAll;
use crate::keys::PrivateKey;
use crate::path::agent::{PathAgent, Sockets};
use crate::path::candidate::Candidate;
use crate::route::Prefix;
use crate::time::Now;

impl Node {
    /// Takes over a map: the first, or one with later changes in it. Peers that are in both are not disturbed.
    pub fn apply_map(&mut self, now: Now, map: Map) {
        if self.map.allow_all != map.allow_all {
            let filter: Option<Box<dyn Filter>> = (!map.allow_all).then(|| Box::new(DenyAll) as _);
            self.wireguard.set_filter(filter);
        }
        let before = core::mem::replace(&mut self.map, map);
        self.names = Names::of(&self.map);
        let gone = before.peers.keys();
        let gone = gone.filter(|id| !self.map.peers.contains_key(id));
        for id in gone.copied().collect::<Vec<_>>() {
            self.remove(now, id);
        }
        let changed = self.map.peers.iter();
        let changed = changed.filter(|(id, node)| before.peers.get(id) != Some(node));
        let changed: Vec<_> = changed.map(|(id, node)| (*id, node.clone())).collect();
        for (id, node) in &changed {
            self.update(now, *id, node, before.peers.get(id));
        }
        self.update_allowed_ips(changed.iter().map(|(id, _)| *id));
        self.drain_wireguard(now, None);
    }

    /// Proves another identity from now on. All sessions end.
    pub fn set_private_key(&mut self, now: Now, key: PrivateKey) {
        self.wireguard.set_private_key(now, Some(key));
        self.for_each_agent(now, |agent| agent.handle_no_session(now.instant));
    }

    /// Sends what goes nowhere else through this peer, as far as it has been approved as an exit node; or through none.
    pub fn set_exit_node(&mut self, peer: Option<NodeId>) {
        let before = core::mem::replace(&mut self.exit_node, peer);
        self.update_allowed_ips(before.into_iter().chain(peer));
    }

    fn update(&mut self, now: Now, id: NodeId, node: &map::Node, before: Option<&map::Node>) {
        let is_same = |peer: &Peer| {
            peer.key == node.key && matches!(peer.agent, Agent::Static) == node.is_static
        };
        let is_added = !self.peers.get(&id).is_some_and(is_same);
        if is_added && !self.add(now, id, node) {
            return;
        }
        let is_elsewhere = before.is_none_or(|before| before.home_relay != node.home_relay);
        if (is_added || is_elsewhere) && !node.is_static {
            self.events.push_back(Event::Relay {
                peer: id,
                key: node.key,
                relay: node.home_relay,
            });
        }
        let candidates: Vec<_> = node
            .candidates
            .iter()
            .filter(|candidate| {
                // A path inside the mesh would carry itself.
                self.whois(candidate.address.ip()).is_none()
            })
            .copied()
            .collect();
        if node.is_static {
            self.set_endpoint(now, id, &candidates);
            return;
        }
        self.with_agent(now, id, |agent| {
            agent.handle_candidates(now.instant, &candidates)
        });
        let has_come = node.is_online && before.is_some_and(|before| !before.is_online);
        if has_come || before.is_some_and(|before| before.candidates != node.candidates) {
            self.repeat_initiation(now, id);
        }
    }

    /// Adds a peer, or puts one with another key in its place. False when it cannot be: its key is ours.
    fn add(&mut self, now: Now, id: NodeId, node: &map::Node) -> bool {
        let former = self.peers.remove(&id);
        if let Some(former) = &former {
            self.forget(now, former, id);
        }
        let Some(slot) = self.wireguard.add_peer(now, node.key, self.datagram_max) else {
            return false;
        };
        // Another node had this key until now.
        if let Some(other) = self.by_slot.insert(slot, id) {
            self.peers.remove(&other);
        }
        let agent = if node.is_static {
            Agent::Static
        } else {
            // The path agent decides where the peer is.
            self.table.slot(slot).roams.store(false, Ordering::Relaxed);
            Agent::Ours(Box::new(self.new_agent(now)))
        };
        let peer = Peer {
            slot,
            key: node.key,
            agent,
            deadline: None,
            unanswered: None,
            is_up: false,
        };
        self.peers.insert(id, peer);
        true
    }

    fn new_agent(&mut self, now: Now) -> PathAgent {
        let seed = self.entropy.number();
        PathAgent::new(now.instant, self.sockets, &self.candidates, seed.into())
    }

    fn set_endpoint(&mut self, now: Now, id: NodeId, candidates: &[Candidate]) {
        let sockets: Sockets = self.sockets;
        let mut paths = candidates
            .iter()
            .filter_map(|candidate| sockets.path_to(candidate.address));
        if let (Some(peer), Some(path)) = (self.peers.get(&id), paths.next()) {
            self.wireguard.set_endpoint(now, peer.slot, path);
        }
    }

    fn remove(&mut self, now: Now, id: NodeId) {
        if let Some(peer) = self.peers.remove(&id) {
            self.forget(now, &peer, id);
            if matches!(peer.agent, Agent::Ours(_)) {
                let (key, relay) = (peer.key, None);
                self.events.push_back(Event::Relay {
                    peer: id,
                    key,
                    relay,
                });
            }
        }
    }

    fn forget(&mut self, now: Now, peer: &Peer, id: NodeId) {
        peer.deadline.map(|at| self.deadlines.remove(&(at, id)));
        self.wireguard.remove_peer(now, &peer.key);
        self.by_slot.remove(&peer.slot);
        if peer.is_up {
            self.events.push_back(Event::Down { peer: id });
        }
    }

    /// Gives these peers what the map says is theirs, all at once.
    fn update_allowed_ips(&mut self, ids: impl Iterator<Item = NodeId>) {
        let mut owned = Vec::new();
        for id in ids {
            let (Some(peer), Some(node)) = (self.peers.get(&id), self.map.peers.get(&id)) else {
                continue;
            };
            let is_exit = self.exit_node == Some(id);
            let routes = node.routes.iter().copied();
            let routes = routes.filter(|route| route.len() > 0 || is_exit);
            let addresses = node.addresses.iter().map(|address| Prefix::host(*address));
            owned.push((peer.slot, addresses.chain(routes).collect::<Vec<_>>()));
        }
        if owned.is_empty() {
            return;
        }
        self.wireguard.edit_allowed_ips(|allowed| {
            for (slot, _) in &owned {
                allowed.remove_all(slot);
            }
            for (slot, prefixes) in owned {
                for prefix in prefixes {
                    allowed.insert(prefix, slot);
                }
            }
        });
    }
}
