//! The relay itself: who is connected, and what waits for each.
//!
//! A connection is first a [`Login`], which needs nothing of the others; then a client of the [`Server`].
//! Whoever has the sockets gives what arrives to [`Server::handle_bytes`], and when a client that had nothing
//! to be written has something ([`Server::poll_writable`]), takes it by [`Server::take_output`] as often as
//! its socket has room. A slow client so fills its own queue, of which the oldest packets are dropped, and
//! nobody waits for it.
//!
//! | situation | what happens |
//! |---|---|
//! | a peer is not here | the packet is dropped, the sender is told `PeerGone(NotHere)` |
//! | a peer leaves | who sent to it while it was here is told `PeerGone(Disconnected)` |
//! | two connections with one key | the newest gets the packets; the older one is told so by `Health`, and takes over again when the newest ends |
//! | too many of them | the oldest is closed |
//! | a client sends faster than it may | it is not read from until its bucket has filled again |
//! | it sends what is no frame | it alone is closed |

mod bucket;
mod client;
mod forward;
mod login;

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

pub use self::bucket::Rate;
use self::client::Client;
pub use self::login::{Hello, Login, LoginError};
use super::frame::{Frame, FrameError, GoneReason};
use super::queue::DEFAULT_BYTES;
use super::{KEEPALIVE, KEEPALIVE_JITTER};
use crate::keys::PublicKey;
use crate::noise::entropy::Entropy;

/// What one client may cost, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Clients at once.
    pub clients: usize,
    /// Connections under one key: a node that changes networks may have an old one that nobody has noticed
    /// to be dead.
    pub connections_per_key: usize,
    /// Bytes of packets that wait for one client.
    pub queue_bytes: usize,
    /// How fast a client may send for long; no limit when none.
    pub rate: Option<Rate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 10_000,
            connections_per_key: 4,
            queue_bytes: DEFAULT_BYTES,
            rate: None,
        }
    }
}

/// A connection of a client. Never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the relay has done since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Clients connected now.
    pub clients: u64,
    /// Of them, those whose home this relay is.
    pub home_clients: u64,
    /// Log-ins that succeeded.
    pub logins: u64,
    /// Packets taken from clients.
    pub received_packets: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Packets handed over to be written.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets dropped because their receiver was too slow.
    pub dropped_slow: u64,
    /// Packets dropped because their receiver was not connected.
    pub dropped_absent: u64,
}

/// Why a client is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// It sends what is no frame.
    #[error("it sends what is not DERP: {0}")]
    Frame(#[from] FrameError),
    /// Newer connections have its key.
    #[error("too many newer connections have its key")]
    Superseded,
}

/// There are too many clients already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the relay is full: it serves {most} clients at once")]
pub struct Full {
    /// How many there may be.
    pub most: usize,
}

/// How much of what a client sent was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that need not be kept.
    pub consumed: usize,
    /// The client has sent too much, and should not be read from before.
    pub pause_until: Option<Instant>,
}

/// All clients of a relay.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    clients: BTreeMap<ClientId, Client>,
    /// The connections of each key, the newest last.
    by_key: BTreeMap<PublicKey, Vec<ClientId>>,
    keepalives: BTreeSet<(Instant, ClientId)>,
    writable: VecDeque<ClientId>,
    closing: VecDeque<(ClientId, Closed)>,
    next_id: u64,
    entropy: Entropy,
    statistics: Statistics,
}

impl Server {
    /// A relay without clients. `seed` only spreads keepalives.
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            limits,
            clients: BTreeMap::new(),
            by_key: BTreeMap::new(),
            keepalives: BTreeSet::new(),
            writable: VecDeque::new(),
            closing: VecDeque::new(),
            next_id: 0,
            entropy: Entropy::new(seed),
            statistics: Statistics::default(),
        }
    }

    /// Takes over a connection that has logged in with `key`.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&mut self, now: Instant, key: PublicKey) -> Result<ClientId, Full> {
        if self.clients.len() >= self.limits.clients {
            let most = self.limits.clients;
            return Err(Full { most });
        }
        let id = ClientId(self.next_id);
        self.next_id += 1;
        let keepalive = self.next_keepalive(now);
        self.keepalives.insert((keepalive, id));
        let client = Client::new(now, key, keepalive, &self.limits);
        self.clients.insert(id, client);
        self.statistics.logins += 1;
        let connections = self.by_key.entry(key).or_default();
        connections.push(id);
        let former = connections.iter().rev().nth(1).copied();
        let is_crowded = connections.len() > self.limits.connections_per_key.max(1);
        let oldest = connections[0];
        if let Some(former) = former {
            let problem = "a newer connection has this key: packets go there";
            self.tell(former, &Frame::Health(problem));
        }
        if is_crowded {
            self.close(oldest, Closed::Superseded);
        }
        Ok(id)
    }

    /// A client's connection has ended.
    pub fn remove(&mut self, id: ClientId) {
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        self.keepalives.remove(&(client.keepalive, id));
        let connections = self.by_key.get_mut(&client.key);
        let rest = connections.map_or_else(Vec::new, |connections| {
            connections.retain(|other| *other != id);
            connections.clone()
        });
        match rest.last() {
            None => {
                self.by_key.remove(&client.key);
                self.tell_gone(&client);
            }
            // It may be the one that was told that it is not; saying that all is well does no harm.
            Some(&newest) => self.tell(newest, &Frame::Health("")),
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.keepalives.first().copied()
            && at <= now
        {
            self.keepalives.pop_first();
            let next = self.next_keepalive(now);
            if let Some(client) = self.clients.get_mut(&id) {
                client.keepalive = next;
                self.keepalives.insert((next, id));
                self.tell(id, &Frame::KeepAlive);
            }
        }
    }

    /// When to call [`Self::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.keepalives.first().map(|(at, _)| *at)
    }

    /// The next client that has something to be written, and had nothing when that was last looked for.
    pub fn poll_writable(&mut self) -> Option<ClientId> {
        self.writable.pop_front()
    }

    /// The next client whose connection is to be closed. It is no client any more.
    pub fn poll_closed(&mut self) -> Option<(ClientId, Closed)> {
        self.closing.pop_front()
    }

    /// Appends all that is to be written to a client to `out`; false when there is nothing, after which
    /// [`Self::poll_writable`] tells when there is.
    pub fn take_output(&mut self, id: ClientId, out: &mut Vec<u8>) -> bool {
        self.clients
            .get_mut(&id)
            .is_some_and(|client| client.take_output(out))
    }

    /// Tells every client that the relay restarts.
    pub fn announce_restart(&mut self, reconnect_in: Duration, try_for: Duration) {
        let frame = Frame::Restarting {
            reconnect_in,
            try_for,
        };
        let ids: Vec<_> = self.clients.keys().copied().collect();
        for id in ids {
            self.tell(id, &frame);
        }
    }

    /// What was counted.
    pub fn statistics(&self) -> Statistics {
        let homes = self.clients.values().filter(|client| client.is_home);
        Statistics {
            clients: self.clients.len() as u64,
            home_clients: homes.count() as u64,
            ..self.statistics
        }
    }

    /// The newest connection of a peer.
    fn newest(&self, key: &PublicKey) -> Option<ClientId> {
        self.by_key.get(key)?.last().copied()
    }

    fn tell(&mut self, id: ClientId, frame: &Frame<'_>) {
        if let Some(client) = self.clients.get_mut(&id)
            && client.tell(frame)
        {
            self.writable.push_back(id);
        }
    }

    /// Tells those whom a client that was the last of its key has sent to.
    fn tell_gone(&mut self, client: &Client) {
        let frame = Frame::PeerGone {
            peer: client.key,
            reason: GoneReason::Disconnected,
        };
        for peer in &client.destinations {
            if let Some(id) = self.newest(peer) {
                self.tell(id, &frame);
            }
        }
    }

    fn close(&mut self, id: ClientId, reason: Closed) {
        self.remove(id);
        self.closing.push_back((id, reason));
    }

    fn next_keepalive(&mut self, now: Instant) -> Instant {
        let share = f64::from(self.entropy.number()) / f64::from(u32::MAX);
        now + KEEPALIVE + KEEPALIVE_JITTER.mul_f64(share)
    }
}
