//! Load for a WireGuard device: `meshvpn.bench.handshakes` gives it names and documentation.

use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use meshvpn_engine::callers::{Crowd, Flood, Line, Tally};
use meshvpn_proto::keys::PublicKey;
use pyo3::prelude::*;

use crate::config::socket_address;
use crate::errors::{config_error, network_error};

/// What was sent to a device, and what came back.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct HandshakeTally {
    sent: u64,
    responses: u64,
    cookies: u64,
    /// From the first initiation to the last answer.
    seconds: f64,
}

/// Peers of a device, each with a key and an address of its own.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct HandshakeCrowd(Mutex<(Crowd, Line)>);

/// Strangers that call a device at a fixed rate until they are stopped.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct HandshakeFlood(Mutex<Option<Flood>>);

#[pymethods]
impl HandshakeCrowd {
    /// `device` is the device's public key, `to` where it listens ("192.0.2.1:51820"), `first` the address of
    /// the first of `size` peers. They live in the calling thread's network namespace.
    #[new]
    fn new(device: [u8; 32], to: &str, first: &str, size: usize) -> PyResult<Self> {
        let line = line(to, first)?;
        let crowd = Crowd::new(PublicKey::new(device), size).map_err(|error| failed(&error))?;
        Ok(Self(Mutex::new((crowd, line))))
    }

    /// What the device has to know its peers by.
    fn public_keys(&self) -> Vec<[u8; 32]> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.public_keys().map(|key| *key.as_bytes()).collect()
    }

    /// Makes `count` calls ready for each peer.
    fn prepare(&self, py: Python<'_>, count: usize) -> PyResult<()> {
        py.detach(|| {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            inner.0.prepare(count)
        })
        .map_err(|error| failed(&error))
    }

    /// Makes all calls that are ready; returns when each is answered or was dropped.
    fn call(&self, py: Python<'_>) -> PyResult<HandshakeTally> {
        let called = py.detach(|| {
            let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (crowd, line) = &mut *inner;
            crowd.call(line)
        });
        called
            .map(HandshakeTally::from)
            .map_err(|error| failed(&error))
    }
}

#[pymethods]
impl HandshakeFlood {
    /// Begins at once. The arguments are those of `HandshakeCrowd`, and the rate.
    #[new]
    fn new(device: [u8; 32], to: &str, first: &str, per_second: u32) -> PyResult<Self> {
        let flood = Flood::start(PublicKey::new(device), line(to, first)?, per_second);
        let flood = flood.map_err(|error| failed(&error))?;
        Ok(Self(Mutex::new(Some(flood))))
    }

    /// Ends it; None when it has been ended before.
    fn stop(&self, py: Python<'_>) -> PyResult<Option<HandshakeTally>> {
        let flood = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tally = py.detach(|| flood.map(Flood::stop).transpose());
        Ok(tally
            .map_err(|error| failed(&error))?
            .map(HandshakeTally::from))
    }
}

impl From<Tally> for HandshakeTally {
    fn from(tally: Tally) -> Self {
        Self {
            sent: tally.sent,
            responses: tally.responses,
            cookies: tally.cookies,
            seconds: tally.duration.as_secs_f64(),
        }
    }
}

fn line(to: &str, first: &str) -> PyResult<Line> {
    let to = socket_address("to", to)?;
    let first: Ipv4Addr = first.parse().map_err(|_| {
        let message = format!("first: {first:?} is not an IPv4 address");
        config_error(&message, "write 198.18.64.0")
    })?;
    Line::open(to, first).map_err(|error| failed(&error))
}

fn failed(error: &std::io::Error) -> PyErr {
    network_error("handshakes with the device", error)
}
