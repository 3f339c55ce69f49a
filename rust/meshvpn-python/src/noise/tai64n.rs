//! Timestamps of initiations.

use std::time::Duration;

use meshvpn_proto::noise::tai64n::Tai64n;
use pyo3::prelude::*;

/// What a device says at a time since 1970 UTC, when `last` is what it said last.
#[pyfunction]
#[pyo3(signature = (unix_ns, last))]
pub(crate) fn tai64n_after(unix_ns: u64, last: Option<[u8; 12]>) -> [u8; 12] {
    let last = last.map(Tai64n::from_bytes);
    *Tai64n::after(last, Duration::from_nanos(unix_ns)).as_bytes()
}

/// A time since 1970 UTC, exactly.
#[pyfunction]
pub(crate) fn tai64n_exactly(unix_ns: u64) -> [u8; 12] {
    *Tai64n::exactly(Duration::from_nanos(unix_ns)).as_bytes()
}

/// Seconds since 1970 UTC and nanoseconds; None for what is no time since then.
#[pyfunction]
pub(crate) fn tai64n_unix(timestamp: [u8; 12]) -> Option<(u64, u32)> {
    let unix = Tai64n::from_bytes(timestamp).unix()?;
    Some((unix.as_secs(), unix.subsec_nanos()))
}
