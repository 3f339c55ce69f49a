//! A relay: the pure [`Server`] behind a port that accepts streams.
//!
//! The HTTP request that comes first in the real one is left out: a stream here is what that becomes.

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::server::{ClientId, Limits, Login, Server, Statistics};
use meshvpn_proto::time::Now;

use crate::chance::Chance;
use crate::internet::{HostId, Internet, MachineId};
use crate::machine::{Machine, StreamAction, StreamEvent, StreamId, Transmit};

/// Where UDP is blocked, nothing else gets out.
pub const PORT: u16 = 443;

/// Runs a relay.
#[derive(Debug)]
pub struct RelayHost {
    key: PrivateKey,
    server: Server,
    limits: Limits,
    chance: Chance,
    connections: BTreeMap<StreamId, Connection>,
    streams: BTreeMap<ClientId, StreamId>,
    actions: VecDeque<StreamAction>,
}

#[derive(Debug)]
struct Connection {
    /// What has come and is not used yet.
    bytes: Vec<u8>,
    /// None before it has logged in.
    client: Option<ClientId>,
}

impl RelayHost {
    /// Starts a relay on a host; its port is [`PORT`].
    pub fn attach(net: &mut Internet, host: HostId) -> MachineId {
        let mut chance = net.chance(&format!("relay {}", net.name(host)));
        let limits = Limits::default();
        let machine = Self {
            key: PrivateKey::new(chance.seed()),
            server: Server::new(limits, chance.seed()),
            limits,
            chance,
            connections: BTreeMap::new(),
            streams: BTreeMap::new(),
            actions: [StreamAction::Listen(PORT)].into(),
        };
        net.attach(host, "relay", Box::new(machine), &[])
    }

    /// What it has done.
    pub fn statistics(&self) -> Statistics {
        self.server.statistics()
    }

    fn log_in(&mut self, now: Instant, stream: StreamId) {
        let Some(connection) = self.connections.get_mut(&stream) else {
            return;
        };
        let login = Login::new(self.key.clone());
        match login.handle_bytes(&connection.bytes) {
            Ok(None) => {}
            Ok(Some(hello)) => {
                connection.bytes.drain(..hello.consumed);
                let nonce = *self.chance.seed().first_chunk().expect("24 of 32 bytes");
                let answer = login.answer(&hello.key, &self.limits, nonce);
                self.actions.push_back(StreamAction::Send(stream, answer));
                self.admit(now, stream, hello.key);
            }
            Err(_) => self.close(stream),
        }
    }

    fn admit(&mut self, now: Instant, stream: StreamId, key: PublicKey) {
        match self.server.add(now, key) {
            Ok(id) => {
                self.streams.insert(id, stream);
                if let Some(connection) = self.connections.get_mut(&stream) {
                    connection.client = Some(id);
                }
            }
            Err(_) => self.close(stream),
        }
    }

    fn forward(&mut self, now: Instant, stream: StreamId) {
        let Some(connection) = self.connections.get_mut(&stream) else {
            return;
        };
        let Some(id) = connection.client else {
            return;
        };
        match self.server.handle_bytes(now, id, &mut connection.bytes) {
            Ok(progress) => {
                connection.bytes.drain(..progress.consumed);
            }
            Err(_) => self.close(stream),
        }
    }

    fn close(&mut self, stream: StreamId) {
        self.actions.push_back(StreamAction::Close(stream));
        self.forget(stream);
    }

    fn forget(&mut self, stream: StreamId) {
        let connection = self.connections.remove(&stream);
        if let Some(id) = connection.and_then(|connection| connection.client) {
            self.streams.remove(&id);
            self.server.remove(id);
        }
    }

    fn drain(&mut self) {
        while let Some((id, _)) = self.server.poll_closed() {
            if let Some(stream) = self.streams.remove(&id) {
                self.close(stream);
            }
        }
        while let Some(id) = self.server.poll_writable() {
            let mut bytes = Vec::new();
            while self.server.take_output(id, &mut bytes) {}
            if let Some(stream) = self.streams.get(&id) {
                self.actions.push_back(StreamAction::Send(*stream, bytes));
            }
        }
    }
}

impl Machine for RelayHost {
    fn handle_datagram(&mut self, _: Now, _: usize, _: SocketAddr, _: SocketAddr, _: &[u8]) {}

    fn handle_timeout(&mut self, now: Now) {
        self.server.handle_timeout(now.instant);
        self.drain();
    }

    fn handle_stream(&mut self, now: Now, stream: StreamId, event: StreamEvent) {
        match event {
            StreamEvent::Accepted(_) => {
                let greeting = Login::new(self.key.clone()).greeting();
                self.actions.push_back(StreamAction::Send(stream, greeting));
                let connection = Connection {
                    bytes: Vec::new(),
                    client: None,
                };
                self.connections.insert(stream, connection);
            }
            StreamEvent::Data(data) => {
                let connection = self.connections.get_mut(&stream);
                let is_client = connection.is_some_and(|connection| {
                    connection.bytes.extend(data);
                    connection.client.is_some()
                });
                if !is_client {
                    self.log_in(now.instant, stream);
                }
                self.forward(now.instant, stream);
            }
            StreamEvent::Closed(_) => self.forget(stream),
            StreamEvent::Connected => {}
        }
        self.drain();
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn poll_stream(&mut self) -> Option<StreamAction> {
        self.actions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }
}
