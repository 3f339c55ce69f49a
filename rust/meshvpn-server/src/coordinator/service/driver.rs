//! The task that owns the machine and the store.
//!
//! While a batch is being written, what arrives waits in the channel; then all of it is decided at once. So
//! the busier the coordinator is, the more goes into one write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use meshvpn_proto::control::messages::{CoordinatorMessage, NodeMessage, Reason, Refusal};
use meshvpn_proto::time::Now;
use tokio::sync::{mpsc, oneshot, watch};

use crate::coordinator::config::Config;
use crate::coordinator::request::{Request, RequestError, Response};
use crate::coordinator::store::{Batch, Outcome, Secrets, Snapshot, Store};
use crate::coordinator::{Arrival, Coordinator, Counters, Output, RequestId, SessionId};

/// Inputs that are taken before their consequences are drawn.
const AT_ONCE: usize = 1024;
/// How often others' changes are looked for.
const FOLLOW: Duration = Duration::from_secs(1);
/// A pause after the store has failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// What the driver is told.
#[derive(Debug)]
pub(super) enum Input {
    /// A channel is open; messages for the node go into the queue.
    Connect(SessionId, Arrival, mpsc::Sender<Arc<[u8]>>),
    Message(SessionId, NodeMessage),
    Disconnect(SessionId),
    Request(Request, oneshot::Sender<Result<Response, RequestError>>),
}

/// How a coordinator stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// What it has done.
    pub counters: Counters,
    /// Nodes that are connected to it.
    pub connected: usize,
    /// All nodes.
    pub nodes: usize,
    /// The number of the last change.
    pub version: u64,
    /// Connections that were closed because what waited for them had grown too long.
    pub too_slow: u64,
}

pub(super) struct Driver<S> {
    coordinator: Coordinator,
    store: S,
    inputs: mpsc::Receiver<Input>,
    queues: BTreeMap<SessionId, mpsc::Sender<Arc<[u8]>>>,
    replies: BTreeMap<RequestId, oneshot::Sender<Result<Response, RequestError>>>,
    requests: u64,
    too_slow: u64,
    figures: watch::Sender<Figures>,
}

impl<S: Store> Driver<S> {
    pub(super) fn new(
        config: Config,
        secrets: &Secrets,
        snapshot: Snapshot,
        store: S,
        inputs: mpsc::Receiver<Input>,
        figures: watch::Sender<Figures>,
    ) -> Self {
        Self {
            coordinator: Coordinator::new(now(), config, secrets, snapshot),
            store,
            inputs,
            queues: BTreeMap::new(),
            replies: BTreeMap::new(),
            requests: 0,
            too_slow: 0,
            figures,
        }
    }

    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        let mut follow = Instant::now() + FOLLOW;
        loop {
            self.work_off().await;
            self.publish();
            let timeout = self.coordinator.poll_timeout();
            let wake = timeout.map_or(follow, |at| at.min(follow));
            let received = self.inputs.recv_many(&mut batch, AT_ONCE);
            match tokio::time::timeout_at(wake.into(), received).await {
                Ok(0) => return,
                Ok(_) => batch.drain(..).for_each(|input| self.take(input)),
                Err(_) => {}
            }
            if timeout.is_some_and(|at| at <= Instant::now()) {
                self.coordinator.handle_timeout(now());
            }
            if follow <= Instant::now() {
                self.follow().await;
                follow = Instant::now() + FOLLOW;
            }
        }
    }

    /// Writes what is decided, until nothing is left to decide.
    async fn work_off(&mut self) {
        self.hand_out();
        while let Some(batch) = self.coordinator.poll_commit() {
            let outcome = self.commit(&batch).await;
            let has_failed = matches!(outcome, Outcome::Failed(_));
            self.coordinator.handle_outcome(now(), outcome);
            self.hand_out();
            if has_failed {
                tokio::time::sleep(STORE_PAUSE).await;
                return;
            }
        }
        self.hand_out();
    }

    async fn commit(&mut self, batch: &Batch) -> Outcome {
        let outcome = self.store.commit(batch).await;
        if let Outcome::Failed(reason) = &outcome {
            tracing::error!(
                "the store has not taken {} changes: {reason}",
                batch.changes.len()
            );
        }
        outcome
    }

    async fn follow(&mut self) {
        match self.store.changes_since(self.coordinator.version()).await {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => self.coordinator.handle_changes(now(), changes),
            Err(error) => tracing::error!("{error}"),
        }
    }

    fn take(&mut self, input: Input) {
        let now = now();
        match input {
            Input::Connect(session, arrival, queue) => {
                self.queues.insert(session, queue);
                self.coordinator.handle_connect(now, session, arrival);
            }
            Input::Message(session, message) => {
                self.coordinator.handle_message(now, session, message);
            }
            Input::Disconnect(session) => {
                self.queues.remove(&session);
                self.coordinator.handle_disconnect(now, session);
            }
            Input::Request(request, reply) => {
                self.requests += 1;
                let id = RequestId(self.requests);
                self.replies.insert(id, reply);
                self.coordinator.handle_request(now, id, request);
            }
        }
    }

    fn hand_out(&mut self) {
        while let Some(output) = self.coordinator.poll_output() {
            match output {
                Output::Send(session, message) => self.send(session, message),
                // The connection's task sends what is still in its queue, and ends.
                Output::Close(session) => drop(self.queues.remove(&session)),
                Output::Answer(id, answer) => {
                    if let Some(reply) = self.replies.remove(&id) {
                        // Whoever asked may have gone.
                        let _ = reply.send(answer);
                    }
                }
                Output::Note(note) => tracing::info!("{note}"),
            }
        }
    }

    /// Never waits: who takes too little is cut off, and resumes when it comes back.
    fn send(&mut self, session: SessionId, message: Arc<[u8]>) {
        let Some(queue) = self.queues.get(&session) else {
            return;
        };
        if queue.try_send(message).is_err() {
            self.too_slow += 1;
            self.queues.remove(&session);
            self.coordinator.handle_disconnect(now(), session);
        }
    }

    fn publish(&self) {
        self.figures.send_replace(Figures {
            counters: self.coordinator.counters(),
            connected: self.coordinator.connected(),
            nodes: self.coordinator.nodes(),
            version: self.coordinator.version(),
            too_slow: self.too_slow,
        });
    }
}

/// What is said to a node whose queue was full, when it gets to it.
pub(super) fn too_slow() -> Vec<u8> {
    let text = "the connection takes too little: what waited for it was dropped";
    let refusal = Refusal::new(Reason::TooSlow, text).retry_after(1);
    CoordinatorMessage::Refused(refusal).to_json()
}

fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
    }
}
