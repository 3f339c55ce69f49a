//! What a host runs: a machine that decides and leaves input and output to others.

use core::net::{IpAddr, SocketAddr};
use std::any::Any;
use std::time::Instant;

use meshvpn_proto::time::Now;

/// A datagram that a machine wants sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From which of its sockets; one that it has not used yet is opened on a port of the host's choice.
    pub socket: usize,
    /// From which address of the host; none for the one that leads there.
    pub source: Option<IpAddr>,
    /// Where to.
    pub to: SocketAddr,
    /// How many hops it may take; none for the usual.
    pub hops: Option<u8>,
    /// The payload.
    pub datagram: Vec<u8>,
}

impl From<meshvpn_proto::wireguard::Transmit> for Transmit {
    fn from(transmit: meshvpn_proto::wireguard::Transmit) -> Self {
        Self {
            socket: transmit.path.socket,
            source: transmit.path.source,
            to: transmit.path.destination,
            hops: None,
            datagram: transmit.datagram,
        }
    }
}

/// A state machine without input and output, as the simulator drives it: after every `handle_*` call it takes
/// all that the machine wants sent and asks when to come back.
pub trait Machine: Any + Send {
    /// A datagram has come to `local`, on the socket of this number.
    fn handle_datagram(
        &mut self,
        now: Now,
        socket: usize,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
    );

    /// The time that [`Self::poll_timeout`] named has come.
    fn handle_timeout(&mut self, now: Now);

    /// The addresses of the host have changed: these are all that it has now.
    fn handle_addresses(&mut self, _now: Now, _addresses: &[IpAddr]) {}

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// When to call [`Self::handle_timeout`].
    fn poll_timeout(&self) -> Option<Instant>;

    /// A line for the event log, for what the machine wants to have seen.
    fn poll_note(&mut self) -> Option<String> {
        None
    }
}
