//! A NAT (RFC 4787): a table of mappings, each with the sessions that it serves.
//!
//! ```text
//!   mapping: (protocol, inner socket, scope) <-> outer port           scope: nothing, an address, or a
//!     session: remote endpoint, when it was last heard, both ways?           address and port (the mapping
//!     session: …                                                             behaviour)
//! ```
//!
//! Filtering asks the sessions of the mapping that a packet from outside is for. A mapping ends when its last
//! session has. A firewall is a NAT whose outer addresses are the inner ones.

mod behavior;
mod ports;
mod session;
mod view;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

pub use behavior::{Behavior, Filtering, Kind, Mapping, Ports, Unexpected, UnknownKind};
use ports::Allocator;
use session::Session;
pub use view::View;

use crate::chance::Chance;
use crate::packet::Protocol;

/// How long an unexpected datagram occupies its port: an unanswered session of Linux.
const OCCUPIED: Duration = Duration::from_secs(30);
/// The one port that TCP gets out to where UDP is blocked.
const HTTPS: u16 = 443;

/// Why a NAT did not pass a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// From outside: no mapping has that port.
    NoMapping,
    /// From outside: the mapping's inner socket has not sent there.
    Filtered,
    /// From inside: UDP, or TCP to another port than 443, and that is blocked.
    Blocked,
    /// From inside: the table, the range or the block is full.
    Full,
    /// From inside, to our own outer address.
    NoHairpin,
}

/// A network address translator, or a firewall.
#[derive(Debug)]
pub struct Nat {
    behavior: Behavior,
    /// Outer addresses; each inner host has one of them (paired pooling).
    addresses: Vec<IpAddr>,
    allocator: Allocator,
    next: u64,
    mappings: BTreeMap<u64, Entry>,
    by_inner: BTreeMap<InnerKey, u64>,
    by_outer: BTreeMap<(Protocol, SocketAddr), u64>,
    /// Ports that unexpected datagrams occupy towards their senders, and until when.
    occupied: BTreeMap<(Protocol, SocketAddr, SocketAddr), Duration>,
}

/// Protocol, inner socket, and the part of the destination that the mapping depends on.
type InnerKey = (Protocol, SocketAddr, Option<IpAddr>, Option<u16>);

#[derive(Debug)]
struct Entry {
    key: InnerKey,
    outer: SocketAddr,
    made_at: Duration,
    sessions: BTreeMap<SocketAddr, Session>,
}

/// What became of a packet from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Translated {
    /// Its source, seen from outside.
    pub outer: SocketAddr,
    /// The mapping is a new one.
    pub is_new: bool,
}

impl Nat {
    /// A NAT with these outer addresses; of a firewall they do not matter.
    pub fn new(behavior: Behavior, addresses: Vec<IpAddr>, chance: Chance) -> Self {
        Self {
            behavior,
            addresses,
            allocator: Allocator::new(chance),
            next: 0,
            mappings: BTreeMap::new(),
            by_inner: BTreeMap::new(),
            by_outer: BTreeMap::new(),
            occupied: BTreeMap::new(),
        }
    }

    /// What it does.
    pub fn behavior(&self) -> &Behavior {
        &self.behavior
    }

    /// Changes what it does; mappings stay.
    pub fn behavior_mut(&mut self) -> &mut Behavior {
        &mut self.behavior
    }

    /// Its outer addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Passes a packet from an inner socket to `to`, which is outside.
    ///
    /// # Errors
    /// Why it does not pass.
    pub fn outbound(
        &mut self,
        now: Duration,
        protocol: Protocol,
        inner: SocketAddr,
        to: SocketAddr,
    ) -> Result<Translated, Refused> {
        self.check_blocked(protocol, to)?;
        if self.behavior == Behavior::OPEN {
            let (outer, is_new) = (inner, false);
            return Ok(Translated { outer, is_new });
        }
        let exact = (protocol, inner, Some(to.ip()), Some(to.port()));
        let (ip, port) = match self.behavior.mapping {
            Mapping::EndpointIndependent => (None, None),
            Mapping::AddressDependent => (Some(to.ip()), None),
            Mapping::AddressAndPortDependent => (Some(to.ip()), Some(to.port())),
        };
        let key = (protocol, inner, ip, port);
        // One that had to evade an occupied port comes first.
        let found = self.live(now, exact).or_else(|| self.live(now, key));
        let (id, is_new) = match found {
            Some(id) if !self.is_occupied(now, id, to) => (id, false),
            Some(_) => (self.map(now, exact, true)?, true),
            None => {
                let id = self.map(now, key, false)?;
                if self.is_occupied(now, id, to) {
                    (self.map(now, exact, true)?, true)
                } else {
                    (id, true)
                }
            }
        };
        let timeouts = self.behavior.timeouts(protocol);
        let entry = self.mappings.get_mut(&id).ok_or(Refused::NoMapping)?;
        entry
            .sessions
            .entry(to)
            .or_insert_with(|| Session::new(now))
            .note(now, timeouts, session::Way::Out);
        Ok(Translated {
            outer: entry.outer,
            is_new,
        })
    }

    /// Passes a packet from outside; returns the inner socket that it is for.
    ///
    /// # Errors
    /// Why it does not pass.
    pub fn inbound(
        &mut self,
        now: Duration,
        protocol: Protocol,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<SocketAddr, Refused> {
        if protocol == Protocol::Udp && !self.behavior.udp {
            return Err(Refused::Blocked);
        }
        if self.behavior == Behavior::OPEN {
            return Ok(to);
        }
        let outcome = self.expected(now, protocol, from, to);
        if outcome.is_err() && self.behavior.unexpected == Unexpected::Occupies {
            self.occupied.insert((protocol, to, from), now + OCCUPIED);
        }
        outcome
    }

    /// Forgets everything, as when the power was off.
    pub fn reboot(&mut self) {
        self.mappings.clear();
        self.by_inner.clear();
        self.by_outer.clear();
        self.occupied.clear();
        self.allocator.restart();
    }

    /// Has other outer addresses from now on: mappings to the old ones are gone.
    pub fn readdress(&mut self, addresses: Vec<IpAddr>) {
        self.reboot();
        self.addresses = addresses;
    }

    /// So many mappings are made by others at once.
    pub fn cross(&mut self, count: u32) {
        self.allocator.skip(self.behavior.ports, count);
    }

    /// The mappings that there are at `now`, oldest first.
    pub fn mappings(&self, now: Duration) -> Vec<View> {
        let live = self
            .mappings
            .values()
            .filter(|entry| entry.is_live(now, &self.behavior));
        let view = |entry: &Entry| View {
            protocol: entry.key.0,
            inner: entry.key.1,
            outer: entry.outer,
            remotes: entry
                .sessions
                .iter()
                .filter(|(_, session)| session.is_live(now))
                .map(|(remote, _)| *remote)
                .collect(),
        };
        live.map(view).collect()
    }

    fn check_blocked(&self, protocol: Protocol, to: SocketAddr) -> Result<(), Refused> {
        let is_blocked = !self.behavior.udp && (protocol == Protocol::Udp || to.port() != HTTPS);
        if is_blocked {
            Err(Refused::Blocked)
        } else {
            Ok(())
        }
    }

    fn expected(
        &mut self,
        now: Duration,
        protocol: Protocol,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Result<SocketAddr, Refused> {
        let id = *self
            .by_outer
            .get(&(protocol, to))
            .ok_or(Refused::NoMapping)?;
        if !self.is_live(now, id) {
            self.forget(id);
            return Err(Refused::NoMapping);
        }
        let entry = self.mappings.get_mut(&id).ok_or(Refused::NoMapping)?;
        let mut live = entry
            .sessions
            .iter()
            .filter(|(_, session)| session.is_live(now))
            .map(|(remote, _)| *remote);
        let may_pass = match self.behavior.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => live.any(|remote| remote.ip() == from.ip()),
            Filtering::AddressAndPortDependent => live.any(|remote| remote == from),
        };
        if !may_pass {
            return Err(Refused::Filtered);
        }
        let timeouts = self.behavior.timeouts(protocol);
        entry
            .sessions
            .entry(from)
            .or_insert_with(|| Session::new(now))
            .note(now, timeouts, session::Way::In);
        Ok(entry.key.1)
    }

    /// The mapping of this key, if it has not ended.
    fn live(&mut self, now: Duration, key: InnerKey) -> Option<u64> {
        let id = *self.by_inner.get(&key)?;
        if self.is_live(now, id) {
            return Some(id);
        }
        self.forget(id);
        None
    }

    fn is_live(&self, now: Duration, id: u64) -> bool {
        let entry = self.mappings.get(&id);
        entry.is_some_and(|entry| entry.is_live(now, &self.behavior))
    }

    fn is_occupied(&self, now: Duration, id: u64, to: SocketAddr) -> bool {
        let Some(entry) = self.mappings.get(&id) else {
            return false;
        };
        let is_known = entry
            .sessions
            .get(&to)
            .is_some_and(|session| session.is_live(now));
        let until = self.occupied.get(&(entry.key.0, entry.outer, to));
        !is_known && until.is_some_and(|until| now < *until)
    }

    /// Makes a mapping; `evades` when its usual port is occupied.
    fn map(&mut self, now: Duration, key: InnerKey, evades: bool) -> Result<u64, Refused> {
        if self.mappings.len() >= self.behavior.capacity {
            self.sweep(now);
            if self.mappings.len() >= self.behavior.capacity {
                return Err(Refused::Full);
            }
        }
        let (protocol, inner) = (key.0, key.1);
        let outer = if self.behavior.ports == Ports::Untranslated {
            inner
        } else {
            let host = self.allocator.host(inner.ip());
            let pool = self.addresses.len().max(1);
            let ip = *self.addresses.get(host % pool).ok_or(Refused::Full)?;
            let (ports, rate) = (self.behavior.ports, self.behavior.cross_traffic);
            let (by_outer, mappings) = (&self.by_outer, &self.mappings);
            let is_taken = |port| {
                let id = by_outer.get(&(protocol, SocketAddr::new(ip, port)));
                let entry = id.and_then(|id| mappings.get(id));
                entry.is_some_and(|entry| entry.is_live(now, &self.behavior))
            };
            let wanted = (!evades).then_some(inner.port());
            let port = self
                .allocator
                .take(now, ports, host, wanted, rate, is_taken);
            SocketAddr::new(ip, port.ok_or(Refused::Full)?)
        };
        // What held the port has ended.
        if let Some(old) = self.by_outer.get(&(protocol, outer)).copied() {
            self.forget(old);
        }
        let id = self.next;
        self.next += 1;
        self.by_inner.insert(key, id);
        self.by_outer.insert((protocol, outer), id);
        let entry = Entry {
            key,
            outer,
            made_at: now,
            sessions: BTreeMap::new(),
        };
        self.mappings.insert(id, entry);
        Ok(id)
    }

    fn sweep(&mut self, now: Duration) {
        let ended: Vec<_> = self
            .mappings
            .iter()
            .filter(|(_, entry)| !entry.is_live(now, &self.behavior))
            .map(|(id, _)| *id)
            .collect();
        ended.into_iter().for_each(|id| self.forget(id));
        self.occupied.retain(|_, until| now < *until);
    }

    fn forget(&mut self, id: u64) {
        if let Some(entry) = self.mappings.remove(&id) {
            if self.by_inner.get(&entry.key) == Some(&id) {
                self.by_inner.remove(&entry.key);
            }
            let outer = (entry.key.0, entry.outer);
            if self.by_outer.get(&outer) == Some(&id) {
                self.by_outer.remove(&outer);
            }
        }
    }
}

impl Entry {
    fn is_live(&self, now: Duration, behavior: &Behavior) -> bool {
        let is_too_old = behavior
            .lifetime
            .is_some_and(|lifetime| now >= self.made_at + lifetime);
        !is_too_old && self.sessions.values().any(|session| session.is_live(now))
    }
}
