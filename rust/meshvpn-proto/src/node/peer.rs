//! What a node keeps of a peer, beside its session.

use core::time::Duration;
use std::time::Instant;

use crate::keys::PublicKey;
use crate::path::agent::PathAgent;

/// When an initiation is repeated as it is. WireGuard begins a new one after 5 s.
const REPEATS: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];

/// A peer, and what the node keeps beside its session.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) slot: usize,
    pub(super) key: PublicKey,
    pub(super) agent: Agent,
    pub(super) deadline: Option<Instant>,
    /// Our initiation that nobody has answered yet.
    pub(super) unanswered: Option<Unanswered>,
    pub(super) is_up: bool,
}

/// Who chooses the peer's path.
#[derive(Debug)]
pub(super) enum Agent {
    /// A path agent.
    Ours(Box<PathAgent>),
    /// WireGuard's roaming.
    Static,
}

/// An initiation that may be repeated as it is.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) datagram: Vec<u8>,
    pub(super) sent_at: Instant,
    pub(super) repeats: usize,
}

impl Unanswered {
    /// When to repeat it.
    pub(super) fn next(&self) -> Option<Instant> {
        REPEATS.get(self.repeats).map(|after| self.sent_at + *after)
    }
}
