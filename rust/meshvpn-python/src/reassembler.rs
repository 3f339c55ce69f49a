//! Fragments back to whole packets.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use meshvpn_proto::packet::{self as proto, Limits, Reassembly};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::config_error;

/// Puts fragments together; `meshvpn.Reassembler` gives it packets.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct Reassembler {
    /// The zero of the times given.
    start: Instant,
    inner: Mutex<proto::Reassembler>,
}

/// The whole packet and the number of its fragments, or why this one was dropped, or neither.
type Fed<'py> = (Option<(Bound<'py, PyBytes>, usize)>, Option<String>);

#[pymethods]
impl Reassembler {
    #[new]
    #[pyo3(signature = (*, datagrams, bytes))]
    fn new(datagrams: usize, bytes: usize) -> Self {
        let inner = proto::Reassembler::new(Limits { datagrams, bytes });
        Self {
            start: Instant::now(),
            inner: Mutex::new(inner),
        }
    }

    /// Takes a packet at `now` seconds on some steady clock.
    fn feed<'py>(&self, py: Python<'py>, data: &[u8], now: f64) -> PyResult<Fed<'py>> {
        let now = Duration::try_from_secs_f64(now)
            .ok()
            .and_then(|since| self.start.checked_add(since))
            .ok_or_else(|| {
                let hint = "give seconds as time.monotonic() counts them";
                config_error(&format!("now: {now} is no time"), hint)
            })?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match inner.handle_packet(now, data) {
            Reassembly::NotAFragment | Reassembly::Waiting => (None, None),
            Reassembly::Whole { packet, pieces } => {
                (Some((PyBytes::new(py, &packet), pieces)), None)
            }
            Reassembly::Dropped(reason) => (None, Some(reason.to_string())),
        })
    }
}
