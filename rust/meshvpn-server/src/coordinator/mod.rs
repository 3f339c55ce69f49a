//! The coordinator: who is in the mesh, and what everyone is told of it.
//!
//! [`Coordinator`] decides and does nothing: it is told what arrived and when, and says what to send. It holds no
//! state that a [store] does not hold as well, and acknowledges nothing before the store has it:
//!
//! ```text
//!  nodes, administrators ──► work, queued ──► decided on the copy of all records ──► batch ──► store
//!                                                      │                                      │
//!                         taken back, decided anew ◄───┼── others were faster, their changes ◄──┤
//!                                                      ▼                                      ▼
//!            nodes, administrators ◄── answers, deltas, maps ◄──────────────────────────── written
//! ```
//!
//! All that is waiting is decided and written at once, so a thousand nodes that join in a second are a few
//! batches, and a few deltas: each is written and signed once, whoever it goes to.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | how it is set up |
//! | [`record`] | what it keeps, and the numbered changes of that |
//! | [`store`] | where that lies; one in memory |
//! | [`request`] | what administrators may ask |
//! | [`connection`] | one node's connection: the channel's end, and its time limits |
//! | `file`, `service`, `sqlite` | configuration file, shell, and store in a file (features `net`, `store`) |
//! | `state` | the copy of all records |
//! | `publish` | the view that members share, deltas, routes that fail over |
//! | `deliver` | what is done once a decision is written |
//! | `work`, `join`, `admin` | decisions: about connected nodes, about those that come, for administrators |
//! | `addresses`, `limits`, `names` | which addresses and names nodes get, and who tries too often |

mod addresses;
mod admin;
pub mod config;
pub mod connection;
mod deliver;
#[cfg(feature = "net")]
pub mod file;
mod join;
mod limits;
mod names;
mod output;
mod presence;
mod publish;
pub mod record;
pub mod request;
#[cfg(feature = "net")]
#[allow(clippy::disallowed_methods, reason = "the shell reads the clock")]
pub mod service;
#[cfg(feature = "store")]
pub mod sqlite;
mod state;
pub mod store;
#[cfg(test)]
mod tests;
mod work;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::control::messages::{CoordinatorMessage, NodeMessage, Reason, Refusal};
use meshvpn_proto::control::signature::Signer;
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::time::Now;

use self::config::Config;
use self::limits::Limits;
pub use self::output::{Arrival, Counters, Output, RequestId, SessionId};
use self::publish::Publisher;
use self::record::{Change, Settings};
use self::request::Request;
use self::state::State;
use self::store::{Batch, Outcome, Secrets, Snapshot};
use self::work::{InFlight, Work};

/// A coordinator.
#[derive(Debug)]
pub struct Coordinator {
    config: Config,
    public_key: PublicKey,
    signer: Signer,
    /// Both clocks, as they were last read.
    now: Now,
    /// All records, with the changes of [`Self::in_flight`] made in them.
    state: State,
    /// The number of the last change that is known to be written.
    version: u64,
    publisher: Publisher,
    sessions: BTreeMap<SessionId, Session>,
    by_node: BTreeMap<NodeId, SessionId>,
    /// Nodes that may be gone, and when that is decided.
    absences: BTreeSet<(Instant, NodeId)>,
    limits: Limits,
    queue: VecDeque<Work>,
    in_flight: Option<InFlight>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

/// A node's connection.
#[derive(Debug)]
struct Session {
    arrival: Arrival,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has not said who it is, or that is being decided.
    New,
    /// The node waits for approval.
    Pending(NodeId),
    /// The node is a member and follows the map.
    Member(NodeId),
    /// Refused: nothing that it says counts.
    Refused,
}

impl Coordinator {
    /// A coordinator that has read everything that the store holds.
    pub fn new(now: Now, mut config: Config, secrets: &Secrets, snapshot: Snapshot) -> Self {
        let mut state = State::default();
        for change in snapshot.records {
            state.apply(change);
        }
        let signer = Signer::new(&secrets.signing);
        if config.networks.is_empty() {
            config.networks = config::default_networks(&signer.map_key());
        }
        let publisher = Publisher::new(&state, snapshot.version, snapshot.recent);
        let mut coordinator = Self {
            public_key: PrivateKey::new(*secrets.control).public_key(),
            signer,
            now,
            state,
            version: snapshot.version,
            publisher,
            sessions: BTreeMap::new(),
            by_node: BTreeMap::new(),
            absences: BTreeSet::new(),
            limits: Limits::new(config.attempts_per_minute),
            queue: VecDeque::new(),
            in_flight: None,
            counters: Counters::default(),
            outputs: VecDeque::new(),
            config,
        };
        let settings = Settings {
            domain: coordinator.config.domain.clone(),
            allow_all: coordinator.config.allow_all,
            relays: coordinator.config.relays.clone(),
        };
        if *coordinator.state.settings() != settings {
            coordinator.queue.push_back(Work::Settings(settings));
        }
        coordinator.expect_nodes_back();
        coordinator
    }

    /// The public key that nodes must know.
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many nodes are connected here.
    pub fn connected(&self) -> usize {
        self.by_node.len()
    }

    /// How many nodes there are, those that wait included.
    pub fn nodes(&self) -> usize {
        self.state.nodes().len()
    }

    /// The number of the last change that is known to be written.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A channel is open, and the first message of its own has come: so it is fresh.
    pub fn handle_connect(&mut self, now: Now, session: SessionId, arrival: Arrival) {
        self.now = now;
        let stage = Stage::New;
        self.sessions.insert(session, Session { arrival, stage });
    }

    /// A node says something.
    pub fn handle_message(&mut self, now: Now, session: SessionId, message: NodeMessage) {
        self.now = now;
        let Some(Session { stage, .. }) = self.sessions.get(&session) else {
            return;
        };
        let stage = *stage;
        match (message, stage) {
            (_, Stage::Refused) | (NodeMessage::Unknown(_), _) => {}
            (NodeMessage::Ping(number), _) => self.say(session, &CoordinatorMessage::Pong(number)),
            (NodeMessage::Register(register), _) => {
                self.queue.push_back(Work::Register(session, register));
            }
            (_, Stage::New) => {
                let text = "the first message must be a registration";
                self.refuse(session, Refusal::new(Reason::Protocol, text));
            }
            (NodeMessage::Update(update), Stage::Pending(node) | Stage::Member(node)) => {
                self.queue.push_back(Work::Update(node, update));
            }
            (NodeMessage::Rotate(rotate), Stage::Pending(node) | Stage::Member(node)) => {
                let key = rotate.node_key;
                self.queue.push_back(Work::Rotate(session, node, key));
            }
            (NodeMessage::Leave, Stage::Pending(node) | Stage::Member(node)) => {
                self.queue.push_back(Work::Leave(node));
            }
            (NodeMessage::Map, Stage::Member(_)) => self.send_whole(session),
            (NodeMessage::Signal { to, candidates }, Stage::Member(from)) => {
                self.signal(from, to, candidates);
            }
            _ => {}
        }
    }

    /// A node's connection is gone.
    pub fn handle_disconnect(&mut self, now: Now, session: SessionId) {
        self.now = now;
        if let Some(Session {
            stage: Stage::Pending(node) | Stage::Member(node),
            ..
        }) = self.sessions.remove(&session)
            && self.by_node.get(&node) == Some(&session)
        {
            self.by_node.remove(&node);
            self.absences.insert((now.instant + presence::GRACE, node));
        }
    }

    /// An administrator asks.
    pub fn handle_request(&mut self, now: Now, id: RequestId, request: Request) {
        self.now = now;
        self.queue.push_back(Work::Request(id, request));
    }

    /// What came of the batch that [`Self::poll_commit`] gave.
    pub fn handle_outcome(&mut self, now: Now, outcome: Outcome) {
        self.now = now;
        let Some(in_flight) = self.in_flight.take() else {
            return;
        };
        match outcome {
            Outcome::Written => {
                self.counters.commits += 1;
                self.publish(in_flight.changes.iter().map(Change::subject));
                self.release(in_flight.effects);
            }
            Outcome::Behind(missed) => {
                self.counters.conflicts += 1;
                self.take_back(in_flight.undo);
                for work in in_flight.works.into_iter().rev() {
                    self.queue.push_front(work);
                }
                self.follow(missed);
            }
            Outcome::Failed(reason) => {
                self.counters.store_failures += 1;
                self.take_back(in_flight.undo);
                self.outputs
                    .push_back(Output::Note(format!("nothing was stored: {reason}")));
                for work in in_flight.works {
                    self.give_up(work, &reason);
                }
            }
        }
    }

    /// Other coordinators have written these changes, the first of which follows [`Self::version`]. Only
    /// to be called while no batch is being written.
    pub fn handle_changes(&mut self, now: Now, changes: Vec<Change>) {
        self.now = now;
        if self.in_flight.is_none() {
            self.follow(changes);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.note_absences();
        self.note_expiries();
    }

    /// When to call [`Self::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let absence = self.absences.first().map(|(at, _)| *at);
        let expiry = self.next_expiry().map(|expiry| {
            let wait = Duration::from_secs(expiry).saturating_sub(self.now.unix);
            // Far ahead it is enough to look again in an hour; the wall clock may be set.
            self.now.instant + wait.min(Duration::from_secs(3600))
        });
        absence.into_iter().chain(expiry).min()
    }

    /// The next batch to write, when none is being written: decides on all that waits.
    pub fn poll_commit(&mut self) -> Option<Batch> {
        while self.in_flight.is_none() && !self.queue.is_empty() {
            let in_flight = self.decide();
            if in_flight.changes.is_empty() {
                self.release(in_flight.effects);
                continue;
            }
            let batch = Batch {
                base: self.version,
                changes: in_flight.changes.clone(),
            };
            self.in_flight = Some(in_flight);
            return Some(batch);
        }
        None
    }

    /// The next thing to do or to know.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
