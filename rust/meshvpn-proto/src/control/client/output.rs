//! What a client wants done and known.

use core::time::Duration;

use super::super::map::NodeId;
use super::super::messages::Refusal;
use crate::path::candidate::Candidate;

/// Something to do, or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Open a connection to the coordinator, and say when it is open or could not be opened.
    Open,
    /// Close the connection.
    Close,
    /// The coordinator knows the node.
    Up {
        /// Its number.
        node: NodeId,
        /// The name that it got.
        name: String,
    },
    /// Someone must approve the node first; the text is for people.
    Pending(String),
    /// The coordinator refuses.
    Refused(Refusal),
    /// There is no connection; [`Client::map`](super::Client::map) stays in force.
    Away {
        /// For people.
        reason: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// The map is another one.
    MapChanged(MapChange),
    /// A node wants to be reached now.
    Signal {
        /// Which node.
        from: NodeId,
        /// Where it may be reached.
        candidates: Vec<Candidate>,
    },
}

/// What of the map is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapChange {
    /// All of it.
    Whole,
    /// These nodes, the own one perhaps among them: new, different or gone. Relays, names and the
    /// switch may have changed besides.
    Nodes(Vec<NodeId>),
}

/// How a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No connection yet.
    Connecting,
    /// Connected, and not approved.
    Pending,
    /// All is well.
    Up,
    /// The connection is lost or refused, and will be tried again.
    Away,
}

/// Why a client wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// When to try the next connection.
    Connect,
    /// When to ask whether the coordinator is there.
    Ping,
    /// When to give up waiting for an answer.
    GiveUp,
}
