//! A running WireGuard device: a TUN, two UDP sockets (one an IP version), and three threads.
//!
//! | module | holds |
//! |---|---|
//! | `config` | what a device is made from, and what can be known of it |
//! | `driver` | the thread that sets everything up, carries messages to the protocol and back, and cleans up |
//! | `reports` | what the data plane tells it |
//! | `change` | peers, keys and ports while it runs |
//! | `reveal` | keys for captures that want them |
//! | `uapi` | the socket by which `wg` does that |
//!
//! What WireGuard says is decided in [`meshvpn_proto::wireguard`]; here is what it takes to do it.

mod change;
mod config;
mod driver;
mod reports;
mod reveal;
mod uapi;

use std::io;
use std::path::Path;
use std::sync::Arc;

use meshvpn_proto::config::uapi::DeviceChange;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::capture::taps::{Tap, Taps};
use crate::capture::{Capture, CaptureError};
use crate::dataplane::counters::Counters;
use crate::driver_thread::DriverThread;
use crate::tunnel::{Status, TunnelError};
pub use config::{DeviceSnapshot, PeerSnapshot, WireGuardConfig};

/// A running device. Dropping it closes it.
#[derive(Debug)]
pub struct WireGuardDevice {
    name: String,
    aead: &'static str,
    counters: Arc<Counters>,
    taps: Arc<Taps>,
    status: Arc<Status>,
    commands: mpsc::Sender<Command>,
    driver: DriverThread,
}

/// What the driver hands over once everything is set up.
struct Started {
    aead: &'static str,
    counters: Arc<Counters>,
    taps: Arc<Taps>,
    commands: mpsc::Sender<Command>,
}

/// What somebody wants of the driver, and whom to tell the outcome.
#[derive(Debug)]
enum Command {
    /// To know how the device is, as `wg` asks: the whole answer, which has the private key in it.
    Get(oneshot::Sender<Zeroizing<String>>),
    /// To know how the device is.
    Snapshot(oneshot::Sender<DeviceSnapshot>),
    /// To change it.
    Set(Box<DeviceChange>, oneshot::Sender<Result<(), TunnelError>>),
    /// To be told all keys that decrypt what is sent and received from now on.
    Reveal(Arc<Tap>, oneshot::Sender<io::Result<()>>),
}

/// Commands that wait for the driver; who has more waits.
const COMMANDS: usize = 16;

impl WireGuardDevice {
    /// Creates device and sockets and starts forwarding. Returns when all of it is done, or none of it is
    /// left.
    ///
    /// # Errors
    /// [`TunnelError`] for the first step that failed.
    pub fn start(config: WireGuardConfig) -> Result<Self, TunnelError> {
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
            commands,
        } = started;
        Ok(Self {
            name,
            aead,
            counters,
            taps,
            status,
            commands,
            driver,
        })
    }

    /// The name that the device was created with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The AEAD implementation in use.
    pub fn aead(&self) -> &'static str {
        self.aead
    }

    /// What went through and what was dropped, of all peers together.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Its phase (up once a handshake has succeeded), MTU and events.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Changes keys, ports and peers: all of it, or, when there is an error, nothing.
    ///
    /// # Errors
    /// [`TunnelError::Bind`] when the port cannot be had, [`TunnelError::System`] when the device is closed.
    ///
    /// # Panics
    /// Inside an asynchronous task, which it would block.
    pub fn change(&self, change: DeviceChange) -> Result<(), TunnelError> {
        self.ask(|answer| Command::Set(Box::new(change), answer))
            .map_err(TunnelError::System)?
    }

    /// Its keys, ports and peers.
    ///
    /// # Errors
    /// [`TunnelError::System`] when the device is closed.
    ///
    /// # Panics
    /// Inside an asynchronous task, which it would block.
    pub fn snapshot(&self) -> Result<DeviceSnapshot, TunnelError> {
        self.ask(Command::Snapshot).map_err(TunnelError::System)
    }

    /// Writes what goes over the network to the file at `path`, until the device or the [`Capture`] is closed.
    ///
    /// With secrets, the file has the keys of all handshakes from now on in it, and whoever reads the file
    /// reads their sessions. No key is kept of a session that began before; so peers that have one get a new one,
    /// as soon as the last handshake is 5 s ago.
    ///
    /// # Errors
    /// When there can be no such file, or others could read secrets in it.
    ///
    /// # Panics
    /// Inside an asynchronous task, which it would block.
    pub fn capture(&self, path: &Path, has_secrets: bool) -> Result<Capture, CaptureError> {
        let (capture, tap) = Capture::prepare(path, &self.name, &self.taps, has_secrets)?;
        if has_secrets {
            self.ask(|answer| Command::Reveal(tap, answer))
                .and_then(|outcome| outcome)
        } else {
            self.taps.attach(tap)
        }
        .map_err(CaptureError::System)?;
        Ok(capture)
    }

    /// Ends all threads and removes the device. Returns when that is done; calling it again does nothing.
    /// In a forked child, nothing happens: the device is its parent's.
    pub fn close(&self) {
        if self.driver.close() {
            self.status.close(None);
        }
    }

    fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> io::Result<T> {
        let closed = || io::Error::from(io::ErrorKind::NotConnected);
        let (answer, outcome) = oneshot::channel();
        self.commands
            .blocking_send(command(answer))
            .map_err(|_| closed())?;
        outcome.blocking_recv().map_err(|_| closed())
    }
}

impl Drop for WireGuardDevice {
    fn drop(&mut self) {
        self.close();
    }
}
