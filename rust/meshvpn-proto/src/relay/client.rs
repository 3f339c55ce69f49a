//! The client's half of a connection to a relay, from the relay's first frame on.
//!
//! Whoever has the socket gives what arrives to [`Client::next`], frame by frame, until there is no whole one
//! left; writes what [`Client::poll_transmit`] gives; and calls [`Client::handle_timeout`] when
//! [`Client::poll_timeout`] says so. Packets to send do not come past here: they wait in a
//! [`FrameQueue`](super::queue::FrameQueue), and whoever writes them [says so](Client::note_sent).

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use super::boxes::{self, BoxError, ClientInfo, NONCE_LEN, ServerInfo};
use super::frame::{Frame, FrameError, GoneReason};
use super::{LOGIN_TIMEOUT, SILENCE, VERSION};
use crate::keys::{PrivateKey, PublicKey};

/// When something was sent and nothing has been heard for so long, the relay is asked whether it is there.
/// An idle connection costs nothing.
const DOUBT: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const PONG_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers that may wait to be written; a relay that asks for more gets none.
const MAX_TRANSMITS: usize = 16;

/// A connection to a relay.
#[derive(Debug)]
pub struct Client {
    key: PrivateKey,
    nonce: [u8; NONCE_LEN],
    relay: Option<PublicKey>,
    state: State,
    heard: Instant,
    /// The first time that something was sent since then.
    sent: Option<Instant>,
    /// A ping that was not answered yet, and when it left.
    ping: Option<(u64, Instant)>,
    pings: u64,
    transmits: VecDeque<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The relay is to say its key.
    Greeting,
    /// And then what it offers.
    Login,
    Ready,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Packets can be sent and received from now on.
    Ready {
        /// The relay's key.
        relay: PublicKey,
        /// What it offers.
        info: ServerInfo,
    },
    /// A packet from a peer.
    Packet {
        /// Who sent it, as the relay says.
        source: PublicKey,
        /// Whatever it is.
        packet: &'a [u8],
    },
    /// A peer cannot be reached through this relay, or no longer.
    PeerGone {
        /// Which peer.
        peer: PublicKey,
        /// Why.
        reason: GoneReason,
    },
    /// What is wrong with the connection, as the relay sees it; empty when nothing is.
    Health(&'a str),
    /// The relay is about to restart: come back after this time.
    Restarting {
        /// When to come back.
        reconnect_in: Duration,
        /// How long to keep trying.
        try_for: Duration,
    },
    /// The relay has answered.
    Pong {
        /// How long that took.
        round_trip: Duration,
    },
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// What it sends is no frame.
    #[error("the relay sends what is not DERP: {0}")]
    Frame(#[from] FrameError),
    /// Its box is not made with its key.
    #[error("the relay's log-in: {0}")]
    Box(#[from] BoxError),
    /// Something else was due.
    #[error("the relay does not log us in: it sends something else first")]
    Order,
    /// It says nothing.
    #[error("the relay has said nothing for {} s", .0.as_secs())]
    Silent(Duration),
}

impl Client {
    /// A connection that has just been made, for the node that `key` is. `nonce` must be random, and be used
    /// for nothing else.
    pub fn new(now: Instant, key: PrivateKey, nonce: [u8; NONCE_LEN]) -> Self {
        Self {
            key,
            nonce,
            relay: None,
            state: State::Greeting,
            heard: now,
            sent: None,
            ping: None,
            pings: 0,
            transmits: VecDeque::new(),
        }
    }

    /// Takes frames from the front of `bytes` up to one that its owner should know of; `None` when no whole
    /// one is left.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub fn next<'a>(
        &mut self,
        now: Instant,
        bytes: &mut &'a [u8],
    ) -> Result<Option<Event<'a>>, ClientError> {
        while let Some((frame, len)) = Frame::split(bytes)? {
            *bytes = &bytes[len..];
            (self.heard, self.sent) = (now, None);
            if let Some(event) = self.handle_frame(now, frame)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Packets can be sent.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Packets have been written; an answer of any kind would show that the relay is there.
    pub fn note_sent(&mut self, now: Instant) {
        self.sent.get_or_insert(now);
    }

    /// Says whether this relay is the node's home.
    pub fn note_preferred(&mut self, is_home: bool) {
        self.transmit(Frame::NotePreferred(is_home));
    }

    /// Asks for an answer: [`Event::Pong`] has its time.
    pub fn ping(&mut self, now: Instant) {
        self.pings += 1;
        self.ping = Some((self.pings, now));
        self.transmit(Frame::Ping(self.pings.to_be_bytes()));
    }

    /// To be called when [`Self::poll_timeout`] says so.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ClientError> {
        if now < self.poll_timeout() {
            return Ok(());
        }
        let is_doubtful = self.state == State::Ready && self.sent.is_some() && self.ping.is_none();
        if is_doubtful && now < self.heard + SILENCE {
            self.ping(now);
            return Ok(());
        }
        Err(ClientError::Silent(
            now.saturating_duration_since(self.heard),
        ))
    }

    /// When to call [`Self::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Instant {
        if self.state != State::Ready {
            return self.heard + LOGIN_TIMEOUT;
        }
        let doubt = match (self.ping, self.sent) {
            (Some((_, at)), _) => Some(at + PONG_TIMEOUT),
            (None, sent) => sent.map(|at| at + DOUBT),
        };
        doubt.into_iter().fold(self.heard + SILENCE, Instant::min)
    }

    /// The next frame to write, before any packets.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    fn handle_frame<'a>(
        &mut self,
        now: Instant,
        frame: Frame<'a>,
    ) -> Result<Option<Event<'a>>, ClientError> {
        match self.state {
            State::Greeting => self.handle_greeting(&frame).map(|()| None),
            State::Login => self.handle_login(&frame),
            State::Ready => Ok(self.handle_ready(now, frame)),
        }
    }

    fn handle_greeting(&mut self, frame: &Frame<'_>) -> Result<(), ClientError> {
        let Frame::ServerKey(relay) = *frame else {
            return Err(ClientError::Order);
        };
        let info = ClientInfo {
            version: VERSION,
            can_ack_pings: true,
            is_prober: false,
        };
        let sealed = boxes::seal(&info, &self.key, &relay, self.nonce);
        self.transmit(Frame::ClientInfo {
            key: self.key.public_key(),
            sealed: &sealed,
        });
        self.relay = Some(relay);
        self.state = State::Login;
        Ok(())
    }

    fn handle_login<'a>(&mut self, frame: &Frame<'a>) -> Result<Option<Event<'a>>, ClientError> {
        let (Frame::ServerInfo(sealed), Some(relay)) = (frame, self.relay) else {
            return Err(ClientError::Order);
        };
        let info = boxes::open(sealed, &self.key, &relay)?;
        self.state = State::Ready;
        Ok(Some(Event::Ready { relay, info }))
    }

    fn handle_ready<'a>(&mut self, now: Instant, frame: Frame<'a>) -> Option<Event<'a>> {
        match frame {
            Frame::RecvPacket { source, packet } => Some(Event::Packet { source, packet }),
            Frame::PeerGone { peer, reason } => Some(Event::PeerGone { peer, reason }),
            Frame::Health(problem) => Some(Event::Health(problem)),
            Frame::Restarting {
                reconnect_in,
                try_for,
            } => Some(Event::Restarting {
                reconnect_in,
                try_for,
            }),
            Frame::Ping(bytes) => {
                self.transmit(Frame::Pong(bytes));
                None
            }
            Frame::Pong(bytes) => {
                let number = u64::from_be_bytes(bytes);
                let (_, left) = self.ping.take_if(|(asked, _)| *asked == number)?;
                let round_trip = now.saturating_duration_since(left);
                Some(Event::Pong { round_trip })
            }
            // Nothing that a relay has to say to a client who is logged in.
            _ => None,
        }
    }

    fn transmit(&mut self, frame: Frame<'_>) {
        if self.transmits.len() < MAX_TRANSMITS {
            self.transmits.push_back(frame.to_bytes());
        }
    }
}
