//! Connections to relays: to the own home, and to those where peers are at home.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use meshvpn_proto::control::map::{NodeId, Relay, RelayId};
use meshvpn_proto::forward::Path;
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::backoff::Backoff;
use meshvpn_proto::relay::client::{Client, Event};
use meshvpn_proto::relay::frame::Frame;
use meshvpn_proto::relay::numbers::PeerNumbers;

use crate::chance::Chance;
use crate::machine::{StreamAction, StreamEvent, StreamId};

/// Relay connections have the places from here on in the table of sockets.
const PLACES: usize = 100;
/// Streams that go to relays have numbers from here on.
const STREAMS: u64 = 1 << 16;
/// Packets that wait for a connection to come about.
const WAITING: usize = 64;

#[derive(Debug)]
pub(super) struct Relays {
    key: PrivateKey,
    home: usize,
    chance: Chance,
    next_stream: u64,
    numbers: PeerNumbers,
    /// Who is reached over which relay, by its path.
    peers: BTreeMap<NodeId, (RelayId, Path)>,
    addresses: BTreeMap<RelayId, SocketAddr>,
    connections: BTreeMap<RelayId, Connection>,
    actions: VecDeque<StreamAction>,
}

#[derive(Debug)]
struct Connection {
    state: State,
    backoff: Backoff,
    waiting: VecDeque<(Path, Vec<u8>)>,
}

#[derive(Debug)]
enum State {
    /// To be tried then.
    Waiting(Instant),
    Opening(StreamId),
    Open(StreamId, Box<Client>, Vec<u8>),
}

/// What an event of a stream has brought.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The connection in this place is gone.
    pub(super) lost: Option<usize>,
    /// These peers are reached again.
    pub(super) restored: Vec<(NodeId, Path)>,
    /// Packets, with the way back to who sent them.
    pub(super) packets: Vec<(Path, Vec<u8>)>,
}

impl Relays {
    pub(super) fn new(key: PrivateKey, home: usize, seed: [u8; 32]) -> Self {
        let number = seed.first_chunk().copied().map_or(0, u64::from_le_bytes);
        Self {
            key,
            home,
            chance: Chance::new(number),
            next_stream: STREAMS,
            numbers: PeerNumbers::new(),
            peers: BTreeMap::new(),
            addresses: BTreeMap::new(),
            connections: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// The relays of the mesh; returns the one that is home, to which a connection is kept.
    pub(super) fn set_relays(
        &mut self,
        now: Instant,
        relays: &BTreeMap<RelayId, Relay>,
    ) -> Option<RelayId> {
        let addresses = relays.values().filter_map(|relay| {
            let host = relay.url.split_once("://")?.1;
            Some((relay.id, host.parse().ok()?))
        });
        self.addresses = addresses.collect();
        let home = *self.addresses.keys().cycle().nth(self.home)?;
        self.want(now, home);
        Some(home)
    }

    /// How a peer that is at home on `relay` is reached from now on.
    pub(super) fn path(
        &mut self,
        now: Instant,
        peer: NodeId,
        key: PublicKey,
        relay: RelayId,
    ) -> Path {
        self.want(now, relay);
        let path = Path::relayed(place(relay), self.numbers.assign(key));
        self.peers.insert(peer, (relay, path));
        path
    }

    /// Sends a packet; what cannot go yet waits, the newest the longest.
    pub(super) fn send(&mut self, now: Instant, path: Path, packet: &[u8]) {
        let relay = RelayId((path.socket - PLACES) as u32);
        let Some(connection) = self.connections.get_mut(&relay) else {
            return;
        };
        let number = path
            .relayed_number()
            .and_then(|number| self.numbers.key(number));
        let Some(destination) = number else {
            return;
        };
        match &mut connection.state {
            State::Open(stream, client, _) if client.is_ready() => {
                client.note_sent(now);
                let frame = Frame::SendPacket {
                    destination,
                    packet,
                };
                self.actions
                    .push_back(StreamAction::Send(*stream, frame.to_bytes()));
            }
            _ => {
                if connection.waiting.len() == WAITING {
                    connection.waiting.pop_front();
                }
                connection.waiting.push_back((path, packet.to_vec()));
            }
        }
    }

    pub(super) fn handle_stream(
        &mut self,
        now: Instant,
        stream: StreamId,
        event: StreamEvent,
    ) -> Outcome {
        let is_it = |state: &State| match state {
            State::Waiting(_) => false,
            State::Opening(own) | State::Open(own, ..) => *own == stream,
        };
        let found = self.connections.iter().find(|(_, one)| is_it(&one.state));
        let Some(relay) = found.map(|(relay, _)| *relay) else {
            return Outcome::default();
        };
        match event {
            StreamEvent::Connected => {
                let nonce = *self.chance.seed().first_chunk().expect("24 of 32 bytes");
                let client = Client::new(now, self.key.clone(), nonce);
                self.set(relay, State::Open(stream, Box::new(client), Vec::new()));
                Outcome::default()
            }
            StreamEvent::Data(data) => self.read(now, relay, &data),
            StreamEvent::Closed(_) => self.lose(now, relay),
            StreamEvent::Accepted(_) => Outcome::default(),
        }
    }

    /// Returns the places of connections that are gone.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<usize> {
        let mut lost = Vec::new();
        for relay in self.connections.keys().copied().collect::<Vec<_>>() {
            let Some(connection) = self.connections.get_mut(&relay) else {
                continue;
            };
            let is_due = matches!(connection.state, State::Waiting(at) if now >= at);
            let is_dead = match &mut connection.state {
                State::Open(_, client, _) => client.handle_timeout(now).is_err(),
                _ => false,
            };
            if is_due {
                self.open(now, relay);
            } else if is_dead {
                lost.extend(self.lose(now, relay).lost);
            } else {
                self.write(relay);
            }
        }
        lost
    }

    /// Gives up all connections and makes them anew; returns their places.
    pub(super) fn reconnect(&mut self, now: Instant) -> Vec<usize> {
        let relays: Vec<_> = self.connections.keys().copied().collect();
        let lost = relays.into_iter().filter_map(|relay| {
            let lost = self.lose(now, relay).lost;
            if let Some(connection) = self.connections.get_mut(&relay) {
                connection.backoff.reset();
                connection.state = State::Waiting(now);
            }
            self.open(now, relay);
            lost
        });
        lost.collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let times = self
            .connections
            .values()
            .filter_map(|one| match &one.state {
                State::Waiting(at) => Some(*at),
                State::Opening(_) => None,
                State::Open(_, client, _) => Some(client.poll_timeout()),
            });
        times.min()
    }

    pub(super) fn take_actions(&mut self) -> Vec<StreamAction> {
        self.actions.drain(..).collect()
    }

    fn want(&mut self, now: Instant, relay: RelayId) {
        if !self.connections.contains_key(&relay) {
            let connection = Connection {
                state: State::Waiting(now),
                backoff: Backoff::new(self.chance.seed()),
                waiting: VecDeque::new(),
            };
            self.connections.insert(relay, connection);
            self.open(now, relay);
        }
    }

    fn open(&mut self, now: Instant, relay: RelayId) {
        let state = match self.addresses.get(&relay) {
            Some(address) => {
                let stream = StreamId(self.next_stream);
                self.next_stream += 1;
                self.actions.push_back(StreamAction::Open(stream, *address));
                State::Opening(stream)
            }
            // The map has no such relay, or not yet.
            None => State::Waiting(now + Duration::from_secs(1)),
        };
        self.set(relay, state);
    }

    fn set(&mut self, relay: RelayId, state: State) {
        if let Some(connection) = self.connections.get_mut(&relay) {
            connection.state = state;
        }
    }

    fn read(&mut self, now: Instant, relay: RelayId, data: &[u8]) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(connection) = self.connections.get_mut(&relay) else {
            return outcome;
        };
        let State::Open(_, client, bytes) = &mut connection.state else {
            return outcome;
        };
        bytes.extend_from_slice(data);
        let mut rest = &bytes[..];
        let mut is_ready = false;
        let is_sound = loop {
            match client.next(now, &mut rest) {
                Ok(None) => break true,
                Ok(Some(Event::Packet { source, packet })) => {
                    let path = Path::relayed(place(relay), self.numbers.assign(source));
                    outcome.packets.push((path, packet.to_vec()));
                }
                Ok(Some(Event::Ready { .. })) => is_ready = true,
                Ok(Some(_)) => {}
                Err(_) => break false,
            }
        };
        let used = bytes.len() - rest.len();
        bytes.drain(..used);
        self.write(relay);
        if !is_sound {
            outcome.lost = self.lose(now, relay).lost;
        } else if is_ready {
            let at_home = self.peers.iter().filter(|(_, (home, _))| *home == relay);
            outcome.restored = at_home.map(|(peer, (_, path))| (*peer, *path)).collect();
            self.release(now, relay);
        }
        outcome
    }

    /// Sends what waited for the connection.
    fn release(&mut self, now: Instant, relay: RelayId) {
        let Some(connection) = self.connections.get_mut(&relay) else {
            return;
        };
        connection.backoff.reset();
        for (path, packet) in core::mem::take(&mut connection.waiting) {
            self.send(now, path, &packet);
        }
    }

    fn write(&mut self, relay: RelayId) {
        let connection = self.connections.get_mut(&relay);
        if let Some(State::Open(stream, client, _)) = connection.map(|one| &mut one.state) {
            while let Some(frame) = client.poll_transmit() {
                self.actions.push_back(StreamAction::Send(*stream, frame));
            }
        }
    }

    fn lose(&mut self, now: Instant, relay: RelayId) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(connection) = self.connections.get_mut(&relay) {
            let retry = State::Waiting(now + connection.backoff.next_delay());
            let before = core::mem::replace(&mut connection.state, retry);
            if let State::Open(stream, ..) | State::Opening(stream) = before {
                self.actions.push_back(StreamAction::Close(stream));
            }
            outcome.lost = Some(place(relay));
        }
        outcome
    }
}

fn place(relay: RelayId) -> usize {
    PLACES + relay.0 as usize
}
