//! The little HTTP there is: asking for the upgrade, and measuring how far a relay is.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::RelaySettings;
use super::address::RelayAddress;
use super::dial::{DialError, Stream, dial};

/// Longest head of an answer.
const MOST_HEAD: usize = 16 << 10;
/// Most header fields.
const MOST_FIELDS: usize = 64;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The head of an answer, and what came behind it.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) rest: Vec<u8>,
}

impl Response {
    pub(super) async fn read<S: Stream + ?Sized>(stream: &mut S) -> io::Result<Self> {
        Self::read_on(stream, Vec::new()).await
    }

    /// Reads on where `bytes` end.
    async fn read_on<S: Stream + ?Sized>(stream: &mut S, mut bytes: Vec<u8>) -> io::Result<Self> {
        loop {
            if let Some((status, len)) = parse(&bytes)? {
                let rest = bytes.split_off(len);
                return Ok(Self { status, rest });
            }
            if bytes.len() >= MOST_HEAD {
                return Err(invalid("an HTTP head without end"));
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Asks for the upgrade; returns what the relay has said already. With `is_fast`, it need not answer the question
/// itself, which saves a round trip; relays that do not know of that answer even so.
pub(super) async fn upgrade<S: Stream + ?Sized>(
    stream: &mut S,
    address: &RelayAddress,
    is_fast: bool,
) -> Result<Vec<u8>, DialError> {
    let host = address.authority();
    let fast = if is_fast {
        "Derp-Fast-Start: 1\r\n"
    } else {
        ""
    };
    let request = format!(
        "GET /derp HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n{fast}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let answer = async {
        let mut bytes = Vec::with_capacity(512);
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(DialError::Handshake(ErrorKind::UnexpectedEof.into()));
        }
        // A relay that answers with HTTP begins with a letter, and its greeting does not.
        if is_fast && bytes[0] != b'H' {
            return Ok(bytes);
        }
        match Response::read_on(stream, bytes).await? {
            Response { status: 101, rest } => Ok(rest),
            Response { status, .. } => Err(DialError::Refused(status)),
        }
    };
    timeout(PATIENCE, answer)
        .await
        .unwrap_or(Err(DialError::Timeout))
}

/// How long a request takes on a connection that is there already: a round trip.
pub(super) async fn measure(
    address: &RelayAddress,
    settings: &RelaySettings,
) -> Result<Duration, DialError> {
    let mut stream = dial(address, settings).await?;
    let host = address.authority();
    let request = format!("GET /derp/probe HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let left = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let response = timeout(PATIENCE, Response::read(&mut *stream)).await;
    match response.map_err(|_| DialError::Timeout)?? {
        Response { status: 200, .. } => Ok(left.elapsed()),
        Response { status, .. } => Err(DialError::Refused(status)),
    }
}

/// Status and length of a head; `None` while it is not whole.
fn parse(bytes: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => Ok(response.code.map(|status| (status, len))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(invalid("no HTTP")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the server answers {what}"))
}
