//! The resolver inside a node: sockets and a system around [`meshvpn_proto::dns`].
//!
//! | module | holds |
//! |---|---|
//! | `config` | what a resolver is made from |
//! | `service` | the thread: questions in, answers out, and the forwarder between |
//! | `clients` | datagrams and streams from those who ask |
//! | `exchange` | one question to one name server |
//! | `upstreams` | whom the system asked before |
//! | [`system`] | telling the system to ask here, and taking that back |
//!
//! A resolver answers its own host: who comes from its own address or from loopback. Others are refused unless
//! the configuration names them, so that no node becomes an open resolver for its mesh.

mod clients;
mod config;
mod exchange;
mod service;
pub mod system;
mod upstreams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use meshvpn_proto::dns::Zone;
use tokio::sync::watch;

use crate::driver_thread::DriverThread;
pub use config::{ResolverConfig, ResolverError, Upstreams};
pub use upstreams::name_servers;

/// A running resolver. Dropping it closes it.
#[derive(Debug)]
pub struct Resolver {
    addresses: Vec<SocketAddr>,
    zone: Arc<ArcSwap<Zone>>,
    counters: Arc<Counters>,
    upstreams: watch::Sender<Upstreams>,
    driver: DriverThread,
}

/// What became of messages, counted since the start.
#[derive(Debug, Default)]
struct Counters {
    answered: AtomicU64,
    forwarded: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// How many messages were …
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResolverStats {
    /// answered here.
    pub answered: u64,
    /// passed on.
    pub forwarded: u64,
    /// refused or passed over, because they were no questions, or of nobody who may ask.
    pub refused: u64,
    /// passed on, or to be, without an answer in the end.
    pub failed: u64,
}

impl Resolver {
    /// Starts a resolver; when this returns, it answers.
    ///
    /// # Errors
    /// [`ResolverError`] for the first step that failed; nothing is left then.
    pub fn start(config: ResolverConfig) -> Result<Self, ResolverError> {
        config.check()?;
        let zone = Arc::new(ArcSwap::from_pointee(config.zone.clone()));
        let counters = Arc::new(Counters::default());
        let (upstreams, changed) = watch::channel(config.upstreams.clone());
        let (driver, addresses) = DriverThread::start(
            "dns",
            ResolverError::System,
            {
                let (zone, counters) = (Arc::clone(&zone), Arc::clone(&counters));
                move |stop, started| {
                    service::run(&config, &zone, &counters, changed, stop, started);
                }
            },
            || tracing::error!("the resolver's thread panicked; names are not answered any more"),
        )?;
        Ok(Self {
            addresses,
            zone,
            counters,
            upstreams,
            driver,
        })
    }

    /// Where it answers, with the port that the kernel chose where it was given 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers from this zone from now on.
    pub fn set_zone(&self, zone: Zone) {
        self.zone.store(Arc::new(zone));
    }

    /// Asks these from now on.
    pub fn set_upstreams(&self, upstreams: Upstreams) {
        // It fails only when the thread is gone, which has said so itself.
        let _ = self.upstreams.send(upstreams);
    }

    /// What became of messages so far.
    pub fn stats(&self) -> ResolverStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ResolverStats {
            answered: read(&self.counters.answered),
            forwarded: read(&self.counters.forwarded),
            refused: read(&self.counters.refused),
            failed: read(&self.counters.failed),
        }
    }

    /// Ends it. Returns when its sockets are closed; calling it again does nothing.
    pub fn close(&self) {
        self.driver.close();
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.close();
    }
}

impl Counters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
