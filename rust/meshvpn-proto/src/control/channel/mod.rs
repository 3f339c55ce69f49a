//! The channel between a node and its coordinator: Noise_IK over anything that carries messages of bytes.
//!
//! Over a WebSocket, say, so that the coordinator needs no certificate: the node knows its public key
//! beforehand. Both ends are state machines; who drives them moves the bytes.
//!
//! ```text
//! node                                                     coordinator
//!   ── "mesh", newest, oldest, Noise message 1 {software} ──►
//!   ◄── "mesh", version, 0, Noise message 2 {software} ──────
//!   ── sealed: more?, piece of a message ───────────────────►   from here on it is known to be fresh:
//!   ◄────────────────── sealed: more?, piece of a message ──    the auth key may be sent
//! ```
//!
//! | bytes | of a first message, and of its answer |
//! |---|---|
//! | 4 | `mesh` |
//! | 2 | newest version of the protocol that the node speaks; in the answer the version that is spoken, 0 for none, and text follows that says why |
//! | 2 | oldest version that the node speaks; in the answer 0 |
//! | … | the Noise message, whose payload is JSON |
//!
//! Numbers are big-endian. The node's eight bytes are the handshake's prologue and the version chosen is repeated
//! inside the sealed answer, so nobody on the way can talk the two into an older version.
//!
//! Every sealed message has one byte before its piece, 1 when more pieces follow and 0 for the last: Noise
//! messages have at most 65,535 bytes, a map may have more. They are numbered from zero, and one that
//! is lost, repeated or changed ends the channel.

mod handshake;
mod open;
#[cfg(test)]
mod tests;

pub use handshake::{Accepted, Initiator, accept};
pub use open::Channel;

/// The newest version of the protocol that is spoken here.
pub const NEWEST_VERSION: u16 = 1;
/// The oldest version that is still understood.
pub const OLDEST_VERSION: u16 = 1;
/// Bytes of the longest message of bytes on the channel.
pub const LONGEST_FRAME: usize = crate::noise::ik::LONGEST_MESSAGE;
/// Bytes of the longest message that a node may send: a list of candidates or routes has far fewer.
pub const LONGEST_FROM_NODE: usize = 256 * 1024;
/// Bytes of the longest message that a node takes: the map of 100,000 nodes has some 50 million.
pub const LONGEST_FROM_COORDINATOR: usize = 128 * 1024 * 1024;

/// Why a channel ended or did not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Bytes that are no beginning of this protocol.
    #[error("not a message of meshvpn's control protocol")]
    NotOurs,
    /// No version in common.
    #[error(
        "the node speaks versions {oldest} to {newest} of the control protocol, the coordinator \
         {OLDEST_VERSION} to {NEWEST_VERSION}: update the older of the two"
    )]
    Version {
        /// The oldest that the node speaks.
        oldest: u16,
        /// The newest.
        newest: u16,
    },
    /// The coordinator's reason, which nothing vouches for.
    #[error("refused before any key was agreed on, so perhaps not by the coordinator: {0}")]
    Refused(String),
    /// Made for another key, changed on the way, lost or repeated.
    #[error(
        "the message is not authentic: the other side has another key, or bytes were changed on the way"
    )]
    NotAuthentic,
    /// Longer than any frame may be.
    #[error("{0} bytes in one frame; {LONGEST_FRAME} are the most")]
    FrameTooLong(usize),
    /// More pieces than any message may have.
    #[error("a message of more than {0} bytes")]
    MessageTooLong(usize),
    /// A sealed frame without content, or a first byte that is neither 0 nor 1.
    #[error("a sealed frame that is no piece of a message")]
    NoPiece,
}
