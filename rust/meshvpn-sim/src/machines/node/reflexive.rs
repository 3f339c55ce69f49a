//! Where STUN servers see the node's socket: asked at the start, again now and then, and when a peer sees it
//! elsewhere.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use meshvpn_proto::forward::Path;
use meshvpn_proto::nat::client::{Client, Outcome, Question};
use meshvpn_proto::path::candidate::{Candidate, Kind};

use super::SOCKETS;
use crate::machine::Transmit;

/// A mapping of most NATs lasts longer without traffic, and is kept so.
const INTERVAL: Duration = Duration::from_secs(25);
/// Peers' reports make it ask at most this often.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Reflexive {
    client: Client,
    servers: Vec<SocketAddr>,
    /// What each server has seen.
    seen: BTreeMap<SocketAddr, SocketAddr>,
    asked_at: Instant,
    next: Instant,
}

impl Reflexive {
    pub(super) fn new(now: Instant, servers: Vec<SocketAddr>, seed: [u8; 32]) -> Self {
        let mut reflexive = Self {
            client: Client::new(seed),
            servers,
            seen: BTreeMap::new(),
            asked_at: now,
            next: now,
        };
        reflexive.ask_all(now);
        reflexive
    }

    /// Asks again soon.
    pub(super) fn ask(&mut self, now: Instant) {
        let soon = (self.asked_at + PAUSE).max(now);
        self.next = self.next.min(soon);
    }

    /// What was known holds no more: the network is another one.
    pub(super) fn forget(&mut self, now: Instant) {
        self.seen.clear();
        self.ask_all(now);
    }

    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.seen.values().map(|address| Candidate {
            kind: Kind::ServerReflexive,
            address: *address,
        })
    }

    /// True when the datagram told something new.
    pub(super) fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> bool {
        self.client.handle_datagram(now, path, datagram) && self.take()
    }

    /// True when something is no longer known.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        if now >= self.next {
            self.ask_all(now);
        }
        self.client.handle_timeout(now);
        self.take()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.client.poll_transmit().map(Transmit::from)
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        let client = self.client.poll_timeout().map(|(at, _)| at);
        client.into_iter().fold(self.next, Instant::min)
    }

    fn ask_all(&mut self, now: Instant) {
        for server in &self.servers {
            let socket = SOCKETS[usize::from(server.is_ipv6())];
            self.client.ask(now, Question::new(socket, *server));
        }
        (self.asked_at, self.next) = (now, now + INTERVAL);
    }

    fn take(&mut self) -> bool {
        let before = self.seen.clone();
        while let Some(event) = self.client.poll_event() {
            let server = event.question.server;
            match event.outcome {
                Outcome::Answered(answer) => {
                    self.seen.insert(server, answer.binding.mapped);
                }
                Outcome::Refused(_) | Outcome::Unanswered => {
                    self.seen.remove(&server);
                }
            }
        }
        self.seen != before
    }
}
