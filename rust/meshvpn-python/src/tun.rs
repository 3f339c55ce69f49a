//! Devices without a tunnel.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meshvpn_engine::tun::monitor::{Monitor, MonitorConfig};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::config::{interfaces, networks, number};
use crate::errors::{closed_error, device_error, monitor_error};
use crate::wait::wait_for;

/// An open device; `meshvpn.Tun` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct Tun {
    /// Empty once closed; whoever still waits holds the device until it is woken.
    monitor: Mutex<Option<Arc<Monitor>>>,
    #[pyo3(get)]
    name: String,
    #[pyo3(get)]
    mtu: u16,
}

#[pymethods]
impl Tun {
    #[new]
    #[pyo3(signature = (name, *, addresses, routes, mtu, netns))]
    fn new(
        py: Python<'_>,
        name: String,
        addresses: Vec<String>,
        routes: Vec<String>,
        mtu: Option<i64>,
        netns: Option<String>,
    ) -> PyResult<Self> {
        let config = MonitorConfig {
            name,
            addresses: interfaces("address", &addresses)?,
            routes: networks("route", &routes)?,
            mtu: number("mtu", mtu, u16::MAX)?,
            netns,
        };
        let monitor = py
            .detach(|| Monitor::open(config))
            .map_err(|error| monitor_error(&error))?;
        let (name, mtu) = (monitor.name().to_owned(), monitor.mtu());
        Ok(Self {
            monitor: Mutex::new(Some(Arc::new(monitor))),
            name,
            mtu,
        })
    }

    /// The next packet; None when there is none in time. Raises when the device is closed.
    #[pyo3(signature = (timeout))]
    fn receive<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let monitor = self.open_monitor()?;
        let result = wait_for(py, timeout, |wait| receive_once(&monitor, wait))?;
        if monitor.is_closed() {
            return Err(self.closed());
        }
        match result {
            None => Ok(None),
            Some(Ok(packet)) => Ok(Some(PyBytes::new(py, &packet))),
            Some(Err(error)) if error.raw_os_error() == Some(libc::EBADFD) => {
                Err(closed_error(&format!("device {} was deleted", self.name)))
            }
            Some(Err(error)) => Err(device_error(&format!("cannot read {}", self.name), &error)),
        }
    }

    /// Gives the kernel a packet.
    fn send(&self, py: Python<'_>, packet: &[u8]) -> PyResult<()> {
        let monitor = self.open_monitor()?;
        py.detach(|| monitor.send(packet)).map_err(|error| {
            let len = packet.len();
            device_error(
                &format!("{} does not take this packet of {len} bytes", self.name),
                &error,
            )
        })
    }

    /// Readable while packets wait. Raises when the device is closed.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.open_monitor()?.descriptor().as_raw_fd())
    }

    /// Removes the device.
    fn close(&self, py: Python<'_>) {
        // The kernel waits for other processors before the device is gone.
        py.detach(|| {
            if let Some(monitor) = self.lock().take() {
                monitor.close();
            }
        });
    }
}

impl Tun {
    fn open_monitor(&self) -> PyResult<Arc<Monitor>> {
        self.lock().clone().ok_or_else(|| self.closed())
    }

    fn closed(&self) -> PyErr {
        closed_error(&format!("device {} is closed", self.name))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Monitor>>> {
        self.monitor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A packet, a failure, or nothing yet; closing counts as an end of the wait.
fn receive_once(monitor: &Monitor, wait: Duration) -> Option<std::io::Result<Vec<u8>>> {
    match monitor.receive(wait) {
        Ok(None) if monitor.is_closed() => {
            Some(Err(std::io::Error::from_raw_os_error(libc::EBADF)))
        }
        result => result.transpose(),
    }
}
