//! A plain socket, used from outside: what a test or a notebook sends and reads by hand.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use meshvpn_proto::time::Now;

use crate::internet::{HostId, Internet, MachineId};
use crate::machine::{Machine, Transmit};

/// A datagram that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When, since 1970.
    pub at: Duration,
    /// To which address of the host.
    pub local: SocketAddr,
    /// From where.
    pub from: SocketAddr,
    /// The payload.
    pub datagram: Vec<u8>,
}

/// A socket.
#[derive(Debug, Default)]
pub struct Mailbox {
    outgoing: VecDeque<Transmit>,
    received: Vec<Received>,
}

impl Mailbox {
    /// Opens a socket on a host; port 0 is any.
    ///
    /// # Panics
    /// The port is in use there.
    pub fn attach(net: &mut Internet, host: HostId, port: u16) -> MachineId {
        net.attach(host, "socket", Box::<Self>::default(), &[port])
    }

    /// Sends a datagram, which may take so many hops, or as many as usual.
    pub fn send(&mut self, to: SocketAddr, datagram: &[u8], hops: Option<u8>) {
        self.outgoing.push_back(Transmit {
            socket: 0,
            source: None,
            to,
            hops,
            datagram: datagram.to_vec(),
        });
    }

    /// What has come so far.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// The same, which is then forgotten.
    pub fn take(&mut self) -> Vec<Received> {
        core::mem::take(&mut self.received)
    }
}

impl Machine for Mailbox {
    fn handle_datagram(
        &mut self,
        now: Now,
        _socket: usize,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        self.received.push(Received {
            at: now.unix,
            local,
            from,
            datagram: datagram.to_vec(),
        });
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outgoing.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
