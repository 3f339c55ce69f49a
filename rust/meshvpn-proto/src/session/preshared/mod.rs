//! The pre-shared-key handshake: fresh keys for every start, from one secret that both sides know.
//!
//! At its start each side picks 32 random bytes, its *salt*, and an index for its sessions. It tells
//! the peer in a *hello*, and repeats in it the newest salt that it heard from the peer:
//!
//! ```text
//! 0        1       2   3           4        8                 40                  72        88
//! | 0x20   | stage | 0 | version 1 | index  | own salt        | peer's salt or 0s | MAC     |
//! ```
//!
//! A hello that repeats our own salt was made after we started, by someone who has the key: only
//! such a hello is believed. Then each direction has its key, `BLAKE2s(psk, label ‖ sender's
//! salt ‖ receiver's salt)`. Since the salts are new at every start, no key is ever used twice
//! and no nonce under it, even for two starts in the same millisecond; and since *both* salts go in,
//! nothing recorded before a restart of either side opens after it. A salt that the peer has left
//! behind is never accepted again: the hello of an earlier start, replayed, would otherwise bring
//! back its keys with counters at zero.
//!
//! Any hello may be lost, and a packet must not arrive before the peer has the keys to open it. So
//! each side also says its *stage* with the peer, as in the three-way handshake of RFC 5880, section
//! 6.2: `Down` has no keys yet, `Init` can open what comes, `Up` knows that the peer can too. A side
//! sends packets once it is up, and repeats its hello until then:
//!
//! ```text
//! a (running)                                b (starting)
//!                  ◄── Down, salt b, 0 ──
//!                  ── Down, salt a, b ──►    has keys, opens
//! has keys, sends  ◄── Init, salt b, a ──
//!                  ─── Up, salt a, b ───►    sends
//! ```
//!
//! A hello that was long on its way, or kept back by somebody, can pass for the peer's newest start
//! when it is not. The session that comes of it stays silent; who notices begins again under a new
//! salt, to which only the peer's present start can answer.
//!
//! # What this does not give
//!
//! * **Forward secrecy**: whoever learns the key opens everything that was ever recorded.
//! * **Identity**: everyone who has the key is the same peer.
//!
//! WireGuard mode gives both.

mod hello;
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' time has to begin somewhere"
)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use zeroize::Zeroizing;

use super::aead::Key;
use super::transport::SealedSession;
use crate::forward::DropReason;
use crate::keys::PresharedKey;
pub use hello::{HELLO, HELLO_LEN};
use hello::{Hello, Salt, Stage, keyed_hash};

/// Until the handshake is done, a hello is sent this often at first: both sides are often started
/// together, and a round trip later there are keys.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// And this often later, for a peer that may come in an hour.
const LAST_RETRY: Duration = Duration::from_secs(1);
/// Hellos that change nothing are answered at most this often, so that replayed ones cannot make us
/// send much; what comes sooner is answered then.
const ANSWER_INTERVAL: Duration = Duration::from_millis(20);

/// Starts of the peer remembered, so that none comes back. After so many, our own salt changes,
/// which makes every earlier hello stale, and the list begins anew.
const MAX_RETIRED: usize = 64;

/// What a handshake wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this hello to the peer.
    Send([u8; HELLO_LEN]),
    /// The peer has (re)started and shown it: receive with this session from now on.
    Receive(Arc<SealedSession>),
    /// The peer can open what this session seals: send with it from now on.
    Use(Arc<SealedSession>),
}

/// One side of the handshake. Drain [`Self::poll_output`] after every call.
#[derive(Debug)]
pub struct Handshake {
    key: PresharedKey,
    salt: Salt,
    index: u32,
    peer: Option<Peer>,
    /// The salts of the peer's earlier starts.
    retired: Vec<Salt>,
    retry: Duration,
    next_hello: Option<Instant>,
    last_answer: Option<Instant>,
    /// Whom to answer as soon as that may be.
    waiting: Option<Salt>,
    outputs: VecDeque<Output>,
}

/// The peer's current start.
#[derive(Debug)]
struct Peer {
    salt: Salt,
    session: Arc<SealedSession>,
    is_up: bool,
}

impl Handshake {
    /// Starts, and wants a first hello sent. `seed` must come from a cryptographic source and
    /// never be used for anything else: the salt is taken from it.
    pub fn new(now: Instant, key: PresharedKey, seed: [u8; 32]) -> Self {
        let salt = keyed_hash(key.expose(), &[b"meshvpn preshared v1 salt", &seed]);
        let index = keyed_hash(key.expose(), &[b"meshvpn preshared v1 index", &seed]);
        let mut handshake = Self {
            key,
            salt: Salt(salt),
            index: u32::from_le_bytes([index[0], index[1], index[2], index[3]]),
            peer: None,
            retired: Vec::new(),
            retry: FIRST_RETRY,
            next_hello: Some(now),
            last_answer: None,
            waiting: None,
            outputs: VecDeque::new(),
        };
        handshake.handle_timeout(now);
        handshake
    }

    /// Takes a datagram that starts with [`HELLO`].
    ///
    /// # Errors
    /// [`DropReason::BadHandshake`] when the key does not authenticate it, it is our own come back,
    /// or it repeats a start of ours that is over.
    pub fn handle_hello(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DropReason> {
        let hello = Hello::parse(&self.key, datagram).ok_or(DropReason::BadHandshake)?;
        if hello.own == self.salt || self.retired.contains(&hello.own) {
            return Err(DropReason::BadHandshake);
        }
        if hello.peer != self.salt {
            // The peer does not know this start of ours yet (or somebody replays what it once said):
            // tell it, and believe nothing before it has repeated our salt.
            self.waiting = Some(hello.own);
            self.answer_slowly(now);
            return if hello.peer == Salt::NONE {
                Ok(())
            } else {
                Err(DropReason::BadHandshake)
            };
        }
        let before = self.stage_with(hello.own);
        if before == Stage::Down {
            self.accept(now, &hello);
        }
        if hello.stage >= Stage::Init {
            self.come_up(hello.own);
        }
        if hello.stage == Stage::Up {
            return Ok(());
        }
        if self.stage_with(hello.own) == before {
            self.waiting = Some(hello.own);
            self.answer_slowly(now);
        } else {
            self.send_hello(hello.own);
        }
        Ok(())
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_hello.is_some_and(|at| now >= at) {
            self.send_hello(self.peer.as_ref().map_or(Salt::NONE, |peer| peer.salt));
            self.next_hello = Some(now + self.retry);
            self.retry = (self.retry * 2).min(LAST_RETRY);
        }
        self.answer_slowly(now);
    }

    /// Nothing comes back through the session that we send with. Under a new salt the peer shows
    /// that it is there, or the session ends that it knows nothing of.
    pub fn handle_silence(&mut self, now: Instant) {
        if self.peer.as_ref().is_some_and(|peer| peer.is_up) {
            self.retry = FIRST_RETRY;
            self.start_anew(now);
        }
    }

    /// When to repeat the hello, until we are up, or to answer one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let answer = self.waiting.and(self.last_answer);
        let answer = answer.map(|last| last + ANSWER_INTERVAL);
        self.next_hello.into_iter().chain(answer).min()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn stage_with(&self, salt: Salt) -> Stage {
        match &self.peer {
            Some(peer) if peer.salt == salt && peer.is_up => Stage::Up,
            Some(peer) if peer.salt == salt => Stage::Init,
            _ => Stage::Down,
        }
    }

    fn accept(&mut self, now: Instant, hello: &Hello) {
        self.retry = FIRST_RETRY;
        if self.retired.len() == MAX_RETIRED {
            return self.start_anew(now);
        }
        let direction = |sender: Salt, receiver: Salt| {
            let label: &[u8] = b"meshvpn preshared v1 data";
            let bytes = Zeroizing::new(keyed_hash(
                self.key.expose(),
                &[label, &sender.0, &receiver.0],
            ));
            Key::new(*bytes)
        };
        let session = Arc::new(SealedSession::new(
            self.index,
            hello.index,
            direction(self.salt, hello.own),
            direction(hello.own, self.salt),
        ));
        let peer = Peer {
            salt: hello.own,
            session: Arc::clone(&session),
            is_up: false,
        };
        self.retired
            .extend(self.peer.replace(peer).map(|before| before.salt));
        self.next_hello = Some(now + FIRST_RETRY);
        self.outputs.push_back(Output::Receive(session));
    }

    /// Forgets everyone, under a new salt, to which the peer's answer is new as well.
    fn start_anew(&mut self, now: Instant) {
        let label = b"meshvpn preshared v1 next";
        self.salt = Salt(keyed_hash(self.key.expose(), &[label, &self.salt.0]));
        self.retired.clear();
        self.peer = None;
        self.next_hello = Some(now);
    }

    fn come_up(&mut self, salt: Salt) {
        if let Some(peer) = &mut self.peer
            && peer.salt == salt
            && !peer.is_up
        {
            peer.is_up = true;
            self.next_hello = None;
            self.outputs
                .push_back(Output::Use(Arc::clone(&peer.session)));
        }
    }

    fn answer_slowly(&mut self, now: Instant) {
        let is_soon = self
            .last_answer
            .is_some_and(|last| now < last + ANSWER_INTERVAL);
        if !is_soon && let Some(peer) = self.waiting.take() {
            self.last_answer = Some(now);
            self.send_hello(peer);
        }
    }

    fn send_hello(&mut self, peer: Salt) {
        let hello = Hello {
            stage: self.stage_with(peer),
            index: self.index,
            own: self.salt,
            peer,
        };
        self.outputs.push_back(Output::Send(hello.write(&self.key)));
    }
}
