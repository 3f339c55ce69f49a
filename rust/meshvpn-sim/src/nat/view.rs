//! What can be seen of a mapping.

use core::fmt;
use core::net::SocketAddr;

use crate::packet::Protocol;

/// A mapping, for those who look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// UDP or TCP.
    pub protocol: Protocol,
    /// The inner socket.
    pub inner: SocketAddr,
    /// Its outer address.
    pub outer: SocketAddr,
    /// The endpoints that it has exchanged packets with lately.
    pub remotes: Vec<SocketAddr>,
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        };
        write!(f, "{} <-> {} {protocol}", self.inner, self.outer)?;
        self.remotes
            .iter()
            .try_for_each(|remote| write!(f, " {remote}"))
    }
}
