//! Who may come, as a coordinator says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use meshvpn_proto::keys::PublicKey;
use meshvpn_server::relay::running::{RelayConfig, RunningRelay};
use meshvpn_server::relay::verify::HttpVerifier;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::raw::{Raw, config, key};

type Allowed = Arc<Mutex<BTreeSet<PublicKey>>>;

async fn verify(State(allowed): State<Allowed>, Json(asked): Json<Value>) -> Json<Value> {
    let key: PublicKey = asked["node_key"].as_str().unwrap().parse().unwrap();
    Json(json!({"allow": allowed.lock().unwrap().contains(&key), "later": 1}))
}

/// A coordinator that answers this one question, below a path, until its runtime ends.
fn coordinator(runtime: &Runtime, allowed: &Allowed) -> SocketAddr {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap();
    let pages = Router::new()
        .route("/mesh/relay/verify", post(verify))
        .with_state(Arc::clone(allowed));
    runtime.spawn(async move { axum::serve(listener, pages).await });
    address
}

fn relay_asking(url: &str) -> RunningRelay {
    let verifier = Arc::new(HttpVerifier::new(url).unwrap());
    RunningRelay::start(RelayConfig {
        verifier: Some(verifier),
        ..config()
    })
    .unwrap()
}

fn is_let_in(relay: &RunningRelay, byte: u8) -> bool {
    let address = relay.local_address();
    let logged_in = std::panic::catch_unwind(|| Raw::log_in(address, byte));
    logged_in.is_ok()
}

#[test]
fn only_nodes_of_the_mesh_come_in_and_those_that_were_in_come_back_without_it() {
    let runtime = Runtime::new().unwrap();
    let allowed = Allowed::default();
    allowed.lock().unwrap().insert(key(1));
    let coordinator = coordinator(&runtime, &allowed);
    let relay = relay_asking(&format!("http://{coordinator}/mesh/"));
    assert!(is_let_in(&relay, 1));
    assert!(!is_let_in(&relay, 2));
    allowed.lock().unwrap().insert(key(2));
    assert!(is_let_in(&relay, 2));
    allowed.lock().unwrap().remove(&key(2));
    assert!(!is_let_in(&relay, 2));
    drop(runtime);
    assert!(is_let_in(&relay, 1), "the coordinator is away");
    assert!(!is_let_in(&relay, 2));
}

#[test]
fn urls_that_cannot_be_are_refused() {
    for url in ["", "coordinator", "ftp://coordinator", "/path"] {
        let error = HttpVerifier::new(url).unwrap_err().to_string();
        assert!(error.starts_with("verify_clients: "), "{error}");
    }
}
