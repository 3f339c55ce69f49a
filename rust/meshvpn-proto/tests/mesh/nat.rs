//! A NAT that lets in only what was asked for (RFC 4787: address- and port-dependent filtering).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How long it remembers (Linux: 30 s for what was not answered, longer for streams).
const MEMORY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Nat {
    pub(crate) public: Ipv4Addr,
    /// Another port for each destination.
    is_symmetric: bool,
    next_port: u16,
    /// From inside, and for a symmetric one where to: which port.
    ports: BTreeMap<(SocketAddr, Option<SocketAddr>), u16>,
    /// When something was last sent from a port to a destination.
    asked: BTreeMap<(u16, SocketAddr), Instant>,
}

impl Nat {
    pub(crate) fn new(public: Ipv4Addr, is_symmetric: bool) -> Self {
        Self {
            public,
            is_symmetric,
            next_port: 20_000,
            ports: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Something leaves; returns where it seems to come from.
    pub(crate) fn leave(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let key = (from, Some(to).filter(|_| self.is_symmetric));
        let next = &mut self.next_port;
        let port = *self.ports.entry(key).or_insert_with(|| {
            *next += 7;
            *next
        });
        self.asked.insert((port, to), now);
        (self.public, port).into()
    }

    /// Something arrives; returns whom it is for, if it may come in.
    pub(crate) fn enter(&self, now: Instant, port: u16, from: SocketAddr) -> Option<SocketAddr> {
        let asked = self.asked.get(&(port, from))?;
        let mut ports = self.ports.iter();
        let ((inside, _), _) = ports.find(|(_, mapped)| **mapped == port)?;
        (now < *asked + MEMORY).then_some(*inside)
    }

    /// Forgets everything, and gives out other ports from now on.
    pub(crate) fn reboot(&mut self) {
        self.ports.clear();
        self.asked.clear();
        self.next_port += 1000;
    }
}
