//! What administrators ask of a coordinator, and what it answers.

use core::net::IpAddr;

use meshvpn_proto::control::auth_key::AuthKeyId;
use meshvpn_proto::control::map::{NodeId, RelayId};
use meshvpn_proto::control::messages::HostInfo;
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::path::candidate::Candidate;
use meshvpn_proto::route::Prefix;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A request. Nodes are called by their number or their name.
#[derive(Debug, Clone)]
pub enum Request {
    /// About the mesh as a whole.
    Mesh,
    /// All nodes.
    Nodes,
    /// One node.
    Node(String),
    /// Whether this WireGuard key belongs to a member.
    Verify(PublicKey),
    /// Lets a node in.
    Approve(String),
    /// Gives a node another name.
    Rename(String, String),
    /// Gives a node these tags and no others.
    Tag(String, Vec<String>),
    /// Lets a node route these networks, of those that it advertises, and no others.
    ApproveRoutes(String, Vec<Prefix>),
    /// Makes a node's key expire at this time, in seconds since 1970; none: never; a time that is past: now.
    Expire(String, Option<u64>),
    /// Removes a node.
    Remove(String),
    /// Adds a WireGuard peer of another make.
    AddStatic(NewStatic),
    /// All auth keys.
    Keys,
    /// A new auth key.
    CreateKey(NewKey),
    /// Makes an auth key worthless; the nodes that it admitted stay.
    RevokeKey(String),
}

/// A new auth key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Whether it admits more than one node.
    #[serde(default)]
    pub reusable: bool,
    /// Whether its nodes vanish when they are gone.
    #[serde(default)]
    pub ephemeral: bool,
    /// Whether its nodes must be approved.
    #[serde(default)]
    pub needs_approval: bool,
    /// Tags of its nodes.
    #[serde(default)]
    pub tags: Vec<String>,
    /// In how many seconds it expires; none: never.
    #[serde(default)]
    pub expires_in: Option<u64>,
    /// What the shell fills in: from a cryptographic source.
    #[serde(skip)]
    pub random: Option<Zeroizing<[u8; 40]>>,
}

/// A WireGuard peer of another make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewStatic {
    /// Its name.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
    /// Where it may be reached; none when it always comes by itself.
    #[serde(default)]
    pub endpoint: Option<core::net::SocketAddr>,
    /// Networks behind it.
    #[serde(default)]
    pub routes: Vec<Prefix>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// About the mesh.
    Mesh(MeshInfo),
    /// Nodes.
    Nodes(Vec<NodeInfo>),
    /// The node, as it is now.
    Node(Box<NodeInfo>),
    /// Auth keys.
    Keys(Vec<KeyInfo>),
    /// A new auth key, which is shown this once.
    NewKey(NewKeyInfo),
    /// Whether a key belongs to a member.
    Verified {
        /// Yes or no.
        allow: bool,
    },
    /// It is done.
    Done {},
}

/// The mesh as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeshInfo {
    /// What names of nodes end with.
    pub domain: String,
    /// The coordinator's public key, which nodes must know.
    pub public_key: PublicKey,
    /// What its maps are signed with.
    pub map_key: String,
    /// The number of the last change.
    pub version: u64,
    /// Where nodes get addresses from.
    pub networks: Vec<Prefix>,
    /// Whether nodes may send each other anything.
    pub allow_all: bool,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many of them are connected, to whichever coordinator.
    pub online: usize,
}

/// A node, for administrators. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeInfo {
    /// Its number.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// `online`, `offline`, `pending` or `expired`.
    pub status: &'static str,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its WireGuard key.
    pub key: PublicKey,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it runs on.
    pub host: HostInfo,
    /// Where it may be reached.
    pub candidates: Vec<Candidate>,
    /// Its home relay.
    pub home_relay: Option<RelayId>,
    /// Networks that it could route to.
    pub advertised_routes: Vec<Prefix>,
    /// Networks that it may route to.
    pub approved_routes: Vec<Prefix>,
    /// Networks that it does route to now.
    pub active_routes: Vec<Prefix>,
    /// Whether it vanishes when it is gone.
    pub ephemeral: bool,
    /// A WireGuard peer of another make.
    #[serde(rename = "static")]
    pub is_static: bool,
    /// When it first came.
    pub created: u64,
    /// When it last came or went.
    pub last_seen: u64,
    /// When its key expires.
    pub key_expiry: Option<u64>,
    /// What admitted it.
    pub auth_key: Option<String>,
}

/// An auth key, for administrators. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub id: String,
    /// `valid`, `used` or `expired`.
    pub status: &'static str,
    /// What it is for.
    pub description: String,
    /// Whether it admits more than one node.
    pub reusable: bool,
    /// Whether its nodes vanish when they are gone.
    pub ephemeral: bool,
    /// Whether its nodes must be approved.
    pub needs_approval: bool,
    /// Tags of its nodes.
    pub tags: Vec<String>,
    /// How many nodes it has admitted.
    pub uses: u64,
    /// When it was made.
    pub created: u64,
    /// When it expires.
    pub expiry: Option<u64>,
}

/// A new auth key, with its secret.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct NewKeyInfo {
    /// The key, as a machine is given it.
    #[serde(serialize_with = "reveal")]
    pub key: Zeroizing<String>,
    /// What is known of it.
    #[serde(flatten)]
    pub info: KeyInfo,
}

impl core::fmt::Debug for NewKeyInfo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "NewKeyInfo({}, secret)", self.info.id)
    }
}

/// This is the one place where a key goes out.
fn reveal<S: serde::Serializer>(key: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key)
}

/// Why a request is refused: field, value and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No node has this number or name.
    #[error("no node is called {0:?}: `meshvpn coordinator nodes` lists them")]
    NoNode(String),
    /// No auth key has this name.
    #[error("no auth key is called {0:?}: `meshvpn coordinator keys` lists them")]
    NoKey(String),
    /// A value that cannot be taken.
    #[error("{field}: {text}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong with it, and the way out.
        text: String,
    },
    /// It contradicts what there is.
    #[error("{field}: {text}")]
    Conflict {
        /// Which.
        field: &'static str,
        /// What is in the way.
        text: String,
    },
    /// The store does not answer.
    #[error("not stored, try again: {0}")]
    Unavailable(String),
}

/// Parses the name of an auth key in a request.
pub(super) fn key_id(text: &str) -> Result<AuthKeyId, RequestError> {
    AuthKeyId::parse(text).ok_or_else(|| RequestError::NoKey(text.to_owned()))
}
