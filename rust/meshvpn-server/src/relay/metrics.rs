//! The relay's counters for Prometheus.

use meshvpn_proto::relay::server::Statistics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// OpenMetrics, which Prometheus reads.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn text(statistics: &Statistics) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Counters(*statistics)));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = text::encode(&mut text, &registry);
    text
}

/// The counters, for a registry.
#[derive(Debug)]
pub(crate) struct Counters(pub(crate) Statistics);

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counted = &self.0;
        for (name, help, value) in [
            ("clients", "Clients connected now", counted.clients),
            (
                "home_clients",
                "Clients connected now whose home this relay is",
                counted.home_clients,
            ),
        ] {
            let gauge = ConstGauge::new(value as i64);
            write(&mut encoder, name, help, &gauge)?;
        }
        for (name, help, value) in [
            ("logins", "Log-ins that succeeded", counted.logins),
            (
                "received_packets",
                "Packets taken from clients",
                counted.received_packets,
            ),
            (
                "received_bytes",
                "Bytes of packets taken from clients",
                counted.received_bytes,
            ),
            (
                "sent_packets",
                "Packets handed over to be written to clients",
                counted.sent_packets,
            ),
            (
                "sent_bytes",
                "Bytes of packets handed over to be written to clients",
                counted.sent_bytes,
            ),
            (
                "dropped_slow_packets",
                "Packets dropped because their receiver was too slow",
                counted.dropped_slow,
            ),
            (
                "dropped_absent_packets",
                "Packets dropped because their receiver was not connected",
                counted.dropped_absent,
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
) -> Result<(), std::fmt::Error> {
    let name = format!("meshvpn_relay_{name}");
    let described = encoder.encode_descriptor(&name, help, None, metric.metric_type())?;
    metric.encode(described)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_there_with_its_value() {
        let statistics = Statistics {
            clients: 3,
            dropped_slow: 7,
            ..Statistics::default()
        };
        let text = text(&statistics);
        for line in [
            "# TYPE meshvpn_relay_clients gauge\n",
            "meshvpn_relay_clients 3\n",
            "# TYPE meshvpn_relay_dropped_slow_packets counter\n",
            "meshvpn_relay_dropped_slow_packets_total 7\n",
            "# EOF\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
