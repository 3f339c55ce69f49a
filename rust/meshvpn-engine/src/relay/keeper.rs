//! Connecting again and again: soon after the first failure, then less and less often.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::backoff::Backoff;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, info};

use super::address::RelayAddress;
use super::connection::{Connection, ConnectionError};
use super::dial::{DialError, dial};
use super::port::RelayPort;
use super::upgrade::upgrade;
use super::{RelayEventKind, Shared};

/// A connection that is to last.
pub(super) struct Keeper {
    shared: Rc<Shared>,
    place: usize,
    address: RelayAddress,
    port: Arc<RelayPort>,
    backoff: RefCell<Backoff>,
    is_home: Cell<bool>,
    home_changed: Notify,
    /// Whether to do without the answer to the upgrade: not where somebody on the way insists on it.
    is_fast: Cell<bool>,
}

impl Keeper {
    /// # Errors
    /// The system has no randomness.
    pub(super) fn new(
        shared: Rc<Shared>,
        place: usize,
        address: RelayAddress,
        port: Arc<RelayPort>,
    ) -> io::Result<Self> {
        Ok(Self {
            shared,
            place,
            address,
            port,
            backoff: RefCell::new(Backoff::new(random()?)),
            is_home: Cell::new(false),
            home_changed: Notify::new(),
            is_fast: Cell::new(true),
        })
    }

    /// Says whether this relay is the node's home.
    pub(super) fn set_home(&self, is_home: bool) {
        if self.is_home.replace(is_home) != is_home {
            self.home_changed.notify_one();
        }
    }

    /// Connects until it is aborted.
    pub(super) async fn keep(self: Rc<Self>) {
        // However this ends, nobody shall believe that packets pass.
        let _disconnected = Disconnected(&self.port);
        loop {
            let (error, retry_in) = self.connect().await;
            self.port.set_connected(false);
            info!(relay = %self.address, %error, ?retry_in, "not connected to the relay");
            let kind = RelayEventKind::Disconnected { error, retry_in };
            self.shared.tell(self.place, kind);
            sleep(retry_in).await;
        }
    }

    /// Makes a connection and uses it; returns why it ended, and when to make another.
    async fn connect(&self) -> (ConnectionError, Duration) {
        let nonce = match random() {
            Ok(nonce) => nonce,
            Err(error) => return (error.into(), self.backoff.borrow_mut().next_delay()),
        };
        let connection = Connection::new(&self.shared, self.place, &self.port, nonce);
        let error = match self.try_connect(&connection).await {
            Ok(error) => error,
            Err(error) => {
                debug!(relay = %self.address, %error, is_fast = self.is_fast.get(), "no connection");
                if !matches!(error, DialError::Lookup { .. } | DialError::Connect { .. }) {
                    self.is_fast.set(!self.is_fast.get());
                }
                error.into()
            }
        };
        let mut backoff = self.backoff.borrow_mut();
        let retry_in = match connection.reconnect_in() {
            Some(time) => backoff.between(time, time * 2),
            None => backoff.next_delay(),
        };
        (error, retry_in)
    }

    async fn try_connect(&self, connection: &Connection<'_>) -> Result<ConnectionError, DialError> {
        let mut stream = dial(&self.address, &self.shared.settings).await?;
        let unread = upgrade(&mut *stream, &self.address, self.is_fast.get()).await?;
        let on_ready = |connection: &Connection<'_>, relay| self.note_ready(connection, relay);
        let follow_home = async {
            loop {
                self.home_changed.notified().await;
                connection.set_home(self.is_home.get());
            }
        };
        Ok(tokio::select! {
            error = connection.run(stream, unread, &on_ready) => error,
            error = follow_home => error,
        })
    }

    fn note_ready(&self, connection: &Connection<'_>, relay: PublicKey) {
        info!(relay = %self.address, key = %relay, "connected to the relay");
        self.backoff.borrow_mut().reset();
        if self.is_home.get() {
            connection.set_home(true);
        }
        self.port.set_connected(true);
        self.shared
            .tell(self.place, RelayEventKind::Connected { relay });
    }
}

struct Disconnected<'a>(&'a RelayPort);

impl Drop for Disconnected<'_> {
    fn drop(&mut self) {
        self.0.set_connected(false);
    }
}

/// Random bytes of the system.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}
