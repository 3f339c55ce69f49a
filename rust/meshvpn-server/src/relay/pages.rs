//! What the relay answers over HTTP.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Relay;
use super::metrics;

/// Nodes ask for this page where they may be behind a captive portal, and give a word that the answer must
/// repeat, which no portal does.
const CHALLENGE: HeaderName = HeaderName::from_static("x-tailscale-challenge");
const RESPONSE: HeaderName = HeaderName::from_static("x-tailscale-response");
/// Longest challenge, in bytes.
const MOST_CHALLENGE: usize = 64;

pub(super) fn router() -> Router {
    Router::new()
        .route("/derp", get(upgrade_required))
        .route("/derp/probe", get(probe).head(probe))
        .route("/derp/latency-check", get(probe).head(probe))
        .route("/generate_204", get(no_content))
}

pub(super) fn metrics(relay: &Relay) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .with_state(relay.clone())
}

/// Comes here only without the upgrade.
async fn upgrade_required() -> impl IntoResponse {
    let hint = "This is a relay (DERP): connect with Connection: Upgrade and Upgrade: DERP.\n";
    let upgrade = [(header::UPGRADE, "DERP")];
    (StatusCode::UPGRADE_REQUIRED, upgrade, hint)
}

/// Answers at once, so that its time is that of the way here.
async fn probe() -> impl IntoResponse {
    [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "no-store"),
    ]
}

async fn no_content(request: Request) -> Response {
    let challenge = request.headers().get(CHALLENGE);
    let word = challenge
        .and_then(|value| value.to_str().ok())
        .filter(|word| word.len() <= MOST_CHALLENGE && word.bytes().all(is_plain));
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    match word {
        Some(word) => {
            let response = [(RESPONSE, format!("response {word}"))];
            (StatusCode::NO_CONTENT, no_store, response).into_response()
        }
        None => (StatusCode::NO_CONTENT, no_store).into_response(),
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

async fn show_metrics(State(relay): State<Relay>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        metrics::text(&relay.statistics()),
    )
}
