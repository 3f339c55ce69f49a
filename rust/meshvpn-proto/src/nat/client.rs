//! The asking half of STUN: binding requests, repeated until answered or given up.
//!
//! Any number of questions may be under way, from any of the owner's sockets to any server. Drive it like
//! every machine here: after each `handle_*` call and each [`Client::ask`], drain
//! [`poll_transmit`](Client::poll_transmit) and [`poll_event`](Client::poll_event), then sleep until
//! [`poll_timeout`](Client::poll_timeout).

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::Transmit;
use super::message::{Binding, Change, Message, Refusal, Request, TransactionId};
use crate::forward::Path;
use crate::noise::entropy::Entropy;

/// After this, a request is sent for the second time; each further wait is twice as long. RFC 8489 has 500 ms,
/// which is longer than a person notices; servers are few and requests small.
pub const FIRST_WAIT: Duration = Duration::from_millis(100);
/// After this, a question is given up, unless it says otherwise: five requests.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// What to ask, and whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// From which socket, by the owner's number.
    pub socket: usize,
    /// From which address of it, where it has several.
    pub source: Option<IpAddr>,
    /// The server.
    pub server: SocketAddr,
    /// From where the answer shall come.
    pub change: Change,
    /// When to give up.
    pub patience: Duration,
}

impl Question {
    /// Where does `server` see the datagrams of `socket` come from?
    pub fn new(socket: usize, server: SocketAddr) -> Self {
        Self {
            socket,
            source: None,
            server,
            change: Change::NONE,
            patience: PATIENCE,
        }
    }

    /// The same, answered from elsewhere.
    pub fn with_change(self, change: Change) -> Self {
        Self { change, ..self }
    }

    /// The same, given up after `patience`.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// A question's number, counted from 0 for each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// A question has come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which.
    pub id: QuestionId,
    /// What was asked.
    pub question: Question,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a question ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// By an answer.
    Answered(Answer),
    /// The server would not.
    Refused(Refusal),
    /// Nothing came back.
    Unanswered,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What the server saw.
    pub binding: Binding,
    /// Where the answer came from.
    pub from: SocketAddr,
    /// From the first request to the answer: at most this long is the way there and back.
    pub round_trip: Duration,
}

/// Why the client wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// When to send a request again.
    Repeat,
    /// When to give a question up.
    GiveUp,
}

/// Asks STUN servers.
#[derive(Debug)]
pub struct Client {
    entropy: Entropy,
    next_id: u64,
    pending: BTreeMap<TransactionId, Pending>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct Pending {
    id: QuestionId,
    question: Question,
    asked_at: Instant,
    repeat_at: Instant,
    wait: Duration,
}

impl Client {
    /// `seed` must come from a cryptographic source: who can guess it can answer for the servers.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            entropy: Entropy::new(seed),
            next_id: 0,
            pending: BTreeMap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Asks; the answer comes as an [`Event`] of this number.
    pub fn ask(&mut self, now: Instant, question: Question) -> QuestionId {
        let id = QuestionId(self.next_id);
        self.next_id += 1;
        let drawn = self.entropy.draw();
        let transaction = TransactionId(*drawn.first_chunk().expect("32 bytes have 12"));
        let pending = Pending {
            id,
            question,
            asked_at: now,
            repeat_at: now + FIRST_WAIT,
            wait: FIRST_WAIT,
        };
        self.transmits.push_back(pending.transmit(transaction));
        self.pending.insert(transaction, pending);
        id
    }

    /// Takes a datagram that came by `path` (whose destination is the sender); true when it answers one of
    /// our questions.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> bool {
        let Some(Message::Response(response)) = Message::parse(datagram) else {
            return false;
        };
        let Some(pending) = self.pending.get(&response.transaction) else {
            return false;
        };
        let Question {
            socket,
            server,
            change,
            ..
        } = pending.question;
        // Only an answer that was asked to come from elsewhere may.
        let is_from_server = change != Change::NONE || path.destination == server;
        if path.socket != socket || !is_from_server {
            return false;
        }
        let outcome = match response.outcome {
            Ok(binding) => Outcome::Answered(Answer {
                binding,
                from: path.destination,
                round_trip: now.saturating_duration_since(pending.asked_at),
            }),
            Err(refusal) => Outcome::Refused(refusal),
        };
        self.end(response.transaction, outcome);
        true
    }

    /// Sends again what is due, and gives up what is hopeless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let hopeless: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| now >= pending.give_up_at())
            .map(|(transaction, _)| *transaction)
            .collect();
        for transaction in hopeless {
            self.end(transaction, Outcome::Unanswered);
        }
        for (transaction, pending) in &mut self.pending {
            if now >= pending.repeat_at {
                pending.wait *= 2;
                pending.repeat_at = now + pending.wait;
                self.transmits.push_back(pending.transmit(*transaction));
            }
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next question that has come to its end.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let timers = self.pending.values().map(|pending| {
            if pending.repeat_at < pending.give_up_at() {
                (pending.repeat_at, Timer::Repeat)
            } else {
                (pending.give_up_at(), Timer::GiveUp)
            }
        });
        timers.min_by_key(|(at, _)| *at)
    }

    /// Whether a request with this ID is one of ours and still open: it has come back to us.
    pub fn has_asked(&self, transaction: TransactionId) -> bool {
        self.pending.contains_key(&transaction)
    }

    /// How many questions are open.
    pub fn open(&self) -> usize {
        self.pending.len()
    }

    fn end(&mut self, transaction: TransactionId, outcome: Outcome) {
        if let Some(Pending { id, question, .. }) = self.pending.remove(&transaction) {
            let event = Event {
                id,
                question,
                outcome,
            };
            self.events.push_back(event);
        }
    }
}

impl Pending {
    fn give_up_at(&self) -> Instant {
        self.asked_at + self.question.patience
    }

    fn transmit(&self, transaction: TransactionId) -> Transmit {
        let Question {
            socket,
            source,
            server,
            change,
            ..
        } = self.question;
        Transmit {
            path: Path {
                socket,
                source,
                destination: server,
            },
            datagram: Request::new(transaction, change).encode(),
        }
    }
}
