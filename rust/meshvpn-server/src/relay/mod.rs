//! The relay: the pure [`Server`](meshvpn_proto::relay::server::Server) with connections around it.
//!
//! | module | holds |
//! |---|---|
//! | `clients` | the machine, and who waits for its output |
//! | `connection` | one client: log-in, reading, writing |
//! | `pages` | what it answers over HTTP: probes, metrics |
//! | `metrics` | its counters for Prometheus |
//! | [`verify`] | who may come |
//! | [`running`] | a relay on a thread of its own |
//!
//! A connection is one task. It reads as much as has come, hands all of that to the machine at once, and
//! writes all that waits for its client at once; so under load a batch of packets costs one system call on
//! either side, and one pass of the cipher where there is TLS.

mod clients;
mod connection;
pub(crate) mod metrics;
mod pages;
pub mod running;
pub mod verify;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::KEEPALIVE;
use meshvpn_proto::relay::server::{Limits, Statistics};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep_until;

use self::clients::Clients;
use self::verify::Verifier;

/// A relay. Cheap to clone: all clones are the same relay.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

struct Inner {
    key: PrivateKey,
    limits: Limits,
    clients: Clients,
    verifier: Option<Arc<dyn Verifier>>,
}

impl Relay {
    /// A relay that is known to its clients by `key`, and lets in whom `verifier` allows, or everyone when there
    /// is none.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(
        key: PrivateKey,
        limits: Limits,
        verifier: Option<Arc<dyn Verifier>>,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            key,
            limits,
            clients: Clients::new(limits, random()?),
            verifier,
        })))
    }

    /// What its clients know it by.
    pub fn public_key(&self) -> PublicKey {
        self.0.key.public_key()
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Statistics {
        self.0.clients.statistics()
    }

    /// What it answers over HTTP: `/derp/probe`, `/derp/latency-check`, `/generate_204`, `/metrics`.
    pub fn pages(&self) -> Router {
        pages::router().merge(pages::metrics(self))
    }

    /// The same for a port that has metrics of its own.
    pub fn pages_without_metrics(&self) -> Router {
        pages::router()
    }

    /// Says to every client now and then that the relay is there: to be run beside it.
    pub async fn keep_alive(&self) {
        loop {
            let now = Instant::now();
            // A client that comes meanwhile is told no sooner than this.
            let latest = now + KEEPALIVE;
            let next = self.0.clients.handle_timeout(now);
            sleep_until(next.map_or(latest, |next| next.min(latest)).into()).await;
        }
    }

    /// Tells every client that the relay is about to end, and when to come back.
    pub fn announce_restart(&self, reconnect_in: Duration, try_for: Duration) {
        self.0.clients.announce_restart(reconnect_in, try_for);
    }

    /// Serves a client to its end: a connection whose upgrade has been read and, unless `is_fast`, is to be
    /// answered. `permit` is given back when it has logged in.
    ///
    /// # Errors
    /// Why the connection ended, if not by the client's closing it.
    pub async fn serve<S>(
        &self,
        stream: S,
        remote: SocketAddr,
        is_fast: bool,
        permit: OwnedSemaphorePermit,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        connection::serve(&self.0, stream, remote, is_fast, permit).await
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Relay").field(&self.public_key()).finish()
    }
}

/// Random bytes of the system.
fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(bytes)
}
