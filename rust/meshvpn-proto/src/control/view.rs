//! The mesh as the coordinator signs it: one text for all nodes that may see the same.
//!
//! A [`Map`] is a view with the reader's own node set apart. So a view, and each change
//! of it, is written and signed once, no matter how many nodes it goes to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::map::{Map, Node, NodeId, Relay, RelayId};

/// Everything that some nodes are told of their mesh, themselves included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The number of the last change that is in it.
    #[serde(default)]
    pub version: u64,
    /// What names of nodes end with.
    #[serde(default)]
    pub domain: String,
    /// All nodes that may be seen.
    #[serde(default)]
    pub nodes: BTreeMap<NodeId, Node>,
    /// The relays of the mesh.
    #[serde(default)]
    pub relays: BTreeMap<RelayId, Relay>,
    /// Whether nodes may send each other anything at all.
    #[serde(default)]
    pub allow_all: bool,
}

impl View {
    /// The view as the node `own` sees it.
    pub fn into_map(mut self, own: NodeId) -> Map {
        Map {
            version: self.version,
            domain: self.domain,
            node: self.nodes.remove(&own),
            peers: self.nodes,
            relays: self.relays,
            allow_all: self.allow_all,
        }
    }
}
