//! What a host runs: a machine that decides and leaves input and output to others.

use core::net::{IpAddr, SocketAddr};
use std::any::Any;
use std::time::Instant;

use meshvpn_proto::forward::Path;
use meshvpn_proto::time::Now;

use crate::stream::Closed;

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

impl From<meshvpn_proto::nat::Transmit> for Transmit {
    fn from(transmit: meshvpn_proto::nat::Transmit) -> Self {
        Self::to(transmit.path, transmit.datagram)
    }
}

impl Transmit {
    /// A datagram by this path, with the usual number of hops.
    pub fn to(path: Path, datagram: Vec<u8>) -> Self {
        Self {
            socket: path.socket,
            source: path.source,
            to: path.destination,
            hops: None,
            datagram,
        }
    }
}

/// A stream of a machine. Those that it opens have numbers of its choice, below
/// [`FIRST_ACCEPTED`](Self::FIRST_ACCEPTED); those that others open to it get numbers from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

impl StreamId {
    /// The first number of a stream that others have opened.
    pub const FIRST_ACCEPTED: u64 = 1 << 32;
}

/// What a machine wants done with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamAction {
    /// Accept streams on this port.
    Listen(u16),
    /// Open one.
    Open(StreamId, SocketAddr),
    /// Send bytes on it.
    Send(StreamId, Vec<u8>),
    /// End it, after all that was sent.
    Close(StreamId),
}

/// What has happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// Somebody has opened it, from this address.
    Accepted(SocketAddr),
    /// What we opened was accepted.
    Connected,
    /// Bytes have come, in order.
    Data(Vec<u8>),
    /// It is over.
    Closed(Closed),
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

    /// Something has happened to a stream.
    fn handle_stream(&mut self, _now: Now, _stream: StreamId, _event: StreamEvent) {}

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// The next thing to do with a stream.
    fn poll_stream(&mut self) -> Option<StreamAction> {
        None
    }

    /// When to call [`Self::handle_timeout`].
    fn poll_timeout(&self) -> Option<Instant>;

    /// A line for the event log, for what the machine wants to have seen.
    fn poll_note(&mut self) -> Option<String> {
        None
    }
}
