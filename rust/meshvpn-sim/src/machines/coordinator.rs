//! A coordinator: the pure [`Coordinator`] behind a port that accepts streams, with its records in memory.
//!
//! The HTTP request and the WebSocket of the real one are left out: a message of bytes follows its length here.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::map::{Relay, RelayId};
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::noise::identity::Identity;
use meshvpn_proto::time::Now;
use meshvpn_server::coordinator::config::Config;
use meshvpn_server::coordinator::connection::{Connection, Step};
use meshvpn_server::coordinator::request::{NewKey, Request};
use meshvpn_server::coordinator::store::{MemoryStore, Secrets};
use meshvpn_server::coordinator::{Arrival, Coordinator, Counters, Output, RequestId, SessionId};
use zeroize::Zeroizing;

use super::pieces::{Pieces, framed};
use crate::chance::Chance;
use crate::internet::{HostId, Internet, MachineId};
use crate::machine::{Machine, StreamAction, StreamEvent, StreamId, Transmit};

/// Where UDP is blocked, nothing else gets out.
pub const PORT: u16 = 443;

/// Runs a coordinator.
#[derive(Debug)]
pub struct CoordinatorHost {
    coordinator: Coordinator,
    identity: Arc<Identity>,
    store: MemoryStore,
    chance: Chance,
    connections: BTreeMap<StreamId, Node>,
    actions: VecDeque<StreamAction>,
    notes: VecDeque<String>,
    requests: u64,
}

#[derive(Debug)]
struct Node {
    connection: Connection,
    pieces: Pieces,
    address: IpAddr,
    is_known: bool,
}

impl CoordinatorHost {
    /// Starts a coordinator on a host; its port is [`PORT`]. Its records are in `store`: one that starts again
    /// goes on where the former was.
    pub fn attach(
        net: &mut Internet,
        host: HostId,
        store: &MemoryStore,
        relays: &[SocketAddr],
    ) -> MachineId {
        let now = net.clock();
        let mut chance = net.chance(&format!("coordinator at {:?}", now.unix));
        let secrets = store.secrets_now(Secrets {
            control: Zeroizing::new(chance.seed()),
            signing: Zeroizing::new(chance.seed()),
        });
        let relays = (1..).zip(relays).map(|(number, address)| Relay {
            id: RelayId(number),
            region: format!("region-{number}"),
            url: format!("http://{address}"),
            certificate_sha256: None,
            stun_port: None,
        });
        let config = Config {
            allow_all: true,
            relays: relays.collect(),
            ..Config::default()
        };
        let identity = Identity::open(PrivateKey::new(*secrets.control));
        let machine = Self {
            coordinator: Coordinator::new(now, config, &secrets, store.load_now()),
            identity: Arc::new(identity),
            store: store.clone(),
            chance,
            connections: BTreeMap::new(),
            actions: [StreamAction::Listen(PORT)].into(),
            notes: VecDeque::new(),
            requests: 0,
        };
        net.attach(host, "coordinator", Box::new(machine), &[])
    }

    /// A new auth key, which admits any number of nodes.
    pub fn create_auth_key(&mut self, now: Now) -> AuthKey {
        let mut random = Zeroizing::new([0; 40]);
        for chunk in random.chunks_mut(8) {
            chunk.copy_from_slice(&self.chance.number().to_le_bytes());
        }
        let key = AuthKey::generate(self.coordinator.public_key(), &random);
        let request = Request::CreateKey(NewKey {
            reusable: true,
            random: Some(random),
            ..NewKey::default()
        });
        self.requests += 1;
        let id = RequestId(self.requests);
        self.coordinator.handle_request(now, id, request);
        self.drain(now);
        key
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        self.coordinator.counters()
    }

    /// How many nodes are connected.
    pub fn connected(&self) -> usize {
        self.coordinator.connected()
    }

    fn take(&mut self, now: Now, stream: StreamId, message: &[u8]) {
        let Some(node) = self.connections.get_mut(&stream) else {
            return;
        };
        let session = SessionId(stream.0);
        match node.connection.handle_message(now.instant, message) {
            Step::Wait => {}
            Step::Answer(answer) => {
                let answer = StreamAction::Send(stream, framed(&answer));
                self.actions.push_back(answer);
            }
            Step::Message(machine_key, message) => {
                if !core::mem::replace(&mut node.is_known, true) {
                    let address = node.address;
                    let arrival = Arrival {
                        machine_key,
                        address,
                    };
                    self.coordinator.handle_connect(now, session, arrival);
                }
                self.coordinator.handle_message(now, session, message);
            }
            Step::End(messages, reason) => {
                for message in messages {
                    let message = StreamAction::Send(stream, framed(&message));
                    self.actions.push_back(message);
                }
                self.notes.push_back(reason);
                self.end(now, stream);
            }
        }
    }

    fn end(&mut self, now: Now, stream: StreamId) {
        if let Some(node) = self.connections.remove(&stream) {
            self.actions.push_back(StreamAction::Close(stream));
            if node.is_known {
                let session = SessionId(stream.0);
                self.coordinator.handle_disconnect(now, session);
            }
        }
    }

    /// Writes what was decided, and sends what is to be sent.
    fn drain(&mut self, now: Now) {
        while let Some(batch) = self.coordinator.poll_commit() {
            let outcome = self.store.commit_now(&batch);
            self.coordinator.handle_outcome(now, outcome);
        }
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                Output::Send(session, message) => {
                    let stream = StreamId(session.0);
                    let Some(node) = self.connections.get_mut(&stream) else {
                        continue;
                    };
                    for frame in node.connection.seal(&message) {
                        let frame = StreamAction::Send(stream, framed(&frame));
                        self.actions.push_back(frame);
                    }
                }
                Output::Close(session) => self.end(now, StreamId(session.0)),
                Output::Note(note) => self.notes.push_back(note),
                _ => {}
            }
        }
    }
}

impl Machine for CoordinatorHost {
    fn handle_datagram(&mut self, _: Now, _: usize, _: SocketAddr, _: SocketAddr, _: &[u8]) {}

    fn handle_timeout(&mut self, now: Now) {
        let is_late = |node: &Node| node.connection.poll_timeout() <= now.instant;
        let late = self.connections.iter().filter(|(_, node)| is_late(node));
        for stream in late.map(|(stream, _)| *stream).collect::<Vec<_>>() {
            self.end(now, stream);
        }
        self.coordinator.handle_timeout(now);
        self.drain(now);
    }

    fn handle_stream(&mut self, now: Now, stream: StreamId, event: StreamEvent) {
        match event {
            StreamEvent::Accepted(from) => {
                let ephemeral = PrivateKey::new(self.chance.seed());
                let identity = Arc::clone(&self.identity);
                let node = Node {
                    connection: Connection::new(now.instant, identity, ephemeral),
                    pieces: Pieces::default(),
                    address: from.ip(),
                    is_known: false,
                };
                self.connections.insert(stream, node);
            }
            StreamEvent::Data(data) => {
                if let Some(node) = self.connections.get_mut(&stream) {
                    node.pieces.push(&data);
                }
                while let Some(message) = self
                    .connections
                    .get_mut(&stream)
                    .and_then(|node| node.pieces.next())
                {
                    self.take(now, stream, &message);
                }
            }
            StreamEvent::Closed(_) => self.end(now, stream),
            StreamEvent::Connected => {}
        }
        self.drain(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn poll_stream(&mut self) -> Option<StreamAction> {
        self.actions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let connections = self.connections.values();
        let connections = connections.map(|node| node.connection.poll_timeout());
        connections.chain(self.coordinator.poll_timeout()).min()
    }

    fn poll_note(&mut self) -> Option<String> {
        self.notes.pop_front()
    }
}
