//! What a coordinator costs, and how that grows: `cargo bench -p meshvpn-server --bench coordinator`.
//!
//! Each node has a channel of its own, and everything that goes over it is sealed and opened, but by no network.
//! Figures are the coordinator's own: its decisions, its signatures, and sealing for each node; what nodes do with the
//! messages is not in them. A join is over when the last node's copy of the change is sealed. All but the last hundred
//! nodes join in groups, as after a restart; the last ones, which are measured, one after the other.
//!
//! Arguments: sizes of the mesh; 10, 100, 1000 and 3000 without.

#![allow(clippy::disallowed_methods, reason = "it measures time")]
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::channel::Initiator;
use meshvpn_proto::control::messages::{HostInfo, NodeMessage, Register, Update};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;
use meshvpn_proto::path::candidate::{Candidate, Kind};
use meshvpn_proto::time::Now;
use meshvpn_server::coordinator::config::Config;
use meshvpn_server::coordinator::connection::{Connection, Step};
use meshvpn_server::coordinator::request::{NewKey, Request, Response};
use meshvpn_server::coordinator::store::{MemoryStore, Secrets};
use meshvpn_server::coordinator::{Arrival, Coordinator, Output, RequestId, SessionId};
use zeroize::Zeroizing;

const SIZES: [u64; 4] = [10, 100, 1000, 3000];
const CONTROL: [u8; 32] = [0x42; 32];
/// Joins that are measured, and then changes.
const MEASURED: u64 = 100;
/// Nodes that join at once before that.
const GROUP: u64 = 50;

fn main() {
    let sizes = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok());
    let mut sizes: Vec<u64> = sizes.collect();
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    println!(
        "{:>6} {:>10} {:>10} {:>10} {:>12} {:>12} {:>10} {:>10}",
        "nodes",
        "join p50",
        "join p99",
        "join max",
        "update p50",
        "update p99",
        "CPU/node",
        "RSS/node"
    );
    for size in sizes {
        measure(size);
    }
}

fn measure(size: u64) {
    let before = resident();
    let mut mesh = Mesh::new();
    let key = mesh.key();
    let (begin, used) = (Instant::now(), cpu());
    let alone = size.saturating_sub(MEASURED) + 1;
    for number in 1..alone {
        mesh.arrive(number, &key);
        if number % GROUP == 0 {
            mesh.run();
        }
    }
    mesh.run();
    let mut joins: Vec<_> = (alone..=size)
        .map(|number| mesh.join(number, &key))
        .collect();
    let (whole, used) = (begin.elapsed(), cpu().saturating_sub(used));
    let grown = resident().saturating_sub(before);
    let mut updates: Vec<_> = (1..=MEASURED)
        .map(|number| mesh.update(number % size + 1, number))
        .collect();
    joins.sort_unstable();
    updates.sort_unstable();
    println!(
        "{size:>6} {:>10.1?} {:>10.1?} {:>10.1?} {:>12.1?} {:>12.1?} {:>10.1?} {:>7} KiB   ({whole:.1?} for all, {:.1} MB sealed)",
        at(&joins, 50),
        at(&joins, 99),
        at(&joins, 100),
        at(&updates, 50),
        at(&updates, 99),
        used / size as u32,
        grown / 1024 / size,
        mesh.sealed as f64 / 1e6,
    );
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// A coordinator with the connections of its nodes.
struct Mesh {
    coordinator: Coordinator,
    store: MemoryStore,
    identity: Arc<Identity>,
    connections: BTreeMap<SessionId, Connection>,
    requests: u64,
    sealed: usize,
}

impl Mesh {
    fn new() -> Self {
        let store = MemoryStore::default();
        let secrets = store.secrets_now(Secrets {
            control: Zeroizing::new(CONTROL),
            signing: Zeroizing::new([0x43; 32]),
        });
        let config = Config {
            allow_all: true,
            ..Config::default()
        };
        Self {
            coordinator: Coordinator::new(now(), config, &secrets, store.load_now()),
            store,
            identity: Arc::new(Identity::open(PrivateKey::new(CONTROL))),
            connections: BTreeMap::new(),
            requests: 0,
            sealed: 0,
        }
    }

    fn key(&mut self) -> AuthKey {
        self.requests += 1;
        let request = Request::CreateKey(NewKey {
            reusable: true,
            random: Some(Zeroizing::new([9; 40])),
            ..NewKey::default()
        });
        self.coordinator
            .handle_request(now(), RequestId(self.requests), request);
        match self.run() {
            Some(Response::NewKey(key)) => key.key.parse().expect("a key"),
            other => panic!("{other:?}"),
        }
    }

    /// How long the coordinator takes from a node's first message to the last copy of the change.
    fn join(&mut self, number: u64, key: &AuthKey) -> Duration {
        let before = self.arrive(number, key);
        let begin = Instant::now();
        self.run();
        before + begin.elapsed()
    }

    /// A node says who it is; how long it takes the coordinator to hear that.
    fn arrive(&mut self, number: u64, key: &AuthKey) -> Duration {
        let seed = |kind: u8| {
            let mut seed = [kind; 32];
            seed[8..16].copy_from_slice(&number.to_le_bytes());
            PrivateKey::new(seed)
        };
        let machine = Arc::new(Identity::open(seed(1)));
        let public_key = self.coordinator.public_key();
        let started = Initiator::start(&machine, public_key, seed(2));
        let (initiator, first) = started.expect("a good key");
        let register = NodeMessage::Register(Box::new(Register {
            auth_key: Some(key.clone()),
            name: format!("node-{number}"),
            node_key: PublicKey::new(*seed(3).expose()),
            host: HostInfo::default(),
            routes: Vec::new(),
            candidates: candidates(number),
            home_relay: None,
            resume: None,
        }));

        let begin = Instant::now();
        let mut connection = Connection::new(begin, Arc::clone(&self.identity), seed(4));
        let Step::Answer(answer) = connection.handle_message(begin, &first) else {
            panic!("no answer");
        };
        let answered = begin.elapsed();

        let (mut channel, _) = initiator.finish(&answer).expect("the answer");
        let frames = channel.seal(&register.to_json());

        let begin = Instant::now();
        let session = SessionId(number);
        let Step::Message(machine_key, message) = connection.handle_message(begin, &frames[0])
        else {
            panic!("no message");
        };
        self.connections.insert(session, connection);
        let address = [192, 0, 2, 1].into();
        let arrival = Arrival {
            machine_key,
            address,
        };
        self.coordinator.handle_connect(now(), session, arrival);
        self.coordinator.handle_message(now(), session, message);
        answered + begin.elapsed()
    }

    /// The same for a node that may be reached elsewhere.
    fn update(&mut self, node: u64, number: u64) -> Duration {
        let message = NodeMessage::Update(Update {
            candidates: Some(candidates(number + 1_000_000)),
            ..Update::default()
        });
        let begin = Instant::now();
        self.coordinator
            .handle_message(now(), SessionId(node), message);
        self.run();
        begin.elapsed()
    }

    fn run(&mut self) -> Option<Response> {
        let mut answered = None;
        loop {
            while let Some(output) = self.coordinator.poll_output() {
                match output {
                    Output::Send(session, message) => {
                        let connection = self.connections.get_mut(&session).expect("a session");
                        let frames = connection.seal(&message);
                        self.sealed += frames.iter().map(Vec::len).sum::<usize>();
                    }
                    Output::Answer(_, answer) => answered = answer.ok(),
                    Output::Close(_) => panic!("a node was refused"),
                    _ => {}
                }
            }
            let Some(batch) = self.coordinator.poll_commit() else {
                return answered;
            };
            let outcome = self.store.commit_now(&batch);
            self.coordinator.handle_outcome(now(), outcome);
        }
    }
}

fn candidates(number: u64) -> Vec<Candidate> {
    let [.., a, b, c] = number.to_be_bytes();
    let candidate = |kind, address: [u8; 4]| Candidate {
        kind,
        address: (address, 41641).into(),
    };
    vec![
        candidate(Kind::Host, [10, a, b, c]),
        candidate(Kind::ServerReflexive, [203, a, b, c]),
    ]
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix: Duration::from_secs(1_800_000_000),
    }
}

/// Bytes of memory that the process has (proc(5), statm).
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0u64) * 4096
}

/// Time on a processor so far (proc(5), stat: hundredths of a second).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let times = fields.split(' ').skip(12).take(2);
    let ticks: u64 = times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
