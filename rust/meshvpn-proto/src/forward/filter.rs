//! What may pass: asked once for each packet or super-packet that has a peer, in both directions.
//!
//! Allowed IPs say whose a packet is; a filter says whether it may go. Handshakes and probes are not asked for:
//! peers can always reach each other, and be explained to people, even where nothing may pass.

use core::fmt::Debug;

use super::{DropReason, IpView};

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the TUN to the peer.
    Out,
    /// From the peer to the TUN.
    In,
}

/// A packet that wants to pass.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Which way.
    pub direction: Direction,
    /// The slot of the peer that it goes to or comes from.
    pub slot: usize,
    /// Its outermost header.
    pub view: &'a IpView,
    /// All of it, a super-packet perhaps.
    pub packet: &'a [u8],
}

/// What a filter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Allow,
    /// It may not.
    Deny,
    /// It is not decided yet, and will be soon. The packet is dropped, and what its sender repeats may pass.
    Ask,
}

/// Says what may pass. Called by the threads that forward: it must not wait.
pub trait Filter: Debug + Send + Sync {
    /// Judges a packet.
    fn judge(&self, question: &Question<'_>) -> Verdict;
}

/// Lets nothing pass: what holds where nobody has allowed anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct DenyAll;

impl Filter for DenyAll {
    fn judge(&self, _question: &Question<'_>) -> Verdict {
        Verdict::Deny
    }
}

impl Verdict {
    pub(crate) fn check(self) -> Result<(), DropReason> {
        match self {
            Self::Allow => Ok(()),
            Self::Deny => Err(DropReason::Denied),
            Self::Ask => Err(DropReason::Undecided),
        }
    }
}
