//! What the coordinator keeps: records, and the numbered changes of them.
//!
//! A store holds records by [`Subject`] and hands out one number a change, in order, however many coordinators
//! write to it. So whoever has applied all changes up to a number has the same records as everyone else.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use meshvpn_proto::control::auth_key::AuthKeyId;
use meshvpn_proto::control::map::{NodeId, Relay, RelayId};
use meshvpn_proto::control::messages::HostInfo;
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::path::candidate::Candidate;
use meshvpn_proto::route::Prefix;
use serde::{Deserialize, Serialize};

/// A node of the mesh, or one that waits for approval. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its number.
    pub id: NodeId,
    /// The installation's key; a static peer has none.
    #[serde(default)]
    pub machine_key: Option<PublicKey>,
    /// Its WireGuard key.
    pub node_key: PublicKey,
    /// Its name, one DNS label.
    pub name: String,
    /// Its addresses in the mesh.
    pub addresses: Vec<IpAddr>,
    /// What it runs on, as it says.
    #[serde(default)]
    pub host: HostInfo,
    /// Networks that it could route to, as it says.
    #[serde(default)]
    pub advertised: Vec<Prefix>,
    /// Networks that it may route to, as someone decided.
    #[serde(default)]
    pub approved: Vec<Prefix>,
    /// Where it may be reached.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// Its home relay.
    #[serde(default)]
    pub home_relay: Option<RelayId>,
    /// Its tags, without `tag:`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether it is a member; otherwise it waits for approval.
    #[serde(default)]
    pub is_member: bool,
    /// Whether it vanishes when it has been gone for a while.
    #[serde(default)]
    pub is_ephemeral: bool,
    /// A WireGuard peer of another make.
    #[serde(default)]
    pub is_static: bool,
    /// The coordinator that it is connected to.
    #[serde(default)]
    pub online_at: Option<String>,
    /// When it first came.
    #[serde(default)]
    pub created: u64,
    /// When it last came or went.
    #[serde(default)]
    pub last_seen: u64,
    /// When its key expires; none: never.
    #[serde(default)]
    pub key_expiry: Option<u64>,
    /// Whether that time has come, as some coordinator noticed.
    #[serde(default)]
    pub is_expired: bool,
    /// What admitted it.
    #[serde(default)]
    pub auth_key: Option<String>,
}

impl NodeRecord {
    /// Whether others may see it.
    pub fn is_visible(&self) -> bool {
        self.is_member && !self.is_expired
    }

    /// Whether it is there, as far as anyone can know.
    pub fn is_online(&self) -> bool {
        self.is_static || self.online_at.is_some()
    }

    /// Its addresses, for a log line.
    pub fn shown_addresses(&self) -> String {
        let shown: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        shown.join(", ")
    }
}

/// An auth key, without its secret. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its name.
    pub id: String,
    /// Of its secret, in hex: see [`AuthKey::hash`](meshvpn_proto::control::auth_key::AuthKey::hash).
    pub hash: String,
    /// What it is for, for people.
    #[serde(default)]
    pub description: String,
    /// Whether it admits more than one node.
    #[serde(default)]
    pub is_reusable: bool,
    /// Whether nodes that it admits are ephemeral.
    #[serde(default)]
    pub is_ephemeral: bool,
    /// Whether nodes that it admits need no approval.
    #[serde(default)]
    pub is_preapproved: bool,
    /// Tags of nodes that it admits.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it was made.
    #[serde(default)]
    pub created: u64,
    /// When it expires; none: never.
    #[serde(default)]
    pub expiry: Option<u64>,
    /// How many nodes it has admitted.
    #[serde(default)]
    pub uses: u64,
}

/// What holds for the whole mesh and comes from the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What names of nodes end with.
    #[serde(default)]
    pub domain: String,
    /// Whether nodes may send each other anything.
    #[serde(default)]
    pub allow_all: bool,
    /// The relays.
    #[serde(default)]
    pub relays: Vec<Relay>,
}

/// What a record is about; as text `node/7`, `key/3kq7x2ab`, `settings`, `next-node`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A node.
    Node(NodeId),
    /// An auth key.
    Key(AuthKeyId),
    /// The settings.
    Settings,
    /// The number that the next node gets.
    NextNode,
}

/// A change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A node is this now.
    Node(Box<NodeRecord>),
    /// An auth key is this now.
    Key(KeyRecord),
    /// The settings are these now.
    Settings(Settings),
    /// The next node gets this number.
    NextNode(u64),
    /// There is no such record any more.
    Removed(Subject),
}

/// Text of a store that is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {subject:?} is not understood: {text}")]
pub struct RecordError {
    subject: String,
    text: String,
}

impl Change {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Node(node) => Subject::Node(node.id),
            Self::Key(key) => key.subject(),
            Self::Settings(_) => Subject::Settings,
            Self::NextNode(_) => Subject::NextNode,
            Self::Removed(subject) => subject.clone(),
        }
    }

    /// The record as JSON; none when it is removed.
    pub fn to_json(&self) -> Option<String> {
        let json = match self {
            Self::Node(node) => serde_json::to_string(node),
            Self::Key(key) => serde_json::to_string(key),
            Self::Settings(settings) => serde_json::to_string(settings),
            Self::NextNode(number) => serde_json::to_string(number),
            Self::Removed(_) => return None,
        };
        Some(json.expect("records are plain data"))
    }

    /// Reads what a store keeps.
    ///
    /// # Errors
    /// When it is nothing that this version wrote or understands.
    pub fn parse(subject: &str, json: Option<&str>) -> Result<Self, RecordError> {
        let fail = |text: String| RecordError {
            subject: subject.to_owned(),
            text,
        };
        let parsed: Subject = subject.parse().map_err(|()| fail("unknown kind".into()))?;
        let Some(json) = json else {
            return Ok(Self::Removed(parsed));
        };
        let change = match parsed {
            Subject::Node(_) => serde_json::from_str(json).map(Self::Node),
            Subject::Key(_) => serde_json::from_str(json).map(Self::Key),
            Subject::Settings => serde_json::from_str(json).map(Self::Settings),
            Subject::NextNode => serde_json::from_str(json).map(Self::NextNode),
        };
        change.map_err(|error| fail(error.to_string()))
    }
}

impl KeyRecord {
    fn subject(&self) -> Subject {
        let id = AuthKeyId::parse(&self.id);
        Subject::Key(id.expect("made from an auth key's name"))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) => write!(f, "node/{id}"),
            Self::Key(id) => write!(f, "key/{id}"),
            Self::Settings => f.write_str("settings"),
            Self::NextNode => f.write_str("next-node"),
        }
    }
}

impl FromStr for Subject {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once('/') {
            Some(("node", id)) => id.parse().map(|id| Self::Node(NodeId(id))).map_err(drop),
            Some(("key", id)) => AuthKeyId::parse(id).map(Self::Key).ok_or(()),
            None if text == "settings" => Ok(Self::Settings),
            None if text == "next-node" => Ok(Self::NextNode),
            _ => Err(()),
        }
    }
}
