//! Why a coordinator refuses, so that a program can act on it and a person understand it.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    #[serde(default, deserialize_with = "reason")]
    pub reason: Reason,
    /// For people: what is wrong, and the way out.
    #[serde(default)]
    pub text: String,
    /// In how many seconds it is worth trying again; none: not before something has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// One that this version does not know.
    #[default]
    Other,
    /// The machine is unknown and brought no auth key.
    AuthKeyNeeded,
    /// The auth key is not one of this mesh, or was used up, has expired or was revoked.
    AuthKeyInvalid,
    /// The node's key has expired: it must join again.
    KeyExpired,
    /// The node was removed from the mesh.
    Removed,
    /// The WireGuard key belongs to another node.
    KeyInUse,
    /// There are no addresses left in the mesh's networks.
    NoAddress,
    /// Too many attempts.
    TooManyAttempts,
    /// The same machine has connected anew: this connection is the old one.
    Replaced,
    /// A message that breaks the protocol.
    Protocol,
    /// The coordinator cannot store anything now.
    Unavailable,
    /// The connection takes too little: what waits for it has grown too long.
    TooSlow,
}

impl Refusal {
    /// A refusal that holds until something has changed.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
            retry_after: None,
        }
    }

    /// The same for a while.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A reason that a newer coordinator has is [`Reason::Other`].
fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reason, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}
