//! A running tunnel: a TUN, a UDP socket, and three threads in one namespace.
//!
//! | module | holds |
//! |---|---|
//! | `config` | what a tunnel is made from, and what can be wrong with it |
//! | `driver/` | the thread that sets everything up, answers handshakes and probes, and cleans up |
//! | `status` | what others may know of it: phase, MTU, events |
//!
//! The driver enters the namespace and starts the data plane's threads there. Dropping the
//! [`Tunnel`] ends all three; the device goes with the last descriptor.

mod config;
mod driver;
mod status;

use std::path::Path;
use std::sync::Arc;

use crate::capture::taps::Taps;
use crate::capture::{Capture, CaptureError};
use crate::dataplane::counters::Counters;
use crate::driver_thread::DriverThread;
pub use config::{TunnelConfig, TunnelError};
pub(crate) use driver::segments;
pub use status::{Event, EventKind, Phase, Snapshot, Status};

/// A running tunnel. Dropping it closes it.
#[derive(Debug)]
pub struct Tunnel {
    name: String,
    aead: &'static str,
    counters: Arc<Counters>,
    taps: Arc<Taps>,
    status: Arc<Status>,
    driver: DriverThread,
}

/// What the driver hands over once everything is set up.
struct Started {
    aead: &'static str,
    counters: Arc<Counters>,
    taps: Arc<Taps>,
}

impl Tunnel {
    /// Creates device and socket, sets addresses and routes, and starts forwarding. Returns when all
    /// of it is done, or none of it is left.
    ///
    /// # Errors
    /// [`TunnelError`] for the first step that failed.
    pub fn start(config: TunnelConfig) -> Result<Self, TunnelError> {
        config.check()?;
        let name = config.name.clone();
        let status = Arc::new(Status::new().map_err(TunnelError::System)?);
        let (driver, started) = DriverThread::start(
            &name,
            TunnelError::System,
            {
                let status = Arc::clone(&status);
                move |stop, started| driver::run(config, &status, stop, started)
            },
            {
                let status = Arc::clone(&status);
                move || status.close(Some("the driver panicked".into()))
            },
        )?;
        let Started {
            aead,
            counters,
            taps,
        } = started;
        Ok(Self {
            name,
            aead,
            counters,
            taps,
            status,
            driver,
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The AEAD implementation in use; `"none"` for a plain tunnel.
    pub fn aead(&self) -> &'static str {
        self.aead
    }

    /// What went through and what was dropped.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Its phase, MTU and events.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Writes what goes over the network to the file at `path`, until the tunnel or the [`Capture`] is closed.
    ///
    /// # Errors
    /// When there can be no such file; and [`CaptureError::NoSecrets`], if those are wanted.
    pub fn capture(&self, path: &Path, has_secrets: bool) -> Result<Capture, CaptureError> {
        if has_secrets {
            return Err(CaptureError::NoSecrets);
        }
        let (capture, tap) = Capture::prepare(path, &self.name, &self.taps, false)?;
        self.taps.attach(tap).map_err(CaptureError::System)?;
        Ok(capture)
    }

    /// Ends all threads and removes the device. Returns when that is done; calling it again does
    /// nothing.
    ///
    /// In a child that was forked while the tunnel was open, nothing happens: the tunnel is its
    /// parent's. The child's copies of the descriptors keep the device until it ends or closes them.
    pub fn close(&self) {
        if self.driver.close() {
            self.status.close(None);
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.close();
    }
}
