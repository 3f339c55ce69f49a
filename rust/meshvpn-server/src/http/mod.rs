//! What handlers of HTTP requests are told, whatever they are for.

use core::net::SocketAddr;

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
