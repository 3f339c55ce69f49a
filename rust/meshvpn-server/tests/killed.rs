//! A coordinator that is killed at any moment has kept everything that it acknowledged.
//!
//! The victim is this very program, started again. While it is killed with SIGKILL 200 times, machines join and
//! an administrator makes keys; all that either was told is looked for after every restart.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test with real processes, whose helpers fail with it"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::channel::Initiator;
use meshvpn_proto::control::messages::{
    CoordinatorMessage, HostInfo, Incoming, NodeMessage, Register,
};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;
use meshvpn_server::coordinator::file::FileConfig;
use meshvpn_server::coordinator::service::running::RunningCoordinator;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, connect};

const KILLS: u32 = 200;
const STATE: &str = "MESHVPN_TEST_VICTIM";
/// Longest life of a victim after the first answer.
const LONGEST_LIFE: Duration = Duration::from_millis(60);

#[test]
fn what_was_acknowledged_survives_200_kills() {
    let state = std::env::temp_dir().join(format!("meshvpn-killed-{}", std::process::id()));
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let mut chance = 7u64;
    let mut first_key = None;
    for round in 0..KILLS {
        let mut victim = Victim::start(&state);
        acknowledged.lock().unwrap().check(&victim);
        let key = first_key.get_or_insert_with(|| {
            let key = victim.create_key(true).expect("nobody kills it yet");
            key["key"].as_str().expect("its text").to_owned()
        });
        let makers = [
            thread::spawn({
                let (victim, all) = (victim.contact(), Arc::clone(&acknowledged));
                move || while victim.make_key(&all) {}
            }),
            thread::spawn({
                let (victim, all) = (victim.contact(), Arc::clone(&acknowledged));
                let key: AuthKey = key.parse().expect("an auth key");
                let mut number = u64::from(round) << 32;
                move || {
                    while victim.join(&key, number, &all) {
                        number += 1;
                    }
                }
            }),
        ];
        // A linear congruential generator (Knuth) is random enough for a moment to die at.
        chance = chance
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        thread::sleep(LONGEST_LIFE.mul_f64((chance >> 33) as f64 / f64::from(1u32 << 31)));
        victim.kill();
        for maker in makers {
            maker.join().unwrap();
        }
    }
    let victim = Victim::start(&state);
    let acknowledged = acknowledged.lock().unwrap();
    acknowledged.check(&victim);
    let Acknowledged { keys, nodes } = &*acknowledged;
    println!(
        "{KILLS} kills: {} keys and {} nodes are all there",
        keys.len(),
        nodes.len()
    );
    assert!(
        keys.len() > 50 && nodes.len() > 50,
        "too little was under way"
    );
    drop(victim);
    std::fs::remove_dir_all(&state).unwrap();
}

/// Not a test: the program that is killed.
#[test]
#[ignore = "started by the test above"]
fn victim() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    let config = json!({"listen": "127.0.0.1:0", "state": state.to_str()});
    let config = FileConfig::parse(&config.to_string()).unwrap();
    let running = RunningCoordinator::start(config, Box::new(|| Ok(()))).unwrap();
    println!(
        "victim {} {}",
        running.local_address(),
        running.public_key()
    );
    loop {
        thread::park();
    }
}

/// What somebody was told is done.
#[derive(Default)]
struct Acknowledged {
    keys: BTreeSet<String>,
    /// Numbers and WireGuard keys.
    nodes: BTreeSet<(u64, String)>,
}

impl Acknowledged {
    fn check(&self, victim: &Victim) {
        let contact = victim.contact();
        let keys = contact.ask("GET", "/api/v1/keys", None).expect("an answer");
        let keys: BTreeSet<_> = keys
            .as_array()
            .unwrap()
            .iter()
            .map(|key| text(&key["id"]))
            .collect();
        let nodes = contact
            .ask("GET", "/api/v1/nodes", None)
            .expect("an answer");
        let nodes = nodes.as_array().unwrap().iter();
        let nodes: BTreeSet<_> = nodes
            .map(|node| (node["id"].as_u64().unwrap(), text(&node["key"])))
            .collect();
        assert!(self.keys.is_subset(&keys), "a key is lost");
        assert!(self.nodes.is_subset(&nodes), "a node is lost");
        let numbers: BTreeSet<_> = nodes.iter().map(|(id, _)| id).collect();
        assert_eq!(numbers.len(), nodes.len(), "a number was given out twice");
    }
}

struct Victim {
    process: Child,
    contact: Contact,
}

#[derive(Clone)]
struct Contact {
    address: SocketAddr,
    public_key: PublicKey,
    token: String,
}

impl Victim {
    fn start(state: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored", "--nocapture"])
            .env(STATE, state)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| {
            let line = line.unwrap();
            line.find("victim 127").map(|at| line[at..].to_owned())
        });
        let line = line.expect("the victim's address");
        let mut words = line.split(' ').skip(1);
        let token: PathBuf = state.join("api-token");
        let contact = Contact {
            address: words.next().unwrap().parse().unwrap(),
            public_key: words.next().unwrap().parse().unwrap(),
            token: std::fs::read_to_string(token).unwrap().trim().to_owned(),
        };
        Self { process, contact }
    }

    fn contact(&self) -> Contact {
        self.contact.clone()
    }

    fn create_key(&self, reusable: bool) -> Option<Value> {
        let body = json!({"reusable": reusable});
        self.contact.ask("POST", "/api/v1/keys", Some(body))
    }

    fn kill(&mut self) {
        // SIGKILL.
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Contact {
    /// Makes a key; false when the victim is dead.
    fn make_key(&self, all: &Mutex<Acknowledged>) -> bool {
        match self.ask("POST", "/api/v1/keys", Some(json!({}))) {
            Some(key) => all.lock().unwrap().keys.insert(text(&key["id"])),
            None => false,
        }
    }

    /// A machine joins; false when the victim is dead.
    fn join(&self, key: &AuthKey, number: u64, all: &Mutex<Acknowledged>) -> bool {
        match self.try_join(key, number) {
            Some(node) => all.lock().unwrap().nodes.insert(node),
            None => false,
        }
    }

    fn try_join(&self, key: &AuthKey, number: u64) -> Option<(u64, String)> {
        let seed = |kind: u8| {
            let mut seed = [kind; 32];
            seed[8..16].copy_from_slice(&number.to_le_bytes());
            PrivateKey::new(seed)
        };
        let identity = Arc::new(Identity::open(seed(1)));
        let (mut socket, _) = connect(format!("ws://{}/control", self.address)).ok()?;
        let (initiator, first) = Initiator::start(&identity, self.public_key, seed(2)).ok()?;
        socket.send(Message::Binary(first.into())).ok()?;
        let answer = socket.read().ok()?.into_data();
        let (mut channel, _) = initiator.finish(&answer).ok()?;
        let node_key = seed(3).public_key();
        let register = NodeMessage::Register(Box::new(Register {
            auth_key: Some(key.clone()),
            name: format!("n{number}"),
            node_key,
            host: HostInfo::default(),
            routes: Vec::new(),
            candidates: Vec::new(),
            home_relay: None,
            resume: None,
        }));
        for frame in channel.seal(&register.to_json()) {
            socket.send(Message::Binary(frame.into())).ok()?;
        }
        loop {
            let frame = socket.read().ok()?.into_data();
            let Some(message) = channel.open(&frame).ok()? else {
                continue;
            };
            if let Ok(Incoming::Known(CoordinatorMessage::Registered(registered))) =
                CoordinatorMessage::parse(&message)
            {
                return Some((registered.node.0, node_key.to_string()));
            }
        }
    }

    /// The answer; none when the victim is dead.
    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).ok()?;
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let (token, length) = (&self.token, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let begin = Instant::now();
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        assert!(begin.elapsed() < Duration::from_secs(20));
        let (head, body) = answer.split_once("\r\n\r\n")?;
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).ok()
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}
