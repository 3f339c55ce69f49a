//! One TCP port for everything: HTTP pages, and clients of the relay, with TLS or without.
//!
//! ```text
//! accept ──► TLS ──► first request ──┬─ Upgrade: DERP ──► the relay
//!                                    └─ anything else ──► pages (hyper, axum)
//! ```
//!
//! The first request of each connection is read here: a client of the relay may ask for no answer
//! (`Derp-Fast-Start`), which no HTTP library knows, and then wants the connection as it is, without another
//! layer around it. Every other request goes to the pages with the bytes that were read.
//!
//! Whoever has not said yet what it wants is one of [`MOST_WAITING`], and has [`PATIENCE`].

mod certificate;
mod head;
mod read_ahead;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

pub use self::certificate::{Certificate, CertificateError};
use self::head::Head;
pub use self::read_ahead::ReadAhead;
use crate::http::Peer;
use crate::relay::Relay;

/// Connections at once that have not said yet what they want, or are served pages.
pub const MOST_WAITING: usize = 1024;
/// How long a connection has for each of: the TLS handshake, its first request, its next.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long the kernel keeps sending what is not acknowledged, before it takes a connection for dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// How long to wait when the process is out of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// What is served at a port.
#[derive(Clone)]
pub struct Front {
    relay: Option<Relay>,
    pages: Router,
    tls: Option<TlsAcceptor>,
    waiting: Arc<Semaphore>,
}

impl Front {
    /// Serves `pages`, and clients of `relay` where there is one. The relay's
    /// [own pages](Relay::pages) are to be among them. Handlers find the [`Peer`] that asks among the request's
    /// extensions.
    pub fn new(relay: Option<Relay>, pages: Router) -> Self {
        Self {
            relay,
            pages,
            tls: None,
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
        }
    }

    /// The same over TLS.
    ///
    /// # Errors
    /// Certificate and key do not belong together.
    pub fn with_tls(mut self, certificate: &Certificate) -> Result<Self, CertificateError> {
        self.tls = Some(certificate.acceptor()?);
        Ok(self)
    }

    /// Serves whoever connects, until it is dropped; connections that are served already go on.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, remote) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Of this connection, or for want of descriptors: the next may be better.
                    debug!(%error, "a connection was not accepted");
                    sleep(BREATH).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&self.waiting).try_acquire_owned() else {
                warn!(%remote, most = MOST_WAITING, "refused: too many connections say nothing");
                continue;
            };
            let front = self.clone();
            tokio::spawn(async move {
                if let Err(error) = front.handle(stream, remote, permit).await {
                    debug!(%remote, %error, "connection ended");
                }
            });
        }
    }

    async fn handle(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> io::Result<()> {
        configure(&stream)?;
        let stream = ReadAhead::new(stream);
        match &self.tls {
            None => self.dispatch(stream, remote, permit).await,
            Some(tls) => {
                let stream = timeout(PATIENCE, tls.accept(stream)).await??;
                self.dispatch(ReadAhead::new(stream), remote, permit).await
            }
        }
    }

    async fn dispatch<S>(
        &self,
        mut stream: ReadAhead<S>,
        remote: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let head = timeout(PATIENCE, Head::peek(&mut stream)).await??;
        if let (Some(relay), Head::Derp { len, is_fast }) = (&self.relay, head) {
            stream.skip(len);
            return relay.serve(stream, remote, is_fast, permit).await;
        }
        let peer = Peer {
            address: remote,
            is_encrypted: self.tls.is_some(),
        };
        let service = TowerToHyperService::new(self.pages.clone().layer(Extension(peer)));
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(head::MOST_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await
            .map_err(io::Error::other)
    }
}

fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(UNACKNOWLEDGED))
}
