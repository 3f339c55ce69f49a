//! Capture files in the pcapng format: running captures, and blocks of which `meshvpn.PcapngWriter` makes files.

use std::time::Duration;

use meshvpn_engine::capture as engine;
use meshvpn_proto::packet::pcapng::{self, Direction};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{capture_error, config_error};

/// A running capture; `meshvpn.Capture` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct Capture(pub(crate) engine::Capture);

#[pymethods]
impl Capture {
    /// Datagrams in the file.
    #[getter]
    fn packets(&self) -> u64 {
        self.0.packets()
    }

    /// Datagrams that should be in it and are not.
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Why it ended before it was told to.
    #[getter]
    fn failure(&self) -> Option<String> {
        self.0.failure()
    }

    /// Ends it; everything is in the file when this returns.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.close())
            .map_err(|error| capture_error(&error))
    }
}

/// The beginning of a file, which names the application that writes it.
#[pyfunction]
pub(crate) fn pcapng_section_header<'py>(
    py: Python<'py>,
    application: &str,
) -> Bound<'py, PyBytes> {
    encode(py, |out| pcapng::section_header(application, out))
}

/// The description of the next interface, counted from 0.
#[pyfunction]
pub(crate) fn pcapng_interface<'py>(py: Python<'py>, name: &str) -> Bound<'py, PyBytes> {
    encode(py, |out| pcapng::interface(name, out))
}

/// A packet seen on an interface.
#[pyfunction]
pub(crate) fn pcapng_packet<'py>(
    py: Python<'py>,
    interface: u32,
    time_ns: u64,
    direction: Option<&str>,
    data: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let direction = direction.map(direction_from_str).transpose()?;
    let time = Duration::from_nanos(time_ns);
    Ok(encode(py, |out| {
        pcapng::packet(interface, time, direction, data, out)
    }))
}

fn encode(py: Python<'_>, write: impl FnOnce(&mut Vec<u8>)) -> Bound<'_, PyBytes> {
    let mut out = Vec::new();
    write(&mut out);
    PyBytes::new(py, &out)
}

/// "inbound" or "outbound".
pub(crate) fn direction_from_str(text: &str) -> PyResult<Direction> {
    match text {
        "inbound" => Ok(Direction::Inbound),
        "outbound" => Ok(Direction::Outbound),
        _ => Err(config_error(
            &format!("direction: {text:?} is no direction"),
            "give \"inbound\", \"outbound\" or None",
        )),
    }
}
