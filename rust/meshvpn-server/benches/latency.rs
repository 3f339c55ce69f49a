//! How soon a change reaches connected nodes, over real WebSockets and SQLite:
//! `cargo bench -p meshvpn-server --features net,store --bench latency`.
//!
//! All nodes live in this process, so their share of the work is in the figures. A change has reached a node when
//! that node has checked its signature and made it in its map.

#![allow(clippy::disallowed_methods, reason = "it measures time")]
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use meshvpn_proto::control::client::{Client, Config as ClientConfig, Event};
use meshvpn_proto::control::messages::{HostInfo, Register};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;
use meshvpn_server::coordinator::config::Config;
use meshvpn_server::coordinator::request::{NewKey, Request, Response};
use meshvpn_server::coordinator::service::Service;
use meshvpn_server::coordinator::sqlite::SqliteStore;
use meshvpn_server::listen::Front;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const SIZES: [u64; 3] = [1, 10, 100];
const CHANGES: u64 = 50;
/// Between changes, so that each is alone.
const PAUSE: Duration = Duration::from_millis(50);

fn main() {
    let sizes = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok());
    let mut sizes: Vec<u64> = sizes.collect();
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    println!(
        "{:>6} {:>12} {:>12} {:>12}",
        "nodes", "first p50", "all p50", "all p99"
    );
    for size in sizes {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(measure(size));
    }
}

async fn measure(size: u64) {
    let name = format!("meshvpn-latency-{}-{size}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let store = SqliteStore::open(&directory.join("state.db"))
        .await
        .expect("a store");
    let service = Service::start(Config::default(), store, None)
        .await
        .expect("a coordinator");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(Front::new(None, service.router()).serve(listener));
    let key = NewKey {
        reusable: true,
        ..NewKey::default()
    };
    let Ok(Response::NewKey(key)) = service.create_key(key).await else {
        panic!("no key");
    };
    let (seen, mut sightings) = mpsc::unbounded_channel();
    for number in 1..=size {
        let client = client(number, service.public_key(), &key.key);
        tokio::spawn(live(client, address, seen.clone()));
        // It has a map when it is up, and all before it learn of it.
        for _ in 0..number {
            sightings.recv().await.expect("a sighting");
        }
    }
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for number in 0..CHANGES {
        tokio::time::sleep(PAUSE).await;
        while sightings.try_recv().is_ok() {}
        let begin = Instant::now();
        let tags = vec![format!("t{number}")];
        service
            .ask(Request::Tag("1".to_owned(), tags))
            .await
            .expect("tagged");
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..size {
            let at: Instant = sightings.recv().await.expect("a sighting");
            times.push(at.duration_since(begin));
        }
        first.extend(times.iter().min());
        all.extend(times.iter().max());
    }
    first.sort_unstable();
    all.sort_unstable();
    let at = |sorted: &[Duration], percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    println!(
        "{size:>6} {:>12.1?} {:>12.1?} {:>12.1?}",
        at(&first, 50),
        at(&all, 50),
        at(&all, 99)
    );
    drop(std::fs::remove_dir_all(directory));
}

fn client(number: u64, coordinator: PublicKey, key: &str) -> Client {
    let mut seed = [1; 32];
    seed[8..16].copy_from_slice(&number.to_le_bytes());
    let register = Register {
        auth_key: key.parse().ok(),
        name: format!("n{number}"),
        node_key: PublicKey::new(seed),
        host: HostInfo::default(),
        routes: Vec::new(),
        candidates: Vec::new(),
        home_relay: None,
        resume: None,
    };
    let config = ClientConfig {
        machine: Arc::new(Identity::open(PrivateKey::new(seed))),
        coordinator,
        register,
        map_key: None,
        cached: None,
    };
    Client::new(Instant::now(), config, seed)
}

/// A node that stays connected, and says when its map has changed.
async fn live(mut client: Client, address: SocketAddr, seen: mpsc::UnboundedSender<Instant>) {
    let url = format!("ws://{address}/control");
    let (mut socket, _) = connect_async(url).await.expect("a connection");
    client.handle_timeout(Instant::now());
    client.handle_connected(Instant::now());
    loop {
        while let Some(frame) = client.poll_transmit() {
            let sent = socket.send(Message::Binary(frame.into())).await;
            sent.expect("the coordinator takes it");
        }
        while let Some(event) = client.poll_event() {
            if let Event::MapChanged(_) = event {
                let _ = seen.send(Instant::now());
            }
        }
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => client.handle_message(Instant::now(), &bytes),
            Some(Ok(_)) => {}
            _ => return,
        }
    }
}
