//! The pre-shared-key handshake: fresh keys for every start, from one secret that both sides know.
//!
//! At its start each side picks 32 random bytes, its *salt*, and an index for its sessions. It tells
//! the peer in a *hello*, and repeats in it the newest salt that it heard from the peer:
//!
//! ```text
//! 0        1       3          4        8                 40                  72        88
//! | 0x20   | 0  0  | version 1 | index  | own salt        | peer's salt or 0s | MAC     |
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
//! # What this does not give
//!
//! * **Forward secrecy**: whoever learns the key opens everything that was ever recorded.
//! * **Identity**: everyone who has the key is the same peer.
//!
//! WireGuard mode gives both.

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::aead::Key;
use super::transport::SealedSession;
use crate::forward::DropReason;
use crate::keys::PresharedKey;

/// First byte of a hello.
pub const HELLO: u8 = 0x20;
/// Bytes of a hello.
pub const HELLO_LEN: usize = 88;

const VERSION: u8 = 1;
const MAC_LEN: usize = 16;
const SALT_LEN: usize = 32;

/// Until the peer answers, a hello is sent this often at first: both sides are often started
/// together, and one round trip later there are keys.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// And this often later, for a peer that may come in an hour.
const LAST_RETRY: Duration = Duration::from_secs(2);
/// Hellos are answered at most this often, so that replayed ones cannot make us send much.
const ANSWER_INTERVAL: Duration = Duration::from_millis(20);

/// Starts of the peer remembered, so that none comes back. After so many, our own salt changes,
/// which makes every earlier hello stale, and the list begins anew.
const MAX_RETIRED: usize = 64;

/// What a handshake wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this hello to the peer.
    Send([u8; HELLO_LEN]),
    /// The peer has (re)started and shown it: use this session from now on.
    Session(Arc<SealedSession>),
}

/// One side of the handshake. Drain [`Self::poll_output`] after every call.
#[derive(Debug)]
pub struct Handshake {
    key: PresharedKey,
    salt: [u8; SALT_LEN],
    index: u32,
    /// The salt of the peer's current start.
    peer: Option<[u8; SALT_LEN]>,
    /// The salts of its earlier ones.
    retired: Vec<[u8; SALT_LEN]>,
    retry: Duration,
    next_hello: Option<Instant>,
    last_answer: Option<Instant>,
    outputs: VecDeque<Output>,
}

struct Hello {
    index: u32,
    salt: [u8; SALT_LEN],
    echo: [u8; SALT_LEN],
}

impl Handshake {
    /// Starts, and wants a first hello sent. `seed` must come from a cryptographic source and
    /// never be used for anything else: the salt is taken from it.
    pub fn new(now: Instant, key: PresharedKey, seed: [u8; 32]) -> Self {
        let salt = keyed_hash(key.expose(), &[b"meshvpn preshared v1 salt", &seed]);
        let index = keyed_hash(key.expose(), &[b"meshvpn preshared v1 index", &seed]);
        let index = u32::from_le_bytes([index[0], index[1], index[2], index[3]]);
        let mut handshake = Self {
            key,
            salt,
            index,
            peer: None,
            retired: Vec::new(),
            retry: FIRST_RETRY,
            next_hello: None,
            last_answer: None,
            outputs: VecDeque::new(),
        };
        handshake.send_hello(&[0; SALT_LEN]);
        handshake.next_hello = Some(now + FIRST_RETRY);
        handshake
    }

    /// The number by which data messages name our session.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Whether the peer has shown that it is there.
    pub fn is_established(&self) -> bool {
        self.peer.is_some()
    }

    /// Takes a datagram that starts with [`HELLO`].
    ///
    /// # Errors
    /// [`DropReason::BadHandshake`] when the key does not authenticate it, it is our own come back,
    /// or it repeats a start of ours that is over.
    pub fn handle_hello(&mut self, now: Instant, datagram: &[u8]) -> Result<(), DropReason> {
        let hello = self.parse(datagram).ok_or(DropReason::BadHandshake)?;
        if hello.salt == self.salt || self.retired.contains(&hello.salt) {
            return Err(DropReason::BadHandshake);
        }
        if hello.echo == self.salt {
            if self.peer != Some(hello.salt) {
                self.accept(now, &hello);
            }
            return Ok(());
        }
        // The peer does not know this start of ours yet (or somebody replays what it once said): tell
        // it, and believe nothing before it has repeated our salt.
        let is_soon = self
            .last_answer
            .is_some_and(|last| now < last + ANSWER_INTERVAL);
        if !is_soon {
            self.last_answer = Some(now);
            self.send_hello(&hello.salt);
        }
        if hello.echo == [0; SALT_LEN] {
            Ok(())
        } else {
            Err(DropReason::BadHandshake)
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_hello.is_some_and(|at| now >= at) {
            self.send_hello(&[0; SALT_LEN]);
            self.retry = (self.retry * 2).min(LAST_RETRY);
            self.next_hello = Some(now + self.retry);
        }
    }

    /// When to repeat the hello: only while there is no answer.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_hello
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn accept(&mut self, now: Instant, hello: &Hello) {
        let direction = |sender: &[u8; SALT_LEN], receiver: &[u8; SALT_LEN]| {
            let label: &[u8] = b"meshvpn preshared v1 data";
            Key::new(keyed_hash(self.key.expose(), &[label, sender, receiver]))
        };
        let session = SealedSession::new(
            self.index,
            hello.index,
            direction(&self.salt, &hello.salt),
            direction(&hello.salt, &self.salt),
        );
        self.retired.extend(self.peer.replace(hello.salt));
        self.next_hello = None;
        // The peer may still wait for proof that we are new: give it before the first packet.
        self.send_hello(&hello.salt);
        self.outputs.push_back(Output::Session(Arc::new(session)));
        if self.retired.len() == MAX_RETIRED {
            self.start_anew(now);
        }
    }

    fn start_anew(&mut self, now: Instant) {
        self.salt = keyed_hash(
            self.key.expose(),
            &[b"meshvpn preshared v1 next", &self.salt],
        );
        self.retired.clear();
        self.peer = None;
        self.retry = FIRST_RETRY;
        self.next_hello = Some(now);
    }

    fn send_hello(&mut self, echo: &[u8; SALT_LEN]) {
        let mut hello = [0; HELLO_LEN];
        hello[0] = HELLO;
        hello[3] = VERSION;
        hello[4..8].copy_from_slice(&self.index.to_le_bytes());
        hello[8..40].copy_from_slice(&self.salt);
        hello[40..72].copy_from_slice(echo);
        let mac = self.mac(&hello[..HELLO_LEN - MAC_LEN]);
        hello[HELLO_LEN - MAC_LEN..].copy_from_slice(&mac);
        self.outputs.push_back(Output::Send(hello));
    }

    fn parse(&self, datagram: &[u8]) -> Option<Hello> {
        let hello: &[u8; HELLO_LEN] = datagram.try_into().ok()?;
        let (body, mac) = hello.split_at(HELLO_LEN - MAC_LEN);
        let is_ours = body[..4] == [HELLO, 0, 0, VERSION] && bool::from(self.mac(body).ct_eq(mac));
        is_ours.then(|| Hello {
            index: u32::from_le_bytes([body[4], body[5], body[6], body[7]]),
            salt: array(&body[8..40]),
            echo: array(&body[40..72]),
        })
    }

    fn mac(&self, body: &[u8]) -> [u8; MAC_LEN] {
        let key = Zeroizing::new(keyed_hash(
            self.key.expose(),
            &[b"meshvpn preshared v1 hello"],
        ));
        let mut mac = [0; MAC_LEN];
        mac.copy_from_slice(&keyed_hash(&key, &[body])[..MAC_LEN]);
        mac
    }
}

fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash =
        <Blake2sMac256 as KeyInit>::new_from_slice(key).expect("BLAKE2s takes keys of 32 bytes");
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into_bytes().into()
}

fn array(bytes: &[u8]) -> [u8; SALT_LEN] {
    let mut array = [0; SALT_LEN];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Side {
        handshake: Handshake,
        sessions: Vec<Arc<SealedSession>>,
        sent: Vec<[u8; HELLO_LEN]>,
    }

    impl Side {
        fn start(now: Instant, key: u8, seed: u8) -> Self {
            let handshake = Handshake::new(now, PresharedKey::new([key; 32]), [seed; 32]);
            let mut side = Self {
                handshake,
                sessions: Vec::new(),
                sent: Vec::new(),
            };
            side.drain();
            side
        }

        fn drain(&mut self) {
            while let Some(output) = self.handshake.poll_output() {
                match output {
                    Output::Send(hello) => self.sent.push(hello),
                    Output::Session(session) => self.sessions.push(session),
                }
            }
        }

        fn hear(&mut self, now: Instant, hello: &[u8]) -> Result<(), DropReason> {
            let result = self.handshake.handle_hello(now, hello);
            self.drain();
            result
        }
    }

    /// Carries hellos both ways until neither side has more to say; returns all of them.
    fn talk(now: Instant, a: &mut Side, b: &mut Side) -> Vec<[u8; HELLO_LEN]> {
        let mut wire = Vec::new();
        let mut now = now;
        while !(a.sent.is_empty() && b.sent.is_empty()) {
            now += ANSWER_INTERVAL;
            for hello in core::mem::take(&mut a.sent) {
                wire.push(hello);
                let _ = b.hear(now, &hello);
            }
            for hello in core::mem::take(&mut b.sent) {
                wire.push(hello);
                let _ = a.hear(now, &hello);
            }
        }
        wire
    }

    fn agree(a: &Side, b: &Side) -> bool {
        let (a, b) = (a.sessions.last().unwrap(), b.sessions.last().unwrap());
        a.send_key().expose() == b.receive_key().expose()
            && b.send_key().expose() == a.receive_key().expose()
            && a.send_key().expose() != a.receive_key().expose()
            && (a.local_index, a.remote_index) == (b.remote_index, b.local_index)
    }

    #[test]
    fn two_starts_end_with_one_session_each_and_the_same_keys() {
        let now = Instant::now();
        let (mut a, mut b) = (Side::start(now, 7, 1), Side::start(now, 7, 2));
        talk(now, &mut a, &mut b);
        assert_eq!((a.sessions.len(), b.sessions.len()), (1, 1));
        assert!(agree(&a, &b));
        assert_eq!(a.handshake.poll_timeout(), None);
    }

    #[test]
    fn a_restart_gives_new_keys_on_both_sides() {
        let now = Instant::now();
        let (mut a, mut b) = (Side::start(now, 7, 1), Side::start(now, 7, 2));
        talk(now, &mut a, &mut b);
        let mut b = Side::start(now, 7, 3);
        talk(now + FIRST_RETRY, &mut a, &mut b);
        assert!(agree(&a, &b));
        assert_ne!(
            a.sessions[0].send_key().expose(),
            a.sessions[1].send_key().expose()
        );
    }

    /// The attack that would bring a used key back with its counter at zero.
    #[test]
    fn no_replayed_hello_ever_makes_a_session_again() {
        let now = Instant::now();
        let (mut a, mut b) = (Side::start(now, 7, 1), Side::start(now, 7, 2));
        let mut recorded = talk(now, &mut a, &mut b);
        let mut b = Side::start(now, 7, 3);
        recorded.extend(talk(now + FIRST_RETRY, &mut a, &mut b));
        let (at_a, at_b) = (a.sessions.len(), b.sessions.len());
        for hello in &recorded {
            let _ = a.hear(now + LAST_RETRY, hello);
            let _ = b.hear(now + LAST_RETRY, hello);
        }
        assert_eq!((a.sessions.len(), b.sessions.len()), (at_a, at_b));
    }

    #[test]
    fn hundreds_of_restarts_never_repeat_a_key() {
        let mut now = Instant::now();
        let mut a = Side::start(now, 7, 0);
        for restart in 1..=200u8 {
            now += LAST_RETRY;
            let mut b = Side::start(now, 7, restart);
            a.handshake.handle_timeout(now);
            a.drain();
            talk(now, &mut a, &mut b);
            assert!(agree(&a, &b), "restart {restart}");
        }
        let keys: std::collections::BTreeSet<_> = a
            .sessions
            .iter()
            .map(|session| *session.send_key().expose())
            .collect();
        assert_eq!(keys.len(), a.sessions.len());
        assert!(a.handshake.retired.len() < MAX_RETIRED);
    }

    #[test]
    fn foreign_changed_and_reflected_hellos_are_refused() {
        let now = Instant::now();
        let mut a = Side::start(now, 7, 1);
        let own = a.sent[0];
        assert_eq!(a.hear(now, &own), Err(DropReason::BadHandshake));
        let foreign = Side::start(now, 8, 2).sent[0];
        assert_eq!(a.hear(now, &foreign), Err(DropReason::BadHandshake));
        let genuine = Side::start(now, 7, 2).sent[0];
        for at in 0..HELLO_LEN {
            let mut changed = genuine;
            changed[at] ^= 1;
            assert_eq!(
                a.hear(now, &changed),
                Err(DropReason::BadHandshake),
                "byte {at}"
            );
        }
        assert_eq!(
            a.hear(now, &genuine[..HELLO_LEN - 1]),
            Err(DropReason::BadHandshake)
        );
        assert!(a.sessions.is_empty());
    }

    #[test]
    fn a_flood_of_hellos_is_answered_slowly() {
        let now = Instant::now();
        let mut a = Side::start(now, 7, 1);
        a.sent.clear();
        let hello = Side::start(now, 7, 2).sent[0];
        for _ in 0..1000 {
            a.hear(now, &hello).unwrap();
        }
        assert_eq!(a.sent.len(), 1);
    }

    #[test]
    fn hellos_are_repeated_until_answered_ever_more_slowly() {
        let start = Instant::now();
        let mut a = Side::start(start, 7, 1);
        let mut gaps = Vec::new();
        let mut now = start;
        for _ in 0..6 {
            let at = a.handshake.poll_timeout().unwrap();
            gaps.push(at - now);
            now = at;
            a.handshake.handle_timeout(now);
            a.drain();
        }
        assert_eq!(a.sent.len(), 7);
        assert_eq!((gaps[0], gaps[5]), (FIRST_RETRY, LAST_RETRY));
    }
}
