//! Nodes and coordinators, joined by connections that carry everything at once.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::client::{Client, Config as ClientConfig, Event, Status};
use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::control::messages::{HostInfo, Refusal, Register};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;
use meshvpn_proto::time::Now;
use zeroize::Zeroizing;

use crate::coordinator::config::Config;
use crate::coordinator::connection::{Connection, Step};
use crate::coordinator::request::{NewKey, Request, RequestError, Response};
use crate::coordinator::store::{MemoryStore, Outcome, Secrets};
use crate::coordinator::{Arrival, Coordinator, Output, RequestId, SessionId};

const CONTROL: [u8; 32] = [0x42; 32];

pub(super) struct World {
    pub(super) now: Now,
    pub(super) store: MemoryStore,
    pub(super) coordinators: Vec<Coordinator>,
    pub(super) nodes: Vec<TestNode>,
    pub(super) notes: Vec<String>,
    /// What the store says instead of writing.
    pub(super) failure: Option<String>,
    connections: BTreeMap<SessionId, (usize, usize, Connection)>,
    answers: BTreeMap<RequestId, Result<Response, RequestError>>,
    numbers: u64,
}

pub(super) struct TestNode {
    pub(super) client: Client,
    pub(super) refusals: Vec<Refusal>,
    pub(super) signals: Vec<NodeId>,
    pub(super) pending: Vec<String>,
    session: Option<SessionId>,
    /// Which coordinator it uses.
    home: usize,
    is_cut: bool,
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        let mut world = Self {
            now: begin(),
            store: MemoryStore::default(),
            coordinators: Vec::new(),
            nodes: Vec::new(),
            notes: Vec::new(),
            failure: None,
            connections: BTreeMap::new(),
            answers: BTreeMap::new(),
            numbers: 0,
        };
        world.start(config);
        world
    }

    /// One more coordinator on the same store.
    pub(super) fn start(&mut self, config: Config) -> usize {
        let secrets = self.store.secrets_now(Secrets {
            control: Zeroizing::new(CONTROL),
            signing: Zeroizing::new([0x43; 32]),
        });
        let snapshot = self.store.load_now();
        let coordinator = Coordinator::new(self.now, config, &secrets, snapshot);
        self.coordinators.push(coordinator);
        self.settle();
        self.coordinators.len() - 1
    }

    /// The first coordinator dies and comes back with what the store has.
    pub(super) fn restart(&mut self, config: Config) {
        self.connections.clear();
        for node in &mut self.nodes {
            if node.session.take().is_some() {
                node.client.handle_disconnected(self.now.instant, "died");
            }
        }
        self.coordinators.clear();
        self.start(config);
    }

    pub(super) fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        self.numbers += 1;
        let id = RequestId(self.numbers);
        self.coordinators[0].handle_request(self.now, id, request);
        self.settle();
        self.answers.remove(&id).expect("an answer")
    }

    pub(super) fn key(&mut self, mut new: NewKey) -> AuthKey {
        self.numbers += 1;
        let mut random = [self.numbers as u8; 40];
        random[..8].copy_from_slice(&self.numbers.to_le_bytes());
        new.random = Some(Zeroizing::new(random));
        match self.ask(Request::CreateKey(new)) {
            Ok(Response::NewKey(key)) => key.key.parse().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// A machine that wants to join by this key.
    pub(super) fn add(&mut self, seed: u8, auth_key: Option<AuthKey>) -> usize {
        self.add_at(0, seed, auth_key, &[])
    }

    pub(super) fn add_at(
        &mut self,
        home: usize,
        seed: u8,
        auth_key: Option<AuthKey>,
        routes: &[&str],
    ) -> usize {
        let register = Register {
            auth_key,
            name: format!("n{seed}"),
            node_key: node_key(seed),
            host: HostInfo::default(),
            routes: routes.iter().map(|route| route.parse().unwrap()).collect(),
            candidates: Vec::new(),
            home_relay: None,
            resume: None,
        };
        let config = ClientConfig {
            machine: Arc::new(Identity::open(PrivateKey::new([seed; 32]))),
            coordinator: self.coordinators[0].public_key(),
            register,
            map_key: None,
            cached: None,
        };
        self.nodes.push(TestNode {
            client: Client::new(self.now.instant, config, [seed; 32]),
            refusals: Vec::new(),
            signals: Vec::new(),
            pending: Vec::new(),
            session: None,
            home,
            is_cut: false,
        });
        self.settle();
        self.nodes.len() - 1
    }

    /// A member that joined by a key of its own.
    pub(super) fn member(&mut self, seed: u8) -> usize {
        let key = self.key(NewKey::default());
        let node = self.add(seed, Some(key));
        assert_eq!(self.nodes[node].client.status(), Status::Up);
        node
    }

    /// The node's connection breaks, and no other comes about.
    pub(super) fn cut(&mut self, node: usize) {
        self.nodes[node].is_cut = true;
        self.hang_up(node);
        self.settle();
    }

    pub(super) fn mend(&mut self, node: usize) {
        self.nodes[node].is_cut = false;
        let now = self.now.instant;
        self.nodes[node].client.hurry(now);
        self.settle();
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        // In steps, so that what is due in between happens.
        for _ in 0..seconds {
            self.now.instant += Duration::from_secs(1);
            self.now.unix += Duration::from_secs(1);
            self.settle();
        }
    }

    /// All that can happen at this moment.
    pub(super) fn settle(&mut self) {
        let mut is_busy = true;
        while is_busy {
            is_busy = false;
            for node in 0..self.nodes.len() {
                is_busy |= self.run_node(node);
            }
            for coordinator in 0..self.coordinators.len() {
                is_busy |= self.run_coordinator(coordinator);
            }
        }
    }

    pub(super) fn map(&self, node: usize) -> Vec<String> {
        let peers = self.nodes[node].client.map().peers.values();
        peers.map(|peer| peer.name.clone()).collect()
    }

    pub(super) fn refusal(&self, node: usize) -> &Refusal {
        self.nodes[node].refusals.last().expect("a refusal")
    }

    fn run_node(&mut self, number: usize) -> bool {
        let now = self.now.instant;
        let mut is_busy = false;
        let node = &mut self.nodes[number];
        if node.client.poll_timeout().0 <= now {
            node.client.handle_timeout(now);
            is_busy = true;
        }
        while let Some(event) = self.nodes[number].client.poll_event() {
            is_busy = true;
            match event {
                Event::Open => self.connect(number),
                Event::Close => self.hang_up(number),
                Event::Refused(refusal) => self.nodes[number].refusals.push(refusal),
                Event::Signal { from, .. } => self.nodes[number].signals.push(from),
                Event::Pending(text) => self.nodes[number].pending.push(text),
                _ => {}
            }
        }
        while let Some(frame) = self.nodes[number].client.poll_transmit() {
            is_busy = true;
            if let Some(session) = self.nodes[number].session {
                self.hear_node(session, &frame);
            }
        }
        is_busy
    }

    fn connect(&mut self, number: usize) {
        let now = self.now.instant;
        let node = &mut self.nodes[number];
        if node.is_cut {
            return node.client.handle_disconnected(now, "cut");
        }
        self.numbers += 1;
        let session = SessionId(self.numbers);
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&self.numbers.to_le_bytes());
        let identity = Arc::new(Identity::open(PrivateKey::new(CONTROL)));
        let connection = Connection::new(now, identity, PrivateKey::new(seed));
        self.connections
            .insert(session, (node.home, number, connection));
        node.session = Some(session);
        node.client.handle_connected(now);
    }

    fn hang_up(&mut self, number: usize) {
        let Some(session) = self.nodes[number].session.take() else {
            return;
        };
        if let Some((home, ..)) = self.connections.remove(&session) {
            self.coordinators[home].handle_disconnect(self.now, session);
        }
        let now = self.now.instant;
        self.nodes[number].client.handle_disconnected(now, "closed");
    }

    fn hear_node(&mut self, session: SessionId, frame: &[u8]) {
        let Some((home, number, connection)) = self.connections.get_mut(&session) else {
            return;
        };
        let (home, number) = (*home, *number);
        match connection.handle_message(self.now.instant, frame) {
            Step::Wait => {}
            Step::Answer(answer) => {
                let client = &mut self.nodes[number].client;
                client.handle_message(self.now.instant, &answer);
            }
            Step::Message(machine_key, message) => {
                let coordinator = &mut self.coordinators[home];
                if matches!(
                    message,
                    meshvpn_proto::control::messages::NodeMessage::Register(_)
                ) {
                    let address = [192, 0, 2, number as u8].into();
                    let arrival = Arrival {
                        machine_key,
                        address,
                    };
                    coordinator.handle_connect(self.now, session, arrival);
                }
                coordinator.handle_message(self.now, session, message);
            }
            Step::End(..) => self.hang_up(number),
        }
    }

    fn run_coordinator(&mut self, number: usize) -> bool {
        let mut is_busy = false;
        let coordinator = &mut self.coordinators[number];
        if coordinator
            .poll_timeout()
            .is_some_and(|at| at <= self.now.instant)
        {
            coordinator.handle_timeout(self.now);
        }
        let news = self.store.changes_now(coordinator.version());
        if !news.is_empty() && number > 0 {
            is_busy = true;
            coordinator.handle_changes(self.now, news);
        }
        while let Some(batch) = coordinator.poll_commit() {
            is_busy = true;
            let outcome = match &self.failure {
                Some(reason) => Outcome::Failed(reason.clone()),
                None => self.store.commit_now(&batch),
            };
            coordinator.handle_outcome(self.now, outcome);
        }
        while let Some(output) = self.coordinators[number].poll_output() {
            is_busy = true;
            self.output(output);
        }
        is_busy
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Send(session, message) => {
                let Some((_, number, connection)) = self.connections.get_mut(&session) else {
                    return;
                };
                let client = &mut self.nodes[*number].client;
                for frame in connection.seal(&message) {
                    client.handle_message(self.now.instant, &frame);
                }
            }
            Output::Close(session) => {
                if let Some((_, number, _)) = self.connections.get(&session) {
                    self.hang_up(*number);
                }
            }
            Output::Answer(id, answer) => {
                self.answers.insert(id, answer);
            }
            Output::Note(note) => self.notes.push(note),
        }
    }
}

pub(super) fn node_key(seed: u8) -> PublicKey {
    PrivateKey::new([seed ^ 0xff; 32]).public_key()
}

#[allow(clippy::disallowed_methods, reason = "time has to begin somewhere")]
fn begin() -> Now {
    Now {
        instant: Instant::now(),
        unix: Duration::from_secs(1_800_000_000),
    }
}
