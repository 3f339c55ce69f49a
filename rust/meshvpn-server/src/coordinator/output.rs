//! What a coordinator wants done and known.

use std::sync::Arc;

use core::net::IpAddr;
use meshvpn_proto::keys::PublicKey;

use super::request::{RequestError, Response};

/// A connection of a node, by a number that the owner gives it and never uses again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A request that has not been answered, by a number that the owner gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Who is at the other end of a new connection.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The machine key, which the channel vouches for.
    pub machine_key: PublicKey,
    /// Where it comes from.
    pub address: IpAddr,
}

/// Something to do, or to know.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Output {
    /// Send this message: JSON, not yet sealed. The same may go to thousands.
    Send(SessionId, Arc<[u8]>),
    /// Close the connection once everything is sent.
    Close(SessionId),
    /// The answer to a request.
    Answer(RequestId, Result<Response, RequestError>),
    /// A line for the log.
    Note(String),
}

/// What a coordinator has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Batches written to the store.
    pub commits: u64,
    /// Batches that others were faster than.
    pub conflicts: u64,
    /// Batches that the store failed to write.
    pub store_failures: u64,
    /// Nodes that joined.
    pub joins: u64,
    /// Registrations of nodes that were known.
    pub returns: u64,
    /// Registrations and messages that were refused.
    pub refusals: u64,
    /// Deltas made; each goes to every connected member.
    pub deltas: u64,
    /// Whole maps sent.
    pub maps: u64,
    /// Messages sent to nodes.
    pub messages: u64,
}
