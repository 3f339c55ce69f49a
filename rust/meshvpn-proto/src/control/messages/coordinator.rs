//! What coordinators say.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::lenient;
use super::super::map::NodeId;
use super::super::signature::{MapKey, Signed};
use super::{Envelope, MessageError, Refusal, write};
use crate::path::candidate::Candidate;

/// A message from the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoordinatorMessage {
    /// You are in.
    Registered(Registered),
    /// Someone has to approve you first; the text says so to people.
    Pending(String),
    /// No.
    Refused(Refusal),
    /// The whole mesh: a [`View`](super::super::view::View).
    Map(Signed),
    /// What changed in it: a [`Delta`](super::super::delta::Delta).
    Delta(Signed),
    /// Another node wants to be reached.
    Signal {
        /// Which node.
        from: NodeId,
        /// Where it may be reached.
        candidates: Vec<Candidate>,
    },
    /// I am here.
    Pong(u64),
}

/// What [`CoordinatorMessage::parse`] makes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// One of those above.
    Known(CoordinatorMessage),
    /// One that this version does not know: to be passed over.
    Unknown(String),
}

/// A node's place in the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Its number.
    pub node: NodeId,
    /// The name that it got.
    #[serde(default)]
    pub name: String,
    /// What the mesh's maps are signed with.
    pub map_key: MapKey,
}

#[derive(Default, Serialize, Deserialize)]
struct Pending {
    #[serde(default)]
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Signal {
    from: NodeId,
    #[serde(default, deserialize_with = "lenient::list")]
    candidates: Vec<Candidate>,
}

#[derive(Default, Serialize, Deserialize)]
struct Pong {
    #[serde(default)]
    number: u64,
}

impl CoordinatorMessage {
    /// Reads a message. Signatures are not checked here.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(message: &[u8]) -> Result<Incoming, MessageError> {
        let envelope = Envelope::parse(message)?;
        Ok(Incoming::Known(match &*envelope.kind {
            "registered" => Self::Registered(envelope.body()?),
            "pending" => Self::Pending(envelope.body::<Pending>()?.text),
            "refused" => Self::Refused(envelope.body()?),
            "map" => Self::Map(envelope.signed()?),
            "delta" => Self::Delta(envelope.signed()?),
            "signal" => {
                let Signal { from, candidates } = envelope.body()?;
                Self::Signal { from, candidates }
            }
            "pong" => Self::Pong(envelope.body::<Pong>()?.number),
            other => return Ok(Incoming::Unknown(other.to_owned())),
        }))
    }

    /// As it travels.
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Self::Registered(body) => write("registered", body),
            Self::Pending(text) => write("pending", &Pending { text: text.clone() }),
            Self::Refused(body) => write("refused", body),
            Self::Map(signed) => write_signed("map", signed),
            Self::Delta(signed) => write_signed("delta", signed),
            Self::Signal { from, candidates } => {
                let (from, candidates) = (*from, candidates.clone());
                write("signal", &Signal { from, candidates })
            }
            Self::Pong(number) => write("pong", &Pong { number: *number }),
        }
    }
}

impl Envelope<'_> {
    fn signed(&self) -> Result<Signed, MessageError> {
        let signature = self.signature.clone();
        Ok(Signed {
            text: self.body.map_or("", RawValue::get).into(),
            signature: signature.ok_or_else(|| MessageError("no signature".to_owned()))?,
        })
    }
}

/// The body must arrive byte for byte, so it is put in as it is.
fn write_signed(kind: &str, signed: &Signed) -> Vec<u8> {
    let Signed { text, signature } = signed;
    format!("{{\"type\":\"{kind}\",\"signature\":\"{signature}\",\"body\":{text}}}").into_bytes()
}
