//! Running WireGuard devices.

use std::os::fd::AsRawFd;
use std::path::PathBuf;

use meshvpn_engine::tunnel::Phase;
use meshvpn_engine::wireguard::{PeerSnapshot, WireGuardConfig, WireGuardDevice};
use meshvpn_proto::config::uapi::{DeviceChange, Request, Requests};
use pyo3::prelude::*;

use crate::capture::Capture;
use crate::config::{interfaces, networks, number};
use crate::errors::{capture_error, config_error, tunnel_error};
use crate::tunnel::{TunnelEvent, TunnelSnapshot, backend, next_event, snapshot, wait_until_up};

/// A running device; `meshvpn.WireGuard` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct WireGuard(WireGuardDevice);

/// What can be said of a device's keys, ports and peers at one moment.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct WireGuardState {
    /// 32 bytes; none before there is a private key.
    public_key: Option<[u8; 32]>,
    listen_port: u16,
    mark: u32,
    mtu: u16,
    peers: Vec<Py<WireGuardPeer>>,
}

/// What can be said of a peer at one moment.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct WireGuardPeer {
    public_key: [u8; 32],
    has_preshared_key: bool,
    /// "192.0.2.1:51820".
    endpoint: Option<String>,
    /// "10.0.0.0/8".
    allowed_ips: Vec<String>,
    /// Seconds since 1970 UTC.
    last_handshake: Option<f64>,
    received_bytes: u64,
    sent_bytes: u64,
    /// Seconds.
    persistent_keepalive: Option<u64>,
    has_session: bool,
}

#[pymethods]
impl WireGuard {
    /// Starts a device. `change` is what it begins with, in the words of UAPI without `set=1`.
    #[new]
    #[pyo3(signature = (name, *, change, addresses, routes, mtu, is_up, has_uapi, netns, aead))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments, with names at the only call"
    )]
    fn new(
        py: Python<'_>,
        name: String,
        change: &str,
        addresses: Vec<String>,
        routes: Vec<String>,
        mtu: Option<i64>,
        is_up: bool,
        has_uapi: bool,
        netns: Option<String>,
        aead: Option<&str>,
    ) -> PyResult<Self> {
        let config = WireGuardConfig {
            name,
            addresses: interfaces("address", &addresses)?,
            routes: networks("route", &routes)?,
            mtu: number("mtu", mtu, u16::MAX)?,
            is_up,
            netns,
            aead: backend(aead)?,
            has_uapi,
            device: parse(change)?,
        };
        py.detach(|| WireGuardDevice::start(config))
            .map(Self)
            .map_err(|error| tunnel_error(&error))
    }

    /// Changes keys, ports and peers, in the words of UAPI without `set=1`: all of it or nothing.
    fn change(&self, py: Python<'_>, change: &str) -> PyResult<()> {
        let change = parse(change)?;
        py.detach(|| self.0.change(change))
            .map_err(|error| tunnel_error(&error))
    }

    /// Its keys, ports and peers.
    fn state(&self, py: Python<'_>) -> PyResult<WireGuardState> {
        let state = py
            .detach(|| self.0.snapshot())
            .map_err(|error| tunnel_error(&error))?;
        let peers = state.peers.into_iter();
        let peers = peers.map(|peer| Py::new(py, WireGuardPeer::from(peer)));
        Ok(WireGuardState {
            public_key: state.public_key.map(|key| *key.as_bytes()),
            listen_port: state.listen_port,
            mark: state.mark,
            mtu: state.mtu,
            peers: peers.collect::<PyResult<_>>()?,
        })
    }

    fn snapshot(&self) -> TunnelSnapshot {
        snapshot(self.0.status(), self.0.counters(), self.0.aead())
    }

    /// Waits until a handshake has succeeded; true when one has.
    #[pyo3(signature = (timeout))]
    fn wait_until_up(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        wait_until_up(py, self.0.status(), timeout)
    }

    /// Waits until the device is closed, by whomever; true when it is.
    #[pyo3(signature = (timeout))]
    fn wait_until_closed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let status = self.0.status();
        let closed = crate::wait::wait_for(py, timeout, |wait| {
            let snapshot = status.wait(wait, |snapshot| snapshot.phase == Phase::Closed);
            (snapshot.phase == Phase::Closed).then_some(true)
        })?;
        Ok(closed.unwrap_or(false))
    }

    /// The oldest event not fetched yet; None when there is none in time.
    #[pyo3(signature = (timeout))]
    fn next_event(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<TunnelEvent>> {
        next_event(py, self.0.status(), timeout)
    }

    /// Writes what goes over the network to a file; `secrets` are the keys that decrypt it.
    #[pyo3(signature = (path, *, secrets))]
    fn capture(&self, py: Python<'_>, path: PathBuf, secrets: bool) -> PyResult<Capture> {
        py.detach(|| self.0.capture(&path, secrets))
            .map(Capture)
            .map_err(|error| capture_error(&error))
    }

    /// Readable while events wait.
    fn fileno(&self) -> i32 {
        self.0.status().descriptor().as_raw_fd()
    }

    /// Ends the device; it is gone when this returns.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

impl From<PeerSnapshot> for WireGuardPeer {
    fn from(peer: PeerSnapshot) -> Self {
        Self {
            public_key: *peer.public_key.as_bytes(),
            has_preshared_key: peer.has_preshared_key,
            endpoint: peer.endpoint.map(|endpoint| endpoint.to_string()),
            allowed_ips: peer.allowed_ips.iter().map(ToString::to_string).collect(),
            last_handshake: peer.last_handshake.map(|at| at.as_secs_f64()),
            received_bytes: peer.received_bytes,
            sent_bytes: peer.sent_bytes,
            persistent_keepalive: peer.persistent_keepalive.map(|interval| interval.as_secs()),
            has_session: peer.has_session,
        }
    }
}

/// A change in the words of UAPI.
fn parse(lines: &str) -> PyResult<DeviceChange> {
    let hint = "see https://www.wireguard.com/xplatform/ for the words of this protocol";
    let mut requests = Requests::new(|_| None);
    for part in ["set=1\n", lines, "\n"] {
        requests.handle_bytes(part.as_bytes());
    }
    match requests.poll_request() {
        Some(Ok(Request::Set(change))) => Ok(*change),
        Some(Err(error)) => Err(config_error(&error.to_string(), hint)),
        _ => Err(config_error("the change is not complete", hint)),
    }
}
