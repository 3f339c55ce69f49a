//! Everything that a node and its coordinator say to each other.
//!
//! A message is JSON: `{"type": "update", "body": {…}}`, and one that is signed has a `"signature"` besides.
//! A type that the reader does not know is passed over, as is a field.
//!
//! | from a node | |
//! |---|---|
//! | `register` | who I am, and which map I have; the first message after every handshake |
//! | `update` | where I can be reached, my home relay, what I route |
//! | `rotate` | my new WireGuard key |
//! | `signal` | for another node: try to reach me at these addresses now |
//! | `map` | I want the whole map |
//! | `leave` | I am going; an ephemeral node vanishes at once |
//! | `ping` | are you there? |
//!
//! | from the coordinator | |
//! |---|---|
//! | `registered` | you are in, and this is your number |
//! | `pending` | someone has to approve you first |
//! | `refused` | no, and why |
//! | `map`, `delta` | the mesh, and what changed in it, signed |
//! | `signal` | another node wants to be reached |
//! | `pong` | I am here |

mod coordinator;
mod node;
mod refusal;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use coordinator::{CoordinatorMessage, Incoming, Registered};
pub use node::{HostInfo, LONGEST_LIST, NodeMessage, Register, Rotate, Update};
pub use refusal::{Reason, Refusal};

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message of the control protocol: {0}")]
pub struct MessageError(pub String);

/// What all messages have in common.
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    signature: Option<Box<str>>,
}

impl<'a> Envelope<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, MessageError> {
        serde_json::from_slice(message).map_err(|error| MessageError(error.to_string()))
    }

    /// The body; what is missing has its defaults.
    fn body<T: Deserialize<'a>>(&self) -> Result<T, MessageError> {
        let text = self.body.map_or("{}", RawValue::get);
        serde_json::from_str(text).map_err(|error| MessageError(format!("{}: {error}", self.kind)))
    }
}

fn write(kind: &str, body: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Written<'a, T> {
        #[serde(rename = "type")]
        kind: &'a str,
        body: &'a T,
    }
    serde_json::to_vec(&Written { kind, body }).expect("messages are plain data")
}
