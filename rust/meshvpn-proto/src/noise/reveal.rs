//! What Noise's symmetric state holds after each token, for learning and tests.
//!
//! Nothing is recorded unless a handshake was started with
//! [`reveal_secrets`](super::handshake::Initiator::reveal_secrets): whoever has the last chaining key
//! has the session keys.
//!
//! The recorder sees the two things that change the state: the hash and the chaining key. Each token
//! changes them a known number of times, in a known order (Noise specification, section 5.3).

use core::fmt;

use zeroize::Zeroizing;

/// A step of the handshake, in the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The construction's name is hashed: hash and chaining key begin with that.
    Name,
    /// The prologue is mixed in.
    Prologue,
    /// The responder's static key, which the initiator knows beforehand, is mixed in.
    ResponderStatic,
    /// The sender's ephemeral key; because there is a pre-shared key, into the chaining key too.
    E,
    /// Agreement of the initiator's ephemeral and the responder's static key.
    Es,
    /// The initiator's static key, sealed.
    S,
    /// Agreement of both static keys.
    Ss,
    /// Agreement of both ephemeral keys.
    Ee,
    /// Agreement of the initiator's static and the responder's ephemeral key.
    Se,
    /// The pre-shared key.
    Psk,
    /// The message's payload, sealed: the timestamp, or nothing.
    Payload,
}

impl Token {
    /// The token's name in the Noise specification, where it has one there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Prologue => "prologue",
            Self::ResponderStatic => "<- s",
            Self::E => "e",
            Self::Es => "es",
            Self::S => "s",
            Self::Ss => "ss",
            Self::Ee => "ee",
            Self::Se => "se",
            Self::Psk => "psk",
            Self::Payload => "payload",
        }
    }
}

/// The symmetric state after a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenState {
    /// The token.
    pub token: Token,
    /// The hash of everything so far.
    pub hash: [u8; 32],
    /// The chaining key: a secret as soon as the first agreement went into it.
    pub chaining_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for TokenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenState({}, secret)", self.token.name())
    }
}

/// How often each token of a message changes the state.
type Script = &'static [(Token, usize)];

const START: Script = &[
    (Token::Name, 1),
    (Token::Prologue, 1),
    (Token::ResponderStatic, 1),
];
const MESSAGES: [Script; 2] = [
    &[
        (Token::E, 2),
        (Token::Es, 1),
        (Token::S, 1),
        (Token::Ss, 1),
        (Token::Payload, 1),
    ],
    &[
        (Token::E, 2),
        (Token::Ee, 1),
        (Token::Se, 1),
        (Token::Psk, 2),
        (Token::Payload, 1),
    ],
];

/// Puts what the primitives see into words.
#[derive(Default)]
pub(super) struct Recorder {
    hash: [u8; 32],
    chaining_key: Zeroizing<[u8; 32]>,
    states: Vec<TokenState>,
    /// Messages begun.
    messages: usize,
    /// Changes since the message began.
    changes: usize,
}

impl Recorder {
    pub(super) fn begin_message(&mut self, number: usize) {
        let before = &MESSAGES[..number.min(MESSAGES.len())];
        let tokens = before.iter().map(|script| script.len()).sum::<usize>();
        self.states.truncate(START.len() + tokens);
        if let Some(last) = self.states.last() {
            (self.hash, self.chaining_key) = (last.hash, last.chaining_key.clone());
        }
        (self.messages, self.changes) = (number + 1, 0);
    }

    pub(super) fn note_hash(&mut self, hash: &[u8; 32]) {
        self.hash = *hash;
        if self.states.is_empty() {
            self.chaining_key = Zeroizing::new(*hash);
        }
        self.note_change();
    }

    pub(super) fn note_chaining_key(&mut self, key: &Zeroizing<[u8; 32]>) {
        self.chaining_key = key.clone();
        self.note_change();
    }

    pub(super) fn states(&self) -> Vec<TokenState> {
        self.states.clone()
    }

    fn note_change(&mut self) {
        self.changes += 1;
        let script = match self.messages.checked_sub(1) {
            None => START,
            Some(message) => MESSAGES.get(message).copied().unwrap_or_default(),
        };
        let mut changes = 0;
        let ended = script.iter().find(|(_, count)| {
            changes += count;
            changes == self.changes
        });
        if let Some((token, _)) = ended {
            self.states.push(TokenState {
                token: *token,
                hash: self.hash,
                chaining_key: self.chaining_key.clone(),
            });
        }
    }
}
