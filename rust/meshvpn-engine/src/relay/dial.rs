//! Making a connection: TCP, through a proxy where there is one, and TLS over it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, Error as TlsError};

use super::RelaySettings;
use super::address::{Proxy, RelayAddress};
use super::tls::connector;
use super::upgrade::Response;

/// How long each address of a relay may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long everything else together may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the kernel keeps sending what is not acknowledged, before it takes a connection for dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// Bytes read from the kernel at once: a TLS library asks for four kilobytes, which would be a system call each.
const READ_AHEAD: usize = 64 << 10;

/// Why there is no connection to a relay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name is not known.
    #[error("{host} is not found: {source}")]
    Lookup {
        /// The name.
        host: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// No address answers.
    #[error("{address} cannot be reached: {source}")]
    Connect {
        /// The last one that was tried.
        address: SocketAddr,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The proxy will not.
    #[error("the proxy answers {0} to CONNECT")]
    Proxy(u16),
    /// The certificate is not the one that it should be.
    #[error("the relay's certificate is not the pinned one (certificate_sha256)")]
    WrongCertificate,
    /// The TLS handshake fails, or HTTP does.
    #[error("{0}")]
    Handshake(#[from] io::Error),
    /// It is no relay.
    #[error("the server answers {0} and not as a relay")]
    Refused(u16),
    /// Nothing is heard in time.
    #[error("no answer in time")]
    Timeout,
    /// The device is closed.
    #[error("the device is closed")]
    Stopped,
}

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Connects to a relay's HTTP server.
pub(super) async fn dial(
    address: &RelayAddress,
    settings: &RelaySettings,
) -> Result<Box<dyn Stream>, DialError> {
    let stream = match &settings.proxy {
        None => connect(&address.host, address.port, settings.mark).await?,
        Some(proxy) => connect(&proxy.host, proxy.port, settings.mark).await?,
    };
    let mut stream = BufReader::with_capacity(READ_AHEAD, stream);
    let handshake = async {
        if let Some(proxy) = &settings.proxy {
            ask(&mut stream, proxy, address).await?;
        }
        if !address.is_tls {
            return Ok(Box::new(stream) as Box<dyn Stream>);
        }
        let name = ServerName::try_from(address.host.clone());
        let name = name.map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let stream = connector(address.pinned).connect(name, stream).await;
        Ok(Box::new(stream.map_err(explain)?) as Box<dyn Stream>)
    };
    timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .unwrap_or(Err(DialError::Timeout))
}

/// Connects to the first address of `host` that answers.
async fn connect(host: &str, port: u16, mark: Option<u32>) -> Result<TcpStream, DialError> {
    let failed = |source| DialError::Lookup {
        host: host.to_owned(),
        source,
    };
    let addresses = lookup_host((host, port)).await.map_err(failed)?;
    let mut last = failed(ErrorKind::NotFound.into());
    for address in addresses {
        match timeout(CONNECT_TIMEOUT, connect_to(address, mark)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => last = DialError::Connect { address, source },
            Err(_) => {
                let source = ErrorKind::TimedOut.into();
                last = DialError::Connect { address, source };
            }
        }
    }
    Err(last)
}

async fn connect_to(address: SocketAddr, mark: Option<u32>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if let Some(mark) = mark {
        SockRef::from(&socket).set_mark(mark)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}

/// Asks a proxy for a connection to the relay.
async fn ask<S: Stream>(
    stream: &mut S,
    proxy: &Proxy,
    address: &RelayAddress,
) -> Result<(), DialError> {
    let authority = address.authority();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(credentials) = &proxy.credentials {
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(credentials);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    match Response::read(stream).await? {
        // The relay waits for us to speak, so there is nothing yet behind the answer.
        Response { status, .. } if (200..300).contains(&status) => Ok(()),
        Response { status, .. } => Err(DialError::Proxy(status)),
    }
}

fn explain(error: io::Error) -> DialError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    let refused = CertificateError::ApplicationVerificationFailure;
    if tls == Some(&TlsError::InvalidCertificate(refused)) {
        return DialError::WrongCertificate;
    }
    DialError::Handshake(error)
}
