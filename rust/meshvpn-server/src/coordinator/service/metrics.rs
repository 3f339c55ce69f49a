//! Counters for Prometheus, and whether the coordinator is there at all.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{Figures, Service};
use crate::relay::Relay;
use crate::relay::metrics::{CONTENT_TYPE as OPEN_METRICS, Counters as RelayCounters};

/// The coordinator, and the relay that shares its port.
pub(super) fn router(service: Service, relay: Option<Relay>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .with_state((service, relay))
}

async fn metrics(State((service, relay)): State<(Service, Option<Relay>)>) -> impl IntoResponse {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Counters(service.figures())));
    if let Some(relay) = relay {
        registry.register_collector(Box::new(RelayCounters(relay.statistics())));
    }
    let mut shown = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut shown, &registry);
    ([(CONTENT_TYPE, OPEN_METRICS)], shown)
}

async fn health(State((service, _)): State<(Service, Option<Relay>)>) -> impl IntoResponse {
    if service.inputs.is_closed() {
        (StatusCode::SERVICE_UNAVAILABLE, "ended\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

#[derive(Debug)]
struct Counters(Figures);

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), core::fmt::Error> {
        let Self(figures) = self;
        let counters = figures.counters;
        for (name, help, value) in [
            ("nodes", "Nodes of the mesh", figures.nodes as u64),
            (
                "nodes_connected",
                "Nodes connected here",
                figures.connected as u64,
            ),
            ("version", "Number of the last change", figures.version),
        ] {
            write(&mut encoder, name, help, &ConstGauge::new(value as i64))?;
        }
        for (name, help, value) in [
            ("commits", "Batches written", counters.commits),
            (
                "conflicts",
                "Batches that others were faster than",
                counters.conflicts,
            ),
            (
                "store_failures",
                "Batches not written",
                counters.store_failures,
            ),
            ("joins", "Nodes that joined", counters.joins),
            ("returns", "Nodes that came back", counters.returns),
            ("refusals", "Refusals", counters.refusals),
            ("deltas", "Changes told to all", counters.deltas),
            ("maps", "Whole maps sent", counters.maps),
            ("messages", "Messages to nodes", counters.messages),
            (
                "too_slow",
                "Connections that took too little",
                figures.too_slow,
            ),
        ] {
            write(&mut encoder, name, help, &ConstCounter::new(value))?;
        }
        Ok(())
    }
}

fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> Result<(), core::fmt::Error> {
    let name = format!("meshvpn_coordinator_{name}");
    let described = encoder.encode_descriptor(&name, help, None, metric.metric_type())?;
    metric.encode(described)
}
