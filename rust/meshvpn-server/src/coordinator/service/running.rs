//! A coordinator on a thread of its own, for those who have no runtime.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use meshvpn_proto::keys::PublicKey;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::{Figures, Service, Token};
use crate::coordinator::file::FileConfig;
use crate::coordinator::request::{NewKey, Request, RequestError, Response};
use crate::coordinator::sqlite::SqliteStore;
use crate::coordinator::store::StoreError;

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
    /// A file of its state directory.
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
            Ok((service, listener, local)) => {
                let handle = (service.clone(), Handle::current(), local);
                if started.send(Ok(handle)).is_ok() {
                    serve(service, listener, local, stop).await;
                }
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
    // Connections that are still open end with the runtime.
}

async fn set_up(config: FileConfig) -> Result<(Service, TcpListener, SocketAddr), StartError> {
    let address = config.listen;
    let bind = |source| StartError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;
    let store = SqliteStore::open(&config.state.join(DATABASE)).await?;
    let token = token(&config.state.join(TOKEN))?;
    let service = Service::start(config.coordinator, store, Some(token)).await?;
    Ok((service, listener, local))
}

async fn serve(service: Service, listener: TcpListener, local: SocketAddr, stop: &Notify) {
    tracing::info!(%local, key = %service.public_key(), "coordinator started");
    let router = service.router();
    tokio::select! {
        () = crate::http::serve(listener, router) => {}
        () = stop.notified() => {}
    }
    tracing::info!(%local, "coordinator stopped");
}

/// What administrators must show: made at the first start, and kept where only the owner reads.
fn token(path: &Path) -> Result<Token, StartError> {
    let fail = |source| StartError::File {
        path: path.display().to_string(),
        source,
    };
    let mut file = OpenOptions::new();
    match file.write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let mut random = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *random).map_err(|error| fail(io::Error::other(error)))?;
            let text: Zeroizing<String> =
                Zeroizing::new(random.iter().map(|byte| format!("{byte:02x}")).collect());
            let line = Zeroizing::new(format!("{}\n", *text));
            file.write_all(line.as_bytes()).map_err(fail)?;
            file.sync_all().map_err(fail)?;
            Ok(Token::new((*text).clone()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = Zeroizing::new(fs::read_to_string(path).map_err(fail)?);
            let text = text.trim();
            if text.is_empty() {
                let source = io::Error::other("it is empty: remove it, and another is made");
                return Err(fail(source));
            }
            Ok(Token::new(text.to_owned()))
        }
        Err(error) => Err(fail(error)),
    }
}
