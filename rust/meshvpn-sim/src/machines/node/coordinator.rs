//! The control channel: messages of bytes on a stream, each after its length in four bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use meshvpn_proto::control::client::{Client, Config, Event};
use meshvpn_proto::control::map::{Map, NodeId, RelayId};
use meshvpn_proto::control::messages::{HostInfo, Register};
use meshvpn_proto::noise::identity::Identity;
use meshvpn_proto::path::candidate::Candidate;
use meshvpn_proto::time::Now;

use super::{MeshNode, Start};
use crate::machine::{StreamAction, StreamEvent, StreamId};
use crate::machines::pieces::{Pieces, framed};

/// Streams that go to the coordinator have numbers below this.
const STREAMS: u64 = 1 << 16;

#[derive(Debug)]
pub(super) struct Control {
    client: Client,
    address: SocketAddr,
    stream: Option<StreamId>,
    next_stream: u64,
    pieces: Pieces,
    actions: VecDeque<StreamAction>,
}

impl Control {
    pub(super) fn new(now: Instant, start: Start, seed: [u8; 32]) -> Self {
        let config = Config {
            coordinator: start.auth_key.coordinator(),
            machine: Arc::new(Identity::open(start.machine_key)),
            register: Register {
                node_key: start.private_key.public_key(),
                auth_key: Some(start.auth_key),
                name: start.name,
                host: HostInfo::default(),
                routes: Vec::new(),
                candidates: Vec::new(),
                home_relay: None,
                resume: None,
            },
            map_key: None,
            cached: None,
        };
        Self {
            client: Client::new(now, config, seed),
            address: start.coordinator,
            stream: None,
            next_stream: 0,
            pieces: Pieces::default(),
            actions: VecDeque::new(),
        }
    }

    pub(super) fn id(&self) -> Option<NodeId> {
        self.client.node()
    }

    pub(super) fn map(&self) -> &Map {
        self.client.map()
    }

    pub(super) fn set_candidates(&mut self, candidates: Vec<Candidate>) {
        self.client.set_candidates(candidates);
    }

    pub(super) fn set_home_relay(&mut self, relay: Option<RelayId>) {
        self.client.set_home_relay(relay);
    }

    pub(super) fn owns(&self, stream: StreamId) -> bool {
        stream.0 < STREAMS
    }

    /// The first connection is tried when time passes; this lets it pass.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.client.handle_timeout(now);
    }

    /// The connection cannot be of use any more: another one.
    pub(super) fn reconnect(&mut self, now: Instant) {
        self.close();
        self.client
            .handle_disconnected(now, "the network is another one");
        self.client.hurry(now);
        self.client.handle_timeout(now);
    }

    pub(super) fn handle_stream(&mut self, now: Instant, stream: StreamId, event: StreamEvent) {
        // Of one that was given up, nothing counts.
        if self.stream != Some(stream) {
            return;
        }
        match event {
            StreamEvent::Connected => self.client.handle_connected(now),
            StreamEvent::Data(data) => {
                self.pieces.push(&data);
                while let Some(message) = self.pieces.next() {
                    self.client.handle_message(now, &message);
                }
            }
            StreamEvent::Closed(why) => {
                self.stream = None;
                self.client.handle_disconnected(now, &format!("{why:?}"));
            }
            StreamEvent::Accepted(_) => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if now >= self.client.poll_timeout().0 {
            self.client.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.client.poll_timeout().0
    }

    /// The next event that is not about the connection.
    pub(super) fn poll(&mut self) -> Option<Event> {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Open => self.open(),
                Event::Close => self.close(),
                other => return Some(other),
            }
        }
        None
    }

    pub(super) fn take_actions(&mut self) -> Vec<StreamAction> {
        while let Some(message) = self.client.poll_transmit() {
            if let Some(stream) = self.stream {
                self.actions
                    .push_back(StreamAction::Send(stream, framed(&message)));
            }
        }
        self.actions.drain(..).collect()
    }

    fn open(&mut self) {
        self.close();
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        self.stream = Some(stream);
        self.actions
            .push_back(StreamAction::Open(stream, self.address));
    }

    fn close(&mut self) {
        self.pieces = Pieces::default();
        if let Some(stream) = self.stream.take() {
            self.actions.push_back(StreamAction::Close(stream));
        }
    }
}

impl MeshNode {
    pub(super) fn handle_control(&mut self, now: Now, event: Event) {
        match event {
            Event::MapChanged(_) => {
                let home = self
                    .relays
                    .set_relays(now.instant, &self.control.map().relays);
                self.control.set_home_relay(home);
                self.node.apply_map(now, self.control.map().clone());
            }
            Event::Up { node, name } => self.notes.push_back(format!("is {name}, number {node}")),
            Event::Refused(refusal) => self.notes.push_back(format!("refused: {refusal:?}")),
            Event::Away { reason, .. } => self.notes.push_back(format!("away: {reason}")),
            _ => {}
        }
    }
}
