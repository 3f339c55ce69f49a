//! A node's WebSocket, one task each: the channel's bytes in and out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use meshvpn_proto::control::channel::LONGEST_FRAME;
use meshvpn_proto::control::messages::NodeMessage;
use meshvpn_proto::keys::PrivateKey;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::Service;
use super::driver::{Input, too_slow};
use crate::coordinator::connection::{Connection, Step};
use crate::coordinator::{Arrival, SessionId};
use crate::http::Peer;

/// Messages that may wait for one node.
const QUEUE: usize = 1024;
/// For a node to take one message.
const SEND: Duration = Duration::from_secs(10);
/// Connections that have not yet shown who they are.
const MOST_STRANGERS: usize = 512;

/// What all connections share.
#[derive(Clone)]
struct Sockets {
    service: Service,
    next: Arc<AtomicU64>,
    strangers: Arc<AtomicUsize>,
}

pub(super) fn router(service: Service) -> Router {
    let sockets = Sockets {
        service,
        next: Arc::default(),
        strangers: Arc::default(),
    };
    Router::new()
        .route("/control", get(upgrade))
        .with_state(sockets)
}

async fn upgrade(
    State(sockets): State<Sockets>,
    Extension(peer): Extension<Peer>,
    socket: WebSocketUpgrade,
) -> Response {
    if sockets.strangers.load(Ordering::Relaxed) >= MOST_STRANGERS {
        let text = "too many connections that have not said who they are: try again\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    socket
        .max_message_size(LONGEST_FRAME)
        .max_frame_size(LONGEST_FRAME)
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .on_upgrade(move |socket| async move {
            let stranger = Stranger::new(&sockets.strangers);
            if let Some(task) = Task::new(sockets.service, &sockets.next, peer, stranger) {
                task.run(socket).await;
            }
        })
}

/// Counts a connection as long as it has not shown who it is.
struct Stranger(Arc<AtomicUsize>);

impl Stranger {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Task {
    service: Service,
    session: SessionId,
    peer: Peer,
    connection: Connection,
    queue: Option<mpsc::Receiver<Arc<[u8]>>>,
    stranger: Option<Stranger>,
    is_refused: bool,
}

impl Task {
    fn new(service: Service, next: &AtomicU64, peer: Peer, stranger: Stranger) -> Option<Self> {
        let mut ephemeral = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *ephemeral).ok()?;
        let identity = Arc::clone(&service.identity);
        let ephemeral = PrivateKey::new(*ephemeral);
        Some(Self {
            service,
            session: SessionId(next.fetch_add(1, Ordering::Relaxed)),
            peer,
            connection: Connection::new(Instant::now(), identity, ephemeral),
            queue: None,
            stranger: Some(stranger),
            is_refused: false,
        })
    }

    async fn run(mut self, mut socket: WebSocket) {
        self.converse(&mut socket).await;
        if self.queue.is_some() {
            // The driver outlives its connections, or needs no telling.
            let _ = self
                .service
                .inputs
                .send(Input::Disconnect(self.session))
                .await;
        }
        let _ = tokio::time::timeout(SEND, socket.send(Message::Close(None))).await;
    }

    async fn converse(&mut self, socket: &mut WebSocket) {
        loop {
            let deadline = self.connection.poll_timeout();
            tokio::select! {
                received = socket.recv() => {
                    let Some(Ok(message)) = received else { return };
                    match message {
                        Message::Binary(bytes) => {
                            if !self.take(socket, &bytes).await {
                                return;
                            }
                        }
                        Message::Text(_) | Message::Close(_) => return,
                        Message::Ping(_) | Message::Pong(_) => {}
                    }
                }
                message = next(&mut self.queue) => match message {
                    Some(message) => {
                        self.is_refused = message.starts_with(br#"{"type":"refused""#);
                        if !self.send(socket, &message).await {
                            return;
                        }
                    }
                    None => {
                        if !self.is_refused {
                            self.send(socket, &too_slow()).await;
                        }
                        return;
                    }
                },
                () = tokio::time::sleep_until(deadline.into()) => return,
            }
        }
    }

    /// Takes bytes of the node; false when that was the end.
    async fn take(&mut self, socket: &mut WebSocket, bytes: &[u8]) -> bool {
        match self.connection.handle_message(Instant::now(), bytes) {
            Step::Wait => true,
            Step::Answer(answer) => put(socket, answer).await,
            Step::Message(machine_key, message) => {
                if self.queue.is_none() && !self.arrive(machine_key).await {
                    return false;
                }
                self.tell(message).await
            }
            Step::End(frames, reason) => {
                tracing::info!("connection from {} ended: {reason}", self.peer.address);
                for frame in frames {
                    put(socket, frame).await;
                }
                false
            }
        }
    }

    /// The channel is proven to be fresh: the coordinator learns of it.
    async fn arrive(&mut self, machine_key: meshvpn_proto::keys::PublicKey) -> bool {
        self.stranger = None;
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.queue = Some(receiver);
        let arrival = Arrival {
            machine_key,
            address: self.peer.address.ip().to_canonical(),
        };
        let input = Input::Connect(self.session, arrival, sender);
        self.service.inputs.send(input).await.is_ok()
    }

    async fn tell(&mut self, message: NodeMessage) -> bool {
        let input = Input::Message(self.session, message);
        self.service.inputs.send(input).await.is_ok()
    }

    async fn send(&mut self, socket: &mut WebSocket, message: &[u8]) -> bool {
        for frame in self.connection.seal(message) {
            if !put(socket, frame).await {
                return false;
            }
        }
        true
    }
}

/// The next message for the node; never comes before it has arrived.
async fn next(queue: &mut Option<mpsc::Receiver<Arc<[u8]>>>) -> Option<Arc<[u8]>> {
    match queue {
        Some(queue) => queue.recv().await,
        None => core::future::pending().await,
    }
}

async fn put(socket: &mut WebSocket, frame: Vec<u8>) -> bool {
    let sent = tokio::time::timeout(SEND, socket.send(Message::Binary(frame.into()))).await;
    matches!(sent, Ok(Ok(())))
}
