//! Datagrams and streams from those who ask.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use meshvpn_proto::dns::{Question, Transport, Verdict, Zone};
use meshvpn_proto::route::Prefix;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::Counters;
use super::exchange::framed;

/// Longest datagram that is read whole: questions have some hundred bytes.
const DATAGRAM_MAX: usize = 4096;
/// Streams at once; who comes later waits.
const STREAMS_MAX: usize = 64;
/// How long a stream may say nothing, or take nothing (RFC 7766, section 6.2.3: a few seconds).
const STREAM_PATIENCE: Duration = Duration::from_secs(10);
/// Answers that a stream has not taken yet.
const STREAM_ANSWERS: usize = 32;
/// How long to wait after the system has refused something, lest we ask it without end.
const PAUSE: Duration = Duration::from_millis(50);

/// Where an answer goes.
#[derive(Debug, Clone)]
pub(super) enum Client {
    Datagram {
        socket: Arc<UdpSocket>,
        to: SocketAddr,
    },
    Stream(mpsc::Sender<Vec<u8>>),
}

/// A question that others have to answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) client: Client,
    pub(super) question: Question,
    pub(super) message: Vec<u8>,
}

/// What all who serve clients share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) zone: Arc<ArcSwap<Zone>>,
    pub(super) counters: Arc<Counters>,
    pub(super) clients: Vec<Prefix>,
    pub(super) questions: mpsc::Sender<Asked>,
    pub(super) streams: Semaphore,
}

impl Desk {
    pub(super) fn new(
        zone: Arc<ArcSwap<Zone>>,
        counters: Arc<Counters>,
        clients: Vec<Prefix>,
        questions: mpsc::Sender<Asked>,
    ) -> Self {
        Self {
            zone,
            counters,
            clients,
            questions,
            streams: Semaphore::new(STREAMS_MAX),
        }
    }

    /// Deals with a message that came from `from` to our address `at`.
    fn handle(
        &self,
        from: SocketAddr,
        at: SocketAddr,
        client: Client,
        transport: Transport,
        message: &[u8],
    ) {
        let verdict = self.zone.load().judge(message, transport);
        let reply = match verdict {
            Verdict::Refuse(reply) => {
                Counters::count(&self.counters.refused);
                reply
            }
            _ if !self.may_ask(from, at) => {
                Counters::count(&self.counters.refused);
                let question = Question::parse(message, transport);
                question.map(|question| question.refused()).ok()
            }
            Verdict::Answer(reply) => {
                Counters::count(&self.counters.answered);
                Some(reply)
            }
            Verdict::Forward(question) => {
                let asked = Asked {
                    client: client.clone(),
                    question,
                    message: message.to_vec(),
                };
                match self.questions.try_send(asked) {
                    Ok(()) => None,
                    Err(error) => {
                        Counters::count(&self.counters.failed);
                        Some(error.into_inner().question.failed())
                    }
                }
            }
        };
        if let Some(reply) = reply {
            client.send(reply);
        }
    }

    /// Whether somebody is on this host, or named in the configuration.
    fn may_ask(&self, from: SocketAddr, at: SocketAddr) -> bool {
        let from = from.ip();
        from.is_loopback()
            || from == at.ip()
            || self.clients.iter().any(|prefix| prefix.contains(from))
    }
}

impl Client {
    /// Sends an answer. One that the client does not take is lost: it will ask again.
    pub(super) fn send(&self, answer: Vec<u8>) {
        match self {
            Self::Datagram { socket, to } => {
                if let Err(error) = socket.try_send_to(&answer, *to) {
                    debug!(%error, "an answer to {to} was lost");
                }
            }
            Self::Stream(answers) => {
                let _ = answers.try_send(answer);
            }
        }
    }
}

/// Whether it is the same client, for whom one answer is enough.
impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Datagram { socket, to },
                Self::Datagram {
                    socket: other,
                    to: too,
                },
            ) => Arc::ptr_eq(socket, other) && to == too,
            (Self::Stream(answers), Self::Stream(others)) => answers.same_channel(others),
            _ => false,
        }
    }
}

/// Serves datagrams for ever.
pub(super) async fn serve_datagrams(desk: Arc<Desk>, socket: Arc<UdpSocket>, at: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((len, from)) => {
                let socket = Arc::clone(&socket);
                let client = Client::Datagram { socket, to: from };
                desk.handle(from, at, client, Transport::Udp, &buffer[..len]);
            }
            Err(error) => {
                debug!(%error, "{at}: nothing could be received");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Serves streams for ever.
pub(super) async fn serve_streams(desk: Arc<Desk>, listener: TcpListener, at: SocketAddr) {
    loop {
        // Never closed: this waits for room.
        let Ok(room) = desk.streams.acquire().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                room.forget();
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    let outcome = converse(&desk, stream, from, at).await;
                    desk.streams.add_permits(1);
                    if let Err(error) = outcome {
                        debug!(%error, "the stream from {from} ended");
                    }
                });
            }
            Err(error) => {
                drop(room);
                debug!(%error, "{at}: nobody could be let in");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(
    desk: &Desk,
    stream: TcpStream,
    from: SocketAddr,
    at: SocketAddr,
) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let (answers, waiting) = mpsc::channel(STREAM_ANSWERS);
    // Whichever ends first: a client that takes no answers is heard no more, either.
    tokio::select! {
        outcome = read_all(desk, reader, from, at, answers) => outcome,
        outcome = write_all(writer, waiting) => outcome,
    }
}

async fn read_all(
    desk: &Desk,
    mut reader: OwnedReadHalf,
    from: SocketAddr,
    at: SocketAddr,
    answers: mpsc::Sender<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let message = timeout(STREAM_PATIENCE, async {
            let mut message = vec![0; usize::from(reader.read_u16().await?)];
            reader.read_exact(&mut message).await?;
            io::Result::Ok(message)
        });
        let message = message.await??;
        let client = Client::Stream(answers.clone());
        desk.handle(from, at, client, Transport::Tcp, &message);
    }
}

async fn write_all(
    mut writer: OwnedWriteHalf,
    mut answers: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(answer) = answers.recv().await {
        timeout(STREAM_PATIENCE, writer.write_all(&framed(&answer))).await??;
    }
    Ok(())
}
