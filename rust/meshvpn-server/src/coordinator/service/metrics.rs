//! Counters for monitoring, in Prometheus' text format, and whether the coordinator is there at all.

use core::fmt::Write as _;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::Service;

pub(super) fn router(service: Service) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .with_state(service)
}

async fn metrics(State(service): State<Service>) -> impl IntoResponse {
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4")];
    (content_type, text(&service))
}

async fn health(State(service): State<Service>) -> &'static str {
    // Not there any more: the driver has ended, and with it the connection.
    if service.inputs.is_closed() {
        "ended\n"
    } else {
        "ok\n"
    }
}

fn text(service: &Service) -> String {
    let figures = service.figures();
    let counters = figures.counters;
    let rows: [(&str, &str, &str, u64); 13] = [
        ("nodes", "gauge", "Nodes of the mesh.", figures.nodes as u64),
        (
            "nodes_connected",
            "gauge",
            "Nodes connected here.",
            figures.connected as u64,
        ),
        (
            "version",
            "gauge",
            "Number of the last change.",
            figures.version,
        ),
        (
            "commits_total",
            "counter",
            "Batches written.",
            counters.commits,
        ),
        (
            "conflicts_total",
            "counter",
            "Batches others were faster than.",
            counters.conflicts,
        ),
        (
            "store_failures_total",
            "counter",
            "Batches not written.",
            counters.store_failures,
        ),
        (
            "joins_total",
            "counter",
            "Nodes that joined.",
            counters.joins,
        ),
        (
            "returns_total",
            "counter",
            "Nodes that came back.",
            counters.returns,
        ),
        ("refusals_total", "counter", "Refusals.", counters.refusals),
        (
            "deltas_total",
            "counter",
            "Changes told to all.",
            counters.deltas,
        ),
        ("maps_total", "counter", "Whole maps sent.", counters.maps),
        (
            "messages_total",
            "counter",
            "Messages to nodes.",
            counters.messages,
        ),
        (
            "too_slow_total",
            "counter",
            "Connections that took too little.",
            figures.too_slow,
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        let name = format!("meshvpn_coordinator_{name}");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    }
    text
}
