//! How HTTP is served here, whatever it is for.
//!
//! One listener can carry the coordinator, a relay and what else comes; routers are merged before. Every request
//! carries the [`Peer`] that it comes from, so that a handler knows what it may answer.

mod serve;

use core::net::SocketAddr;

pub use serve::serve;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address, as the socket shows it.
    pub address: SocketAddr,
    /// Whether nobody on the way can read or change what is sent.
    pub is_encrypted: bool,
}

impl Peer {
    /// Whether secrets may be sent over the connection: it is encrypted, or does not leave the machine.
    pub fn is_private(&self) -> bool {
        self.is_encrypted || self.address.ip().to_canonical().is_loopback()
    }
}
