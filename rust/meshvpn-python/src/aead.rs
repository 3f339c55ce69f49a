//! The ciphers, and how fast they are here.

use std::time::Duration;

use meshvpn_engine::aead::{self, Backend, Direction, Standing};
use pyo3::prelude::*;

use crate::errors::config_error;

/// Every backend: its name, whether it runs here, and a sentence about that.
#[pyfunction]
pub(crate) fn aead_backends() -> Vec<(&'static str, bool, String)> {
    aead::available()
        .into_iter()
        .map(|(backend, standing)| {
            let is_available = !matches!(standing, Standing::Unavailable(_));
            (backend.name(), is_available, standing.to_string())
        })
        .collect()
}

/// Nanoseconds a packet of `length` bytes; `operation` is "seal" or "open".
#[pyfunction]
pub(crate) fn measure_aead(
    py: Python<'_>,
    backend: &str,
    length: usize,
    operation: &str,
    seconds: f64,
) -> PyResult<f64> {
    let parsed: Backend = backend
        .parse()
        .map_err(|error| config_error(&format!("backend: {error}"), "see aead_backends()"))?;
    let direction = match operation {
        "seal" => Direction::Seal,
        "open" => Direction::Open,
        _ => {
            let message = format!("operation: {operation:?} is neither 'seal' nor 'open'");
            return Err(config_error(&message, "give one of the two"));
        }
    };
    // A key stream of 256 GiB is the cipher's limit; a packet of 64 KB is the data plane's.
    if length > usize::from(u16::MAX) {
        let message = format!("length: {length} bytes is no packet's");
        return Err(config_error(&message, "give at most 65535"));
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| {
        config_error(
            &format!("seconds: {seconds}: {error}"),
            "give a positive number",
        )
    })?;
    py.detach(|| aead::measure(parsed, length, direction, duration))
        .map_err(|error| config_error(&error.to_string(), "see aead_backends()"))
}
