//! What nodes say.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::auth_key::AuthKey;
use super::super::lenient;
use super::super::map::{NodeId, RelayId};
use super::{Envelope, MessageError, write};
use crate::keys::PublicKey;
use crate::path::candidate::Candidate;
use crate::route::Prefix;

/// Most candidates, and most routes, that a node may have: more are cut off.
pub const LONGEST_LIST: usize = 64;
/// Characters of a text that a node says of itself.
const LONGEST_TEXT: usize = 128;

/// A message from a node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NodeMessage {
    /// Who I am.
    Register(Box<Register>),
    /// What changed with me.
    Update(Update),
    /// My new WireGuard key.
    Rotate(Rotate),
    /// For another node: try to reach me now.
    Signal {
        /// Which node.
        to: NodeId,
        /// Where I may be reached.
        candidates: Vec<Candidate>,
    },
    /// I want the whole map.
    Map,
    /// I am going.
    Leave,
    /// Are you there? The number comes back.
    Ping(u64),
    /// One that this version does not know.
    Unknown(String),
}

/// Who a node is, and what it wants. Its machine key is the channel's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Register {
    /// What admits it, the first time.
    #[serde(default, with = "secret", skip_serializing_if = "Option::is_none")]
    pub auth_key: Option<AuthKey>,
    /// The name that it would like; the host's when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its WireGuard key.
    pub node_key: PublicKey,
    /// What it runs on.
    #[serde(default)]
    pub host: HostInfo,
    /// Networks that it could route to, `0.0.0.0/0` and `::/0` of an exit node among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Prefix>,
    /// Where it may be reached.
    #[serde(
        default,
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub candidates: Vec<Candidate>,
    /// Its home relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_relay: Option<RelayId>,
    /// The version of the map that it has, to be told only what changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<u64>,
}

/// What a node runs on, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// The host's own name.
    #[serde(default)]
    pub hostname: String,
    /// The operating system, `Linux 6.12` say.
    #[serde(default)]
    pub os: String,
    /// The program and its version.
    #[serde(default)]
    pub software: String,
}

/// What changed with a node; what is missing did not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Where it may be reached.
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
    /// Networks that it could route to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<Prefix>>,
}

/// A node's new WireGuard key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotate {
    /// The public half; nobody else has the private one.
    pub node_key: PublicKey,
}

/// The bodies that have no type of their own.
#[derive(Serialize, Deserialize)]
struct Signal {
    to: NodeId,
    #[serde(default, deserialize_with = "lenient::list")]
    candidates: Vec<Candidate>,
}

#[derive(Default, Serialize, Deserialize)]
struct Ping {
    #[serde(default)]
    number: u64,
}

#[derive(Serialize)]
struct Nothing {}

impl NodeMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong with it, for the node's log.
    pub fn parse(message: &[u8]) -> Result<Self, MessageError> {
        let envelope = Envelope::parse(message)?;
        Ok(match &*envelope.kind {
            "register" => Self::Register(Box::new(envelope.body::<Register>()?.bounded())),
            "update" => Self::Update(envelope.body::<Update>()?.bounded()),
            "rotate" => Self::Rotate(envelope.body()?),
            "signal" => {
                let Signal { to, mut candidates } = envelope.body()?;
                candidates.truncate(LONGEST_LIST);
                Self::Signal { to, candidates }
            }
            "map" => Self::Map,
            "leave" => Self::Leave,
            "ping" => Self::Ping(envelope.body::<Ping>()?.number),
            other => Self::Unknown(bounded(other)),
        })
    }

    /// As it travels. A registration's auth key is in it.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Register(body) => write("register", body),
            Self::Update(body) => write("update", body),
            Self::Rotate(body) => write("rotate", body),
            Self::Signal { to, candidates } => {
                let (to, candidates) = (*to, candidates.clone());
                write("signal", &Signal { to, candidates })
            }
            Self::Map => write("map", &Nothing {}),
            Self::Leave => write("leave", &Nothing {}),
            Self::Ping(number) => write("ping", &Ping { number: *number }),
            Self::Unknown(kind) => write(kind, &Nothing {}),
        })
    }
}

impl Register {
    /// With lists and texts of bounded length: what a node says ends up with all others.
    fn bounded(mut self) -> Self {
        self.name = bounded(&self.name);
        self.host.hostname = bounded(&self.host.hostname);
        self.host.os = bounded(&self.host.os);
        self.host.software = bounded(&self.host.software);
        self.routes.truncate(LONGEST_LIST);
        self.candidates.truncate(LONGEST_LIST);
        self
    }
}

impl Update {
    fn bounded(mut self) -> Self {
        if let Some(candidates) = &mut self.candidates {
            candidates.truncate(LONGEST_LIST);
        }
        if let Some(routes) = &mut self.routes {
            routes.truncate(LONGEST_LIST);
        }
        self
    }
}

fn bounded(text: &str) -> String {
    let shown = text.chars().filter(|character| !character.is_control());
    shown.take(LONGEST_TEXT).collect()
}

/// An auth key in a message.
mod secret {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use zeroize::Zeroizing;

    use crate::control::auth_key::AuthKey;

    pub(super) fn serialize<S: Serializer>(
        key: &Option<AuthKey>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => serializer.serialize_str(&key.to_text()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<AuthKey>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.map(Zeroizing::new);
        let key = text.map(|text| text.parse()).transpose();
        key.map_err(de::Error::custom)
    }
}
