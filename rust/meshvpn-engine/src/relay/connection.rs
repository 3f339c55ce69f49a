//! One connection, from log-in to its end.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use meshvpn_proto::forward::{Arrival, Path};
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::client::{Client, ClientError, Event};
use meshvpn_proto::relay::frame::{HEADER_LEN, MAX_BODY};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio::time::sleep_until;
use tracing::{debug, warn};

use super::dial::{DialError, Stream};
use super::port::RelayPort;
use super::{RelayEventKind, Shared};

/// Bytes read at once: three of the data plane's batches, and more than the longest frame.
const BUFFER_LEN: usize = 192 << 10;
const _: () = assert!(BUFFER_LEN > HEADER_LEN + MAX_BODY);
/// Packets handed over at once.
const MOST_ARRIVALS: usize = 256;

/// Why a connection ended, or was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// It was not made.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The relay breaks the protocol, or says nothing.
    #[error(transparent)]
    Protocol(#[from] ClientError),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The relay closed it.
    #[error("the relay closed the connection")]
    Closed,
}

/// A connection that is being used.
pub(super) struct Connection<'a> {
    shared: &'a Shared,
    place: usize,
    port: &'a RelayPort,
    client: RefCell<Client>,
    /// The client has something to write, or another time to be woken at.
    changed: Notify,
    timer: Notify,
    /// The relay has said when to come back.
    reconnect_in: RefCell<Option<Duration>>,
}

impl<'a> Connection<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        place: usize,
        port: &'a RelayPort,
        nonce: [u8; 24],
    ) -> Self {
        let client = Client::new(Instant::now(), shared.key.clone(), nonce);
        Self {
            shared,
            place,
            port,
            client: RefCell::new(client),
            changed: Notify::new(),
            timer: Notify::new(),
            reconnect_in: RefCell::new(None),
        }
    }

    /// Packets pass.
    pub(super) fn is_ready(&self) -> bool {
        self.client.borrow().is_ready()
    }

    /// When the relay wants us back, if it has said so.
    pub(super) fn reconnect_in(&self) -> Option<Duration> {
        *self.reconnect_in.borrow()
    }

    /// Says whether this relay is the node's home.
    pub(super) fn set_home(&self, is_home: bool) {
        if self.is_ready() {
            self.client.borrow_mut().note_preferred(is_home);
            self.changed.notify_one();
        }
    }

    /// Uses `stream`, whose first bytes are `unread`, to its end.
    pub(super) async fn run(
        &self,
        stream: Box<dyn Stream>,
        unread: Vec<u8>,
        on_ready: &dyn Fn(&Self, PublicKey),
    ) -> ConnectionError {
        let (reading, writing) = split(stream);
        // All in one task: what one of them does for the other wakes nobody.
        let result = tokio::select! {
            result = self.read(reading, unread, on_ready) => result,
            result = self.write(writing) => result,
            result = self.keep_time() => result,
        };
        match result {
            Ok(()) => ConnectionError::Closed,
            Err(error) => error,
        }
    }

    async fn read(
        &self,
        mut stream: ReadHalf<Box<dyn Stream>>,
        unread: Vec<u8>,
        on_ready: &dyn Fn(&Self, PublicKey),
    ) -> Result<(), ConnectionError> {
        let mut buffer = vec![0; BUFFER_LEN.max(unread.len())];
        buffer[..unread.len()].copy_from_slice(&unread);
        let mut filled = unread.len();
        loop {
            let used = self.handle_bytes(&buffer[..filled], on_ready)?;
            buffer.copy_within(used..filled, 0);
            filled -= used;
            match read_much(&mut stream, &mut buffer[filled..]).await? {
                0 => return Ok(()),
                read => filled += read,
            }
        }
    }

    /// Handles all whole frames; returns how many bytes they were.
    fn handle_bytes(
        &self,
        bytes: &[u8],
        on_ready: &dyn Fn(&Self, PublicKey),
    ) -> Result<usize, ConnectionError> {
        let now = Instant::now();
        let mut rest = bytes;
        let mut arrivals = Vec::new();
        let mut last: Option<(PublicKey, Path)> = None;
        loop {
            let event = self.client.borrow_mut().next(now, &mut rest)?;
            match event {
                Some(Event::Packet { source, packet }) => {
                    let path = match last {
                        Some((known, path)) if known == source => Some(path),
                        _ => self.path_of(source),
                    };
                    // Whom we do not know, we have nothing to do with.
                    let Some(path) = path else { continue };
                    last = Some((source, path));
                    arrivals.push(Arrival {
                        bytes: packet,
                        segment_size: packet.len(),
                        source: path.destination,
                        socket: path.socket,
                        local: None,
                        is_truncated: false,
                    });
                    if arrivals.len() == MOST_ARRIVALS {
                        self.shared.sink.borrow_mut().receive(&arrivals)?;
                        arrivals.clear();
                    }
                }
                Some(event) => self.handle_event(event, on_ready),
                None => break,
            }
        }
        if !arrivals.is_empty() {
            self.shared.sink.borrow_mut().receive(&arrivals)?;
        }
        self.changed.notify_one();
        Ok(bytes.len() - rest.len())
    }

    fn path_of(&self, source: PublicKey) -> Option<Path> {
        let number = self.shared.peers.number(&source)?;
        Some(Path::relayed(self.place, number))
    }

    fn handle_event(&self, event: Event<'_>, on_ready: &dyn Fn(&Self, PublicKey)) {
        match event {
            Event::Ready { relay, .. } => on_ready(self, relay),
            Event::PeerGone { peer, reason } => {
                if let Some(number) = self.shared.peers.number(&peer) {
                    let kind = RelayEventKind::PeerGone { number, reason };
                    self.shared.tell(self.place, kind);
                }
            }
            Event::Health("") => debug!(place = self.place, "the relay finds nothing wrong"),
            Event::Health(problem) => warn!(place = self.place, problem, "the relay complains"),
            Event::Restarting { reconnect_in, .. } => {
                *self.reconnect_in.borrow_mut() = Some(reconnect_in);
            }
            Event::Pong { round_trip } => {
                self.shared
                    .tell(self.place, RelayEventKind::RoundTrip(round_trip));
            }
            _ => {}
        }
    }

    async fn write(&self, mut stream: WriteHalf<Box<dyn Stream>>) -> Result<(), ConnectionError> {
        let mut output = Vec::new();
        loop {
            let mut has_packets = false;
            {
                let mut client = self.client.borrow_mut();
                while let Some(frame) = client.poll_transmit() {
                    output.extend_from_slice(&frame);
                }
                if client.is_ready() {
                    has_packets = self.port.take_into(&mut output);
                }
            }
            if output.is_empty() {
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = self.port.wait(), if self.is_ready() => {}
                }
                continue;
            }
            stream.write_all(&output).await?;
            stream.flush().await?;
            output.clear();
            if has_packets {
                self.note_sent();
            }
        }
    }

    fn note_sent(&self) {
        let mut client = self.client.borrow_mut();
        let before = client.poll_timeout();
        client.note_sent(Instant::now());
        if client.poll_timeout() != before {
            self.timer.notify_one();
        }
    }

    /// Beside the others, so that time passes also while a write does not.
    async fn keep_time(&self) -> Result<(), ConnectionError> {
        loop {
            let wake = self.client.borrow().poll_timeout();
            tokio::select! {
                () = sleep_until(wake.into()) => {
                    self.client.borrow_mut().handle_timeout(Instant::now())?;
                    self.changed.notify_one();
                }
                () = self.timer.notified() => {}
            }
        }
    }
}

/// Reads until there is no more or `buffer` is full: a TLS record is only a part of a batch.
async fn read_much<S: AsyncRead>(stream: &mut ReadHalf<S>, buffer: &mut [u8]) -> io::Result<usize> {
    if buffer.is_empty() {
        // The longest frame fits, so it is none of a relay's.
        return Err(ErrorKind::InvalidData.into());
    }
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
