//! A relay on a thread of its own, for those who have no runtime.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::server::{Limits, Statistics};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::info;

use super::Relay;
use super::verify::Verifier;
use crate::listen::{Certificate, CertificateError, Front};

/// What clients are told when the relay ends: it may be a restart, so they come back soon; and they look for
/// another relay when that takes long.
const RECONNECT_IN: Duration = Duration::from_millis(500);
const TRY_FOR: Duration = Duration::from_secs(10);
/// How long the relay stays to say so.
const FAREWELL: Duration = Duration::from_millis(100);

/// What a relay is made from.
pub struct RelayConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it is known by.
    pub key: PrivateKey,
    /// Its certificate; plain HTTP without one.
    pub certificate: Option<Certificate>,
    /// What a client may cost.
    pub limits: Limits,
    /// Who may come; everyone when nobody is asked.
    pub verifier: Option<Arc<dyn Verifier>>,
    /// Called first on the relay's thread: to enter a network namespace, say.
    pub on_thread: Box<dyn FnOnce() -> io::Result<()> + Send>,
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its address cannot be had.
    #[error("listen: {address}: {source}")]
    Bind {
        /// Which one.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// What was to be done on its thread has failed.
    #[error("{0}")]
    OnThread(io::Error),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The process is out of something.
    #[error("the relay cannot start: {0}")]
    System(#[from] io::Error),
}

/// A running relay. Ends with [`Self::close`], or when it is dropped.
#[derive(Debug)]
pub struct RunningRelay {
    relay: Relay,
    local: SocketAddr,
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The process that has the thread; a forked child has only this handle.
    owner: u32,
}

impl RunningRelay {
    /// Starts a relay, and returns when it listens.
    ///
    /// # Errors
    /// Why it does not.
    pub fn start(config: RelayConfig) -> Result<Self, StartError> {
        let relay = Relay::new(config.key, config.limits, config.verifier)?;
        let mut front = Front::new(Some(relay.clone()), relay.pages());
        if let Some(certificate) = &config.certificate {
            front = front.with_tls(certificate)?;
        }
        let stop = Arc::new(Notify::new());
        let (started, result) = sync_channel(1);
        let body = {
            let (relay, stop) = (relay.clone(), Arc::clone(&stop));
            let (listen, on_thread) = (config.listen, config.on_thread);
            move || {
                let running = Running { relay, front, stop };
                running.run(listen, on_thread, &started);
            }
        };
        let thread = std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(body)?;
        let ended = || Err(io::Error::other("its thread has ended").into());
        let local = result.recv().unwrap_or_else(|_| ended())?;
        Ok(Self {
            relay,
            local,
            stop,
            thread: Mutex::new(Some(thread)),
            owner: std::process::id(),
        })
    }

    /// Where it listens, with the port that the kernel chose if it was given 0.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// What its clients know it by.
    pub fn public_key(&self) -> PublicKey {
        self.relay.public_key()
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Statistics {
        self.relay.statistics()
    }

    /// Tells its clients, ends it, and returns when its port is free.
    pub fn close(&self) {
        if std::process::id() != self.owner {
            return;
        }
        self.stop.notify_one();
        // Held until the end, so that nobody returns before it is done.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A thread that panicked has said so on stderr, and its port is free.
            let _ = thread.join();
        }
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.close();
    }
}

struct Running {
    relay: Relay,
    front: Front,
    stop: Arc<Notify>,
}

impl Running {
    fn run(
        self,
        listen: SocketAddr,
        on_thread: Box<dyn FnOnce() -> io::Result<()> + Send>,
        started: &SyncSender<Result<SocketAddr, StartError>>,
    ) {
        let runtime = on_thread().map_err(StartError::OnThread).and_then(|()| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.map_err(StartError::System)
        });
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        runtime.block_on(async {
            let bound = TcpListener::bind(listen).await;
            match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
                Ok((local, listener)) => {
                    if started.send(Ok(local)).is_ok() {
                        self.serve(local, listener).await;
                    }
                }
                Err(source) => {
                    let address = listen;
                    drop(started.send(Err(StartError::Bind { address, source })));
                }
            }
        });
        // Connections that are still served end with the runtime.
    }

    async fn serve(self, local: SocketAddr, listener: TcpListener) {
        info!(%local, key = %self.relay.public_key(), "relay started");
        tokio::select! {
            () = self.front.serve(listener) => {}
            () = self.relay.keep_alive() => {}
            () = self.stop.notified() => {}
        }
        self.relay.announce_restart(RECONNECT_IN, TRY_FOR);
        sleep(FAREWELL).await;
        info!(%local, "relay stopped");
    }
}
