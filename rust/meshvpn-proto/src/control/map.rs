//! The mesh as one node sees it.
//!
//! The coordinator makes a [`Map`] for each node: whole when the node comes, in numbered changes after that.
//! It holds what a node needs to reach its peers, and nothing that is secret.

use core::fmt;
use core::net::IpAddr;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient;
use crate::keys::PublicKey;
use crate::path::candidate::Candidate;
use crate::route::Prefix;

/// A node's number in its mesh. Never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A relay's number in its mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RelayId(pub u32);

impl fmt::Display for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that a node is told of its mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The number of the last change that is in it.
    #[serde(default)]
    pub version: u64,
    /// What names of nodes end with, `mesh.internal` say.
    #[serde(default)]
    pub domain: String,
    /// The node itself; none before it is approved.
    #[serde(default)]
    pub node: Option<Node>,
    /// All nodes that it may see, without itself.
    #[serde(default)]
    pub peers: BTreeMap<NodeId, Node>,
    /// The relays of the mesh.
    #[serde(default)]
    pub relays: BTreeMap<RelayId, Relay>,
    /// Whether nodes may send each other anything at all. Default is deny.
    #[serde(default)]
    pub allow_all: bool,
}

/// A node, as its peers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// Its name, one DNS label, unique in the mesh.
    pub name: String,
    /// Its WireGuard key, which is also its address on a relay.
    pub key: PublicKey,
    /// Its addresses in the mesh.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Networks behind it that were approved: subnet routes, and `0.0.0.0/0` and `::/0` of an exit node.
    #[serde(default)]
    pub routes: Vec<Prefix>,
    /// Where it may be reached directly.
    #[serde(default, deserialize_with = "lenient::list")]
    pub candidates: Vec<Candidate>,
    /// Through which relay it can always be reached.
    #[serde(default)]
    pub home_relay: Option<RelayId>,
    /// Whether the coordinator has heard of it lately.
    #[serde(default)]
    pub is_online: bool,
    /// When its key expires, in seconds since 1970.
    #[serde(default)]
    pub key_expiry: Option<u64>,
    /// Its tags, without `tag:`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// A WireGuard peer of another make, which answers no path probes: it has one endpoint, and moves by
    /// WireGuard's own roaming.
    #[serde(default)]
    pub is_static: bool,
}

/// A relay, as nodes see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// Its number.
    pub id: RelayId,
    /// The region it serves, `eu` say: nodes of one region share a home.
    pub region: String,
    /// Where it is: `https://relay.example` or `http://203.0.113.5:8080`; its path is `/derp`.
    pub url: String,
    /// SHA-256 of its certificate, in hex, where no authority vouches for that.
    #[serde(default)]
    pub certificate_sha256: Option<String>,
    /// UDP port of its STUN server, at the host of [`url`](Self::url); none when it has none.
    #[serde(default)]
    pub stun_port: Option<u16>,
}
