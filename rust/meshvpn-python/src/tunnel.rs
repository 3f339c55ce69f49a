//! Running tunnels.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use meshvpn_engine::aead::Backend;
use meshvpn_engine::dataplane::counters::Counters;
use meshvpn_engine::tunnel::{self as engine, EventKind, Phase, Status, TunnelConfig};
use meshvpn_proto::forward::{DropReason, Tally};
use meshvpn_proto::keys::PresharedKey;
use meshvpn_proto::tunnel::Framing;
use pyo3::prelude::*;
use zeroize::Zeroizing;

use crate::capture::Capture;
use crate::config::{interfaces, networks, number, socket_address};
use crate::errors::{capture_error, config_error, tunnel_error};
use crate::wait::wait_for;

/// A running tunnel; `meshvpn.Tunnel` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct Tunnel(engine::Tunnel);

/// What can be said of a tunnel at one moment.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct TunnelSnapshot {
    /// "connecting", "up" or "closed".
    phase: &'static str,
    path_mtu: u16,
    mtu: u16,
    sessions: u64,
    failure: Option<String>,
    aead: &'static str,
    /// From the device to the network: inner packets, their bytes.
    sent_packets: u64,
    sent_bytes: u64,
    /// From the network to the device.
    received_packets: u64,
    received_bytes: u64,
    /// Drop reasons and how often, those that never happened included.
    drops: Vec<(&'static str, u64)>,
}

/// Something that happened to a tunnel.
#[pyclass(frozen, get_all, module = "meshvpn._meshvpn")]
pub(crate) struct TunnelEvent {
    /// Seconds since 1970 UTC.
    at: f64,
    /// "up", "down", "session", "path_mtu" or "closed".
    kind: &'static str,
    path_mtu: Option<u16>,
    mtu: Option<u16>,
    failure: Option<String>,
}

#[pymethods]
impl Tunnel {
    /// Starts a tunnel: sealed when a key is given, plain otherwise.
    #[new]
    #[pyo3(signature = (name, *, local, remote, key, addresses, routes, mtu, netns, mark, aead))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments, with names at the only call"
    )]
    fn new(
        py: Python<'_>,
        name: String,
        local: &str,
        remote: &str,
        key: Option<&[u8]>,
        addresses: Vec<String>,
        routes: Vec<String>,
        mtu: Option<i64>,
        netns: Option<String>,
        mark: Option<i64>,
        aead: Option<&str>,
    ) -> PyResult<Self> {
        let framing = match key {
            None => Framing::Plain,
            Some(key) => {
                let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(key.try_into().map_err(|_| {
                    config_error(
                        &format!("key: {} bytes instead of 32", key.len()),
                        "make one with: meshvpn genpsk",
                    )
                })?);
                Framing::Preshared(PresharedKey::new(*bytes))
            }
        };
        let config = TunnelConfig {
            name,
            local: socket_address("local", local)?,
            remote: socket_address("remote", remote)?,
            framing,
            addresses: interfaces("address", &addresses)?,
            routes: networks("route", &routes)?,
            mtu: number("mtu", mtu, u16::MAX)?,
            netns,
            mark: number("mark", mark, u32::MAX)?,
            aead: backend(aead)?,
        };
        py.detach(|| engine::Tunnel::start(config))
            .map(Self)
            .map_err(|error| tunnel_error(&error))
    }

    fn snapshot(&self) -> TunnelSnapshot {
        snapshot(self.0.status(), self.0.counters(), self.0.aead())
    }

    /// Waits until the peer answers; true when it does.
    #[pyo3(signature = (timeout))]
    fn wait_until_up(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        wait_until_up(py, self.0.status(), timeout)
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

    /// Ends the tunnel; the device is gone when it returns.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// The AEAD implementation that was asked for by name.
pub(crate) fn backend(name: Option<&str>) -> PyResult<Option<Backend>> {
    let parsed = name.map(|name| {
        name.parse()
            .map_err(|error| config_error(&format!("aead: {error}"), "see: meshvpn bench --aead"))
    });
    parsed.transpose()
}

pub(crate) fn snapshot(status: &Status, counters: &Counters, aead: &'static str) -> TunnelSnapshot {
    let state = status.snapshot();
    let (tx, mut rx, control) = (
        counters.tx.tally(),
        counters.rx.tally(),
        counters.control.tally(),
    );
    rx.add(&counters.relayed.tally());
    TunnelSnapshot {
        phase: match state.phase {
            Phase::Connecting => "connecting",
            Phase::Up => "up",
            Phase::Closed => "closed",
        },
        path_mtu: state.path_mtu,
        mtu: state.mtu,
        sessions: state.sessions,
        failure: state.failure,
        aead,
        sent_packets: tx.packets,
        sent_bytes: tx.bytes,
        received_packets: rx.packets,
        received_bytes: rx.bytes,
        drops: drops(&[tx, rx, control]),
    }
}

pub(crate) fn wait_until_up(
    py: Python<'_>,
    status: &Status,
    timeout: Option<f64>,
) -> PyResult<bool> {
    let done = wait_for(py, timeout, |wait| {
        let snapshot = status.wait(wait, |snapshot| snapshot.phase != Phase::Connecting);
        (snapshot.phase != Phase::Connecting).then_some(snapshot.phase == Phase::Up)
    })?;
    Ok(done.unwrap_or(false))
}

pub(crate) fn next_event(
    py: Python<'_>,
    status: &Status,
    timeout: Option<f64>,
) -> PyResult<Option<TunnelEvent>> {
    let event = wait_for(py, timeout, |wait| {
        let event = status.next_event(wait);
        let is_closed = || status.snapshot().phase == Phase::Closed;
        if event.is_none() && !is_closed() {
            None
        } else {
            Some(event)
        }
    })?;
    Ok(event.flatten().map(TunnelEvent::from))
}

fn drops(tallies: &[Tally]) -> Vec<(&'static str, u64)> {
    let count = |reason| tallies.iter().map(|tally| tally.dropped(reason)).sum();
    DropReason::ALL
        .iter()
        .map(|reason| (reason.name(), count(*reason)))
        .collect()
}

impl From<engine::Event> for TunnelEvent {
    fn from(event: engine::Event) -> Self {
        let since_1970 = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut shown = Self {
            at: since_1970.as_secs_f64(),
            kind: "",
            path_mtu: None,
            mtu: None,
            failure: None,
        };
        shown.kind = match event.kind {
            EventKind::Up => "up",
            EventKind::Down => "down",
            EventKind::Session => "session",
            EventKind::PathMtu { path_mtu, mtu } => {
                (shown.path_mtu, shown.mtu) = (Some(path_mtu), Some(mtu));
                "path_mtu"
            }
            EventKind::Closed(failure) => {
                shown.failure = failure;
                "closed"
            }
        };
        shown
    }
}
