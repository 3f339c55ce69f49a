//! One client's connection: log-in, and then reading and writing side by side.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::frame::{HEADER_LEN, MAX_BODY};
use meshvpn_proto::relay::server::{ClientId, Hello, Login};
use meshvpn_proto::relay::{LOGIN_TIMEOUT, VERSION};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf, split,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use super::clients::Writer;
use super::{Inner, random};

/// Bytes read at once from a client that has little to say.
const LEAST_BUFFER: usize = 4 << 10;
/// And from one that has much: nearly three of the data plane's batches, and more than the longest frame.
const MOST_BUFFER: usize = 192 << 10;
const _: () = assert!(MOST_BUFFER > HEADER_LEN + MAX_BODY);
/// How long a client may take none of what it is sent, before its connection is taken for dead.
const STALL: Duration = Duration::from_secs(15);
/// What a client keeps of a long output's memory.
const OUTPUT_KEPT: usize = 128 << 10;

pub(super) async fn serve<S>(
    relay: &Inner,
    mut stream: S,
    remote: SocketAddr,
    is_fast: bool,
    permit: OwnedSemaphorePermit,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (client, unread) = timeout(LOGIN_TIMEOUT, log_in(relay, &mut stream, is_fast)).await??;
    drop(permit);
    if !is_allowed(relay, &client, remote).await {
        return Ok(());
    }
    let (id, writer) = relay.clients.add(client).map_err(|full| {
        warn!(%remote, %client, %full, "client refused");
        io::Error::other(full)
    })?;
    let _leaving = Leaving { relay, id };
    info!(%remote, %client, "client connected");
    let result = exchange(relay, id, &writer, stream, &client, unread).await;
    match &result {
        Ok(()) => info!(%remote, %client, "client left"),
        Err(error) => info!(%remote, %client, %error, "client lost"),
    }
    result
}

/// Removes the client however its connection ends.
struct Leaving<'a> {
    relay: &'a Inner,
    id: ClientId,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.relay.clients.remove(self.id);
    }
}

/// Answers the upgrade, and finds out who has come; returns also what it has said since.
async fn log_in<S>(relay: &Inner, stream: &mut S, is_fast: bool) -> io::Result<(PublicKey, Vec<u8>)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let login = Login::new(relay.key.clone());
    let mut greeting = Vec::new();
    if !is_fast {
        let key = relay.key.public_key().to_hex();
        greeting.extend_from_slice(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\
                 Derp-Version: {VERSION}\r\nDerp-Public-Key: {key}\r\n\r\n"
            )
            .as_bytes(),
        );
    }
    greeting.extend(login.greeting());
    stream.write_all(&greeting).await?;
    stream.flush().await?;
    let mut bytes = Vec::with_capacity(512);
    loop {
        let hello = login.handle_bytes(&bytes).map_err(invalid)?;
        if let Some(Hello { key, consumed, .. }) = hello {
            return Ok((key, bytes.split_off(consumed)));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn is_allowed(relay: &Inner, client: &PublicKey, remote: SocketAddr) -> bool {
    let Some(verifier) = &relay.verifier else {
        return true;
    };
    match verifier.verify(client).await {
        Ok(true) => true,
        Ok(false) => {
            info!(%remote, %client, "client refused: it is no node of the mesh");
            false
        }
        Err(error) => {
            warn!(%remote, %client, %error, "client refused: nobody can say whether it may come");
            false
        }
    }
}

async fn exchange<S>(
    relay: &Inner,
    id: ClientId,
    writer: &Writer,
    stream: S,
    client: &PublicKey,
    unread: Vec<u8>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reading, mut writing) = split(stream);
    let answer = Login::new(relay.key.clone()).answer(client, &relay.limits, random()?);
    write(&mut writing, &answer).await?;
    // Both in this task: what one of them does for the other wakes nobody.
    tokio::select! {
        result = read_all(relay, id, reading, unread) => result,
        result = write_all(relay, id, writer, writing) => result,
    }
}

async fn read_all<S: AsyncRead>(
    relay: &Inner,
    id: ClientId,
    mut stream: ReadHalf<S>,
    mut buffer: Vec<u8>,
) -> io::Result<()> {
    let mut filled = buffer.len();
    buffer.resize(filled.max(LEAST_BUFFER), 0);
    loop {
        let progress = relay
            .clients
            .handle_bytes(id, &mut buffer[..filled])
            .map_err(invalid)?;
        let was_full = filled == buffer.len();
        buffer.copy_within(progress.consumed..filled, 0);
        filled -= progress.consumed;
        if was_full && buffer.len() < MOST_BUFFER {
            buffer.resize((buffer.len() * 2).min(MOST_BUFFER), 0);
        }
        if let Some(at) = progress.pause_until {
            sleep_until(at.into()).await;
        }
        match read_much(&mut stream, &mut buffer[filled..]).await? {
            0 => return Ok(()),
            read => filled += read,
        }
    }
}

/// Reads until there is no more or `buffer` is full: a TLS record is only a part of a batch.
async fn read_much<S: AsyncRead>(stream: &mut ReadHalf<S>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut buffer = ReadBuf::new(buffer);
    poll_fn(|cx| {
        while buffer.remaining() > 0 {
            let before = buffer.filled().len();
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > before => {}
                Poll::Ready(Err(error)) if before == 0 => return Poll::Ready(Err(error)),
                Poll::Pending if before == 0 => return Poll::Pending,
                // The end or an error is met again, when what was read has been handled.
                _ => break,
            }
        }
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

async fn write_all<S: AsyncWrite>(
    relay: &Inner,
    id: ClientId,
    writer: &Writer,
    mut stream: WriteHalf<S>,
) -> io::Result<()> {
    let mut output = Vec::new();
    loop {
        while relay.clients.take_output(id, &mut output) {
            write(&mut stream, &output).await?;
            output.clear();
        }
        output.shrink_to(OUTPUT_KEPT);
        if !writer.wait().await {
            return Err(io::Error::other("too many newer connections have its key"));
        }
    }
}

/// Writes all of `bytes`, as slowly as the client likes, as long as it takes some.
async fn write<S: AsyncWrite>(stream: &mut WriteHalf<S>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match timeout(STALL, stream.write(bytes)).await?? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    timeout(STALL, stream.flush()).await?
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
