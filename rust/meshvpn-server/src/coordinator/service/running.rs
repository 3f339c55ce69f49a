//! A coordinator on a thread of its own, for those who have no runtime.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use meshvpn_proto::keys::PublicKey;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::{Figures, Service, Token, own_relay, state_files};
use crate::coordinator::file::{FileConfig, TlsFiles};
use crate::coordinator::request::{NewKey, Request, RequestError, Response};
use crate::coordinator::sqlite::SqliteStore;
use crate::coordinator::store::StoreError;
use crate::listen::{Certificate, CertificateError, Front};
use crate::relay::Relay;

/// Files in the state directory.
const DATABASE: &str = "state.db";
const TOKEN: &str = "api-token";

/// What is done first on a coordinator's thread: entering a network namespace, say.
pub type OnThread = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Why a coordinator does not start.
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
    /// Its state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file of its state directory, or its certificate's.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The process is out of something.
    #[error("the coordinator cannot start: {0}")]
    System(#[from] io::Error),
}

/// A running coordinator. Ends with [`Self::close`], or when it is dropped.
#[derive(Debug)]
pub struct RunningCoordinator {
    service: Service,
    runtime: Handle,
    local: SocketAddr,
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The process that has the thread; a forked child has only this handle.
    owner: u32,
}

type Started = Result<(Service, Handle, SocketAddr), StartError>;

impl RunningCoordinator {
    /// Starts a coordinator, and returns when it listens.
    ///
    /// # Errors
    /// Why it does not.
    pub fn start(config: FileConfig, on_thread: OnThread) -> Result<Self, StartError> {
        let stop = Arc::new(Notify::new());
        let (started, result) = sync_channel(1);
        let body = {
            let stop = Arc::clone(&stop);
            move || run(config, on_thread, &started, &stop)
        };
        let thread = std::thread::Builder::new()
            .name("coordinator".to_owned())
            .spawn(body)?;
        let ended = || Err(io::Error::other("its thread has ended").into());
        let (service, runtime, local) = result.recv().unwrap_or_else(|_| ended())?;
        Ok(Self {
            service,
            runtime,
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

    /// The public key that nodes must know.
    pub fn public_key(&self) -> PublicKey {
        self.service.public_key()
    }

    /// What has happened so far.
    pub fn figures(&self) -> Figures {
        self.service.figures()
    }

    /// Asks something, as an administrator, and waits for the answer.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn ask(&self, request: Request) -> Result<Response, RequestError> {
        self.runtime.block_on(self.service.ask(request))
    }

    /// A new auth key, in the [answer](Response::NewKey).
    ///
    /// # Errors
    /// Why it is refused.
    pub fn create_key(&self, key: NewKey) -> Result<Response, RequestError> {
        self.runtime.block_on(self.service.create_key(key))
    }

    /// Ends it, and returns when its port is free. What was acknowledged is in the store.
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

impl Drop for RunningCoordinator {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(config: FileConfig, on_thread: OnThread, started: &SyncSender<Started>, stop: &Notify) {
    let runtime = on_thread().map_err(StartError::OnThread).and_then(|()| {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(StartError::System)
    });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error))),
    };
    runtime.block_on(async {
        match set_up(config).await {
            Ok(serving) => {
                let handle = (serving.service.clone(), Handle::current(), serving.local);
                if started.send(Ok(handle)).is_ok() {
                    serving.run(stop).await;
                }
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
    // Connections that are still open end with the runtime.
}

/// What is served, and where.
struct Serving {
    service: Service,
    relay: Option<Relay>,
    front: Front,
    listener: TcpListener,
    local: SocketAddr,
}

async fn set_up(mut config: FileConfig) -> Result<Serving, StartError> {
    let address = config.listen;
    let bind = |source| StartError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;
    let certificate = config.tls.as_ref().map(certificate).transpose()?;
    own_relay::announce(&mut config, local, certificate.as_ref());
    let store = SqliteStore::open(&config.state.join(DATABASE)).await?;
    let token = state_files::secret(&config.state.join(TOKEN), |random| {
        Zeroizing::new(random.iter().map(|byte| format!("{byte:02x}")).collect())
    })?;
    let token = Token::new((*token).clone());
    let service = Service::start(config.coordinator, store, Some(token)).await?;
    let relay = config
        .relay
        .map(|_| own_relay::start(&service, &config.state));
    let relay = relay.transpose()?;
    let mut front = Front::new(relay.clone(), service.router_beside(relay.clone()));
    if let Some(certificate) = &certificate {
        front = front.with_tls(certificate)?;
    }
    Ok(Serving {
        service,
        relay,
        front,
        listener,
        local,
    })
}

fn certificate(files: &TlsFiles) -> Result<Certificate, StartError> {
    let read = |path: &Path| {
        fs::read_to_string(path).map_err(|source| StartError::File {
            path: path.display().to_string(),
            source,
        })
    };
    let key = Zeroizing::new(read(&files.key)?);
    Ok(Certificate::from_pem(&read(&files.certificate)?, &key)?)
}

impl Serving {
    async fn run(self, stop: &Notify) {
        let Self {
            service,
            relay,
            front,
            listener,
            local,
        } = self;
        let key = service.public_key();
        tracing::info!("coordinator started at {local}, public key {key}");
        let keep_alive = async {
            match &relay {
                Some(relay) => relay.keep_alive().await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            () = front.serve(listener) => {}
            () = keep_alive => {}
            () = stop.notified() => {}
        }
        tracing::info!("coordinator stopped at {local}");
    }
}
