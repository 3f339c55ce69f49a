//! What changed between two numbered views of a mesh.
//!
//! What changes often (candidates, home relay, presence, key) is sent as a [`Patch`]; a node that changed
//! otherwise is sent whole.

use serde::{Deserialize, Serialize};

use super::lenient;
use super::map::{Map, Node, NodeId, Relay, RelayId};
use super::view::View;
use crate::keys::PublicKey;
use crate::path::candidate::Candidate;

/// The changes from one version to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The version that it applies to.
    pub from: u64,
    /// The version that it leads to.
    pub to: u64,
    /// What names of nodes end with now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Whether nodes may send each other anything now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_all: Option<bool>,
    /// Nodes that are new, or changed as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Node>,
    /// Nodes that are no longer to be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<NodeId>,
    /// Nodes of which a little changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Relays that are new or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<Relay>,
    /// Relays that are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_relays: Vec<RelayId>,
}

/// What changed of a node; nothing else did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Which node.
    pub id: NodeId,
    /// Its WireGuard key, after it was rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    /// Where it may be reached directly.
    #[serde(
        default,
        deserialize_with = "lenient::optional_list",
        skip_serializing_if = "Option::is_none"
    )]
    pub candidates: Option<Vec<Candidate>>,
    /// Its home relay; null when it has none now.
    #[serde(
        default,
        deserialize_with = "lenient::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub home_relay: Option<Option<RelayId>>,
    /// Whether the coordinator has heard of it lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_online: Option<bool>,
    /// When its key expires; null for never.
    #[serde(
        default,
        deserialize_with = "lenient::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub key_expiry: Option<Option<u64>>,
}

impl Delta {
    /// What leads from one view to the other.
    pub fn between(old: &View, new: &View) -> Self {
        let mut delta = Self {
            from: old.version,
            to: new.version,
            domain: (old.domain != new.domain).then(|| new.domain.clone()),
            allow_all: (old.allow_all != new.allow_all).then_some(new.allow_all),
            ..Self::default()
        };
        for (id, node) in &new.nodes {
            delta.note_node(old.nodes.get(id), node);
        }
        let is_gone = |id: &&NodeId| !new.nodes.contains_key(id);
        delta.removed.extend(old.nodes.keys().filter(is_gone));
        let is_new = |relay: &&Relay| old.relays.get(&relay.id) != Some(relay);
        let relays = new.relays.values().filter(is_new);
        delta.relays.extend(relays.cloned());
        let is_gone = |id: &&RelayId| !new.relays.contains_key(id);
        let gone = old.relays.keys().filter(is_gone);
        delta.removed_relays.extend(gone);
        delta
    }

    /// Takes note that a node was `old` and is `new`, in as few bytes as that takes.
    pub fn note_node(&mut self, old: Option<&Node>, new: &Node) {
        match old {
            Some(old) if old == new => {}
            Some(old) => match Patch::between(old, new) {
                Some(patch) => self.patches.push(patch),
                None => self.changed.push(new.clone()),
            },
            None => self.changed.push(new.clone()),
        }
    }

    /// Whether it changes nothing but the number.
    pub fn is_empty(&self) -> bool {
        let numbers = Self {
            from: self.from,
            to: self.to,
            ..Self::default()
        };
        *self == numbers
    }

    /// Changes `map`, the map of its [own node](Map::node) `own`. False, and nothing is changed, when it
    /// has another version than this delta applies to.
    #[must_use]
    pub fn apply(&self, map: &mut Map, own: NodeId) -> bool {
        if map.version != self.from {
            return false;
        }
        map.version = self.to;
        if let Some(domain) = &self.domain {
            map.domain.clone_from(domain);
        }
        map.allow_all = self.allow_all.unwrap_or(map.allow_all);
        for node in &self.changed {
            if node.id == own {
                map.node = Some(node.clone());
            } else {
                map.peers.insert(node.id, node.clone());
            }
        }
        for id in &self.removed {
            if *id == own {
                map.node = None;
            } else {
                map.peers.remove(id);
            }
        }
        for patch in &self.patches {
            let node = if patch.id == own {
                map.node.as_mut()
            } else {
                map.peers.get_mut(&patch.id)
            };
            if let Some(node) = node {
                patch.apply(node);
            }
        }
        for relay in &self.relays {
            map.relays.insert(relay.id, relay.clone());
        }
        for id in &self.removed_relays {
            map.relays.remove(id);
        }
        true
    }

    /// All nodes of which it says something.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        let changed = self.changed.iter().map(|node| node.id);
        let patched = self.patches.iter().map(|patch| patch.id);
        changed.chain(patched).chain(self.removed.iter().copied())
    }
}

impl Patch {
    /// What makes `new` of `old`; none when a patch cannot say it.
    fn between(old: &Node, new: &Node) -> Option<Self> {
        let patch = Self {
            id: new.id,
            key: (old.key != new.key).then_some(new.key),
            candidates: (old.candidates != new.candidates).then(|| new.candidates.clone()),
            home_relay: (old.home_relay != new.home_relay).then_some(new.home_relay),
            is_online: (old.is_online != new.is_online).then_some(new.is_online),
            key_expiry: (old.key_expiry != new.key_expiry).then_some(new.key_expiry),
        };
        let mut patched = old.clone();
        patch.apply(&mut patched);
        (patched == *new).then_some(patch)
    }

    fn apply(&self, node: &mut Node) {
        node.key = self.key.unwrap_or(node.key);
        if let Some(candidates) = &self.candidates {
            node.candidates.clone_from(candidates);
        }
        node.home_relay = self.home_relay.unwrap_or(node.home_relay);
        node.is_online = self.is_online.unwrap_or(node.is_online);
        node.key_expiry = self.key_expiry.unwrap_or(node.key_expiry);
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::path::candidate::Kind;

    fn candidate() -> impl Strategy<Value = Candidate> {
        (any::<bool>(), 0..4u8, 1..4u16).prop_map(|(is_host, host, port)| Candidate {
            kind: if is_host {
                Kind::Host
            } else {
                Kind::PortMapped
            },
            address: (Ipv4Addr::new(192, 0, 2, host), port).into(),
        })
    }

    fn node(id: u64) -> impl Strategy<Value = Node> {
        let often = (
            0..3u8,
            prop::collection::vec(candidate(), 0..3),
            prop::option::of((0..3u32).prop_map(RelayId)),
            any::<bool>(),
            prop::option::of(0..3u64),
        );
        let seldom = ("[ab]", prop::collection::vec("[xy]", 0..2), 0..2u8);
        (often, seldom).prop_map(
            move |((key, candidates, home_relay, is_online, key_expiry), (name, tags, host))| {
                Node {
                    id: NodeId(id),
                    name,
                    key: PublicKey::new([key; 32]),
                    addresses: vec![IpAddr::from([100, 64, 0, host])],
                    routes: Vec::new(),
                    candidates,
                    home_relay,
                    is_online,
                    key_expiry,
                    tags,
                    is_static: host == 1,
                }
            },
        )
    }

    fn relay() -> impl Strategy<Value = Relay> {
        (0..3u32, "[ab]").prop_map(|(id, region)| Relay {
            id: RelayId(id),
            region,
            url: "https://relay.example".to_owned(),
            certificate_sha256: None,
            stun_port: None,
        })
    }

    fn view() -> impl Strategy<Value = View> {
        let nodes = prop::collection::vec((0..5u64).prop_flat_map(node), 0..5);
        let relays = prop::collection::vec(relay(), 0..3);
        (any::<u64>(), "[ab]", nodes, relays, any::<bool>()).prop_map(
            |(version, domain, nodes, relays, allow_all)| View {
                version,
                domain,
                nodes: nodes.into_iter().map(|node| (node.id, node)).collect(),
                relays: relays.into_iter().map(|relay| (relay.id, relay)).collect(),
                allow_all,
            },
        )
    }

    proptest! {
        #[test]
        fn applying_what_changed_gives_the_new_view(
            old in view(), new in view(), own in (0..5u64).prop_map(NodeId),
        ) {
            let delta = Delta::between(&old, &new);
            let text = serde_json::to_string(&delta).unwrap();
            let delta: Delta = serde_json::from_str(&text).unwrap();
            let mut map = old.clone().into_map(own);
            prop_assert!(delta.apply(&mut map, own));
            prop_assert_eq!(&map, &new.clone().into_map(own));
            prop_assert_eq!(delta.is_empty(), old == View { version: old.version, ..new.clone() });
            if old.version != new.version {
                prop_assert!(!delta.apply(&mut map, own));
                prop_assert_eq!(map, new.into_map(own));
            }
        }

        #[test]
        fn a_view_survives_its_json(view in view()) {
            let text = serde_json::to_string(&view).unwrap();
            prop_assert_eq!(serde_json::from_str::<View>(&text).unwrap(), view);
        }
    }

    #[test]
    fn a_new_candidate_takes_few_bytes() {
        let old = Node {
            id: NodeId(1),
            name: "laptop".to_owned(),
            key: PublicKey::new([1; 32]),
            addresses: Vec::new(),
            routes: Vec::new(),
            candidates: Vec::new(),
            home_relay: None,
            is_online: true,
            key_expiry: None,
            tags: Vec::new(),
            is_static: false,
        };
        let new = Node {
            candidates: vec![Candidate {
                kind: Kind::Host,
                address: ([192, 0, 2, 1], 41641).into(),
            }],
            home_relay: Some(RelayId(2)),
            ..old.clone()
        };
        let view = |version, node: &Node| View {
            version,
            nodes: BTreeMap::from([(node.id, node.clone())]),
            ..View::default()
        };
        let delta = Delta::between(&view(5, &old), &view(6, &new));
        let expected = concat!(
            r#"{"from":5,"to":6,"patches":[{"id":1,"candidates":[{"kind":"host","#,
            r#""address":"192.0.2.1:41641"}],"home_relay":2}]}"#
        );
        assert_eq!(serde_json::to_string(&delta).unwrap(), expected);
        let back = Delta::between(&view(6, &new), &view(7, &old));
        let text = serde_json::to_string(&back).unwrap();
        assert!(text.contains(r#""home_relay":null"#), "{text}");
        assert_eq!(serde_json::from_str::<Delta>(&text).unwrap(), back);
    }
}
