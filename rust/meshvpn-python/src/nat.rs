//! What a NAT does, as discovery reports it.

use meshvpn_proto::nat::behavior::Allocation;
use meshvpn_proto::nat::discovery::Report;
use pyo3::prelude::*;

/// What was found out about a NAT. None stands everywhere for: not found out.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct NatReport {
    /// "203.0.113.5:40000"; none when UDP does not get through.
    mapped: Option<String>,
    addresses: Vec<String>,
    is_translated: Option<bool>,
    /// "endpoint-independent", "address-dependent" or "address-and-port-dependent".
    mapping: Option<String>,
    /// The same.
    filtering: Option<String>,
    hairpin: Option<bool>,
    preserves_port: Option<bool>,
    /// "preserving", "sequential" or "random".
    allocation: Option<&'static str>,
    /// Of a sequential allocation.
    step: Option<i32>,
    /// Of a random one: lowest and highest port seen, and how many there may be.
    range: Option<(u16, u16, u32)>,
    /// Servers that answered, with seconds.
    round_trips: Vec<(String, f64)>,
    /// What it means, in a sentence.
    sentence: &'static str,
}

impl From<&Report> for NatReport {
    fn from(report: &Report) -> Self {
        let (allocation, step, range) = match report.allocation {
            None => (None, None, None),
            Some(Allocation::Preserving) => (Some("preserving"), None, None),
            Some(Allocation::Sequential { step }) => (Some("sequential"), Some(step), None),
            Some(Allocation::Random {
                lowest,
                highest,
                range,
            }) => (Some("random"), None, Some((lowest, highest, range))),
        };
        let round_trips = report.round_trips.iter();
        Self {
            mapped: report.mapped.map(|mapped| mapped.to_string()),
            addresses: report.addresses.iter().map(ToString::to_string).collect(),
            is_translated: report.is_translated,
            mapping: report.mapping.map(|mapping| mapping.to_string()),
            filtering: report.filtering.map(|filtering| filtering.to_string()),
            hairpin: report.hairpin,
            preserves_port: report.preserves_port,
            allocation,
            step,
            range,
            round_trips: round_trips
                .map(|one| (one.server.to_string(), one.round_trip.as_secs_f64()))
                .collect(),
            sentence: report.sentence(),
        }
    }
}
