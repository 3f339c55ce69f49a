//! The machine behind its lock, and who waits for its output.
//!
//! The lock is held for one batch of one client at a time: parsing, one look-up and one copy for each run of
//! packets. Ciphers and system calls happen outside.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::server::{ClientId, Closed, Full, Limits, Progress, Server, Statistics};
use tokio::sync::Notify;
use tracing::debug;

/// All clients.
pub(super) struct Clients(Mutex<State>);

struct State {
    server: Server,
    writers: BTreeMap<ClientId, Arc<Writer>>,
}

/// What the connection of a client waits for.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// There is something to write, or the client is closed.
    wake: Notify,
    is_closed: AtomicBool,
}

impl Clients {
    pub(super) fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self(Mutex::new(State {
            server: Server::new(limits, seed),
            writers: BTreeMap::new(),
        }))
    }

    /// Takes over a client that has logged in.
    pub(super) fn add(&self, key: PublicKey) -> Result<(ClientId, Arc<Writer>), Full> {
        let mut state = self.lock();
        let id = state.server.add(Instant::now(), key)?;
        let writer = Arc::<Writer>::default();
        state.writers.insert(id, Arc::clone(&writer));
        state.wake();
        Ok((id, writer))
    }

    /// A client's connection has ended.
    pub(super) fn remove(&self, id: ClientId) {
        let mut state = self.lock();
        state.writers.remove(&id);
        state.server.remove(id);
        state.wake();
    }

    /// Forwards what a client has sent.
    pub(super) fn handle_bytes(&self, id: ClientId, bytes: &mut [u8]) -> Result<Progress, Closed> {
        let mut state = self.lock();
        let progress = state.server.handle_bytes(Instant::now(), id, bytes);
        state.wake();
        progress
    }

    /// Appends what waits for a client to `out`; false when there is nothing.
    pub(super) fn take_output(&self, id: ClientId, out: &mut Vec<u8>) -> bool {
        self.lock().server.take_output(id, out)
    }

    /// Does what is due; returns when something is again.
    pub(super) fn handle_timeout(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        state.server.handle_timeout(now);
        state.wake();
        state.server.poll_timeout()
    }

    pub(super) fn announce_restart(&self, reconnect_in: Duration, try_for: Duration) {
        let mut state = self.lock();
        state.server.announce_restart(reconnect_in, try_for);
        state.wake();
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.lock().server.statistics()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells the connections that have something to do.
    fn wake(&mut self) {
        while let Some(id) = self.server.poll_writable() {
            if let Some(writer) = self.writers.get(&id) {
                writer.wake.notify_one();
            }
        }
        while let Some((id, reason)) = self.server.poll_closed() {
            debug!(client = %id, %reason, "client closed");
            if let Some(writer) = self.writers.remove(&id) {
                writer.is_closed.store(true, Ordering::Release);
                writer.wake.notify_one();
            }
        }
    }
}

impl Writer {
    /// Waits until there is something; false when the client is closed.
    pub(super) async fn wait(&self) -> bool {
        self.wake.notified().await;
        !self.is_closed.load(Ordering::Acquire)
    }
}
