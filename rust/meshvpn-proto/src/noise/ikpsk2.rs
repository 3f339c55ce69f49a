//! Noise_IKpsk2 itself, a message a call: what WireGuard's handshake is made of.
//!
//! Nothing of WireGuard's is in it but the choice of the functions: prologue and payloads are anyone's,
//! messages have no frame. So the vectors that others published can be tried, and the pattern learnt.
//!
//! ```text
//! <- s                        the initiator knows the responder's static key beforehand
//! ...
//! -> e, es, s, ss, payload    32 + (32 + 16) + (payload + 16) bytes
//! <- e, ee, se, psk, payload  32 + (payload + 16) bytes
//! ```
//!
//! Source: Noise specification, revision 34, sections 5, 7.5 and 9.

use std::sync::{Arc, LazyLock};

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::CONSTRUCTION;
use super::identity::Identity;
use super::resolver::Resolver;
use super::reveal::{Recorder, TokenState};
use super::vault::Vault;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::session::aead::{Key, TAG_LEN};

/// Bytes that each message has besides its payload.
pub const OVERHEADS: [usize; 2] = [32 + (32 + TAG_LEN) + TAG_LEN, 32 + TAG_LEN];
/// Bytes of the longest message (Noise specification, section 3).
pub const LONGEST_MESSAGE: usize = 65_535;

/// In place of a pre-shared key where there is none (whitepaper, section 5.4).
const NO_PRESHARED_KEY: [u8; 32] = [0; 32];
/// What snow is told in place of our private key and of the pre-shared key, which it need not know.
const STAND_IN: [u8; 32] = [0; 32];
/// The psk's place in the pattern: at the end of the second message.
const PSK_PLACE: u8 = 2;

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Made for somebody else, under another key, or changed on the way; or a public key in it is one of
    /// the few that agree with everyone on zero.
    #[error("the message is not authentic")]
    NotAuthentic,
    /// Authentic as far as that goes, from somebody whom we do not know.
    #[error("the initiator is not one of our peers")]
    Stranger,
    /// A message at a time when none, or the other one, was to be expected.
    #[error("the handshake is not at this message")]
    OutOfOrder,
    /// More payload than a message holds.
    #[error("a message has at most {LONGEST_MESSAGE} bytes")]
    TooLong,
}

/// What a handshake ends with.
pub struct SessionKeys {
    /// For what we send.
    pub send: Key,
    /// For what the peer sends.
    pub receive: Key,
}

impl core::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SessionKeys(secret)")
    }
}

/// Whether [`IkPsk2::secrets`] has anything to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// No.
    Hidden,
    /// The state after each token, for learning and tests.
    Recorded,
}

/// One side of a handshake: snow's state machine, over our primitives.
pub struct IkPsk2 {
    state: Box<HandshakeState>,
    vault: Vault,
    stage: Stage,
}

/// What has happened so far; the other side's messages count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Messages(usize),
    Split,
}

impl IkPsk2 {
    /// An initiator's side when there is a `peer`, a responder's otherwise. There is no pre-shared key yet.
    pub fn new(
        identity: &Arc<Identity>,
        peer: Option<PublicKey>,
        prologue: &[u8],
        secrets: Secrets,
    ) -> Self {
        static PARAMS: LazyLock<NoiseParams> = LazyLock::new(|| {
            let params = CONSTRUCTION.parse();
            params.expect("snow knows this construction")
        });
        let recorder = (secrets == Secrets::Recorded).then(Recorder::default);
        let vault = Vault::new(recorder);
        let resolver = Resolver {
            identity: Arc::clone(identity),
            vault: vault.clone(),
            peer,
        };
        let builder = Builder::with_resolver(PARAMS.clone(), Box::new(resolver));
        let builder = builder
            .prologue(prologue)
            .and_then(|builder| builder.local_private_key(&STAND_IN))
            .and_then(|builder| builder.psk(PSK_PLACE, &STAND_IN));
        let state = match &peer {
            Some(peer) => builder
                .and_then(|builder| builder.remote_public_key(peer.as_bytes()))
                .and_then(Builder::build_initiator),
            None => builder.and_then(Builder::build_responder),
        };
        let state = state.expect("everything that the pattern needs was given");
        Self {
            state: Box::new(state),
            vault,
            stage: Stage::Messages(0),
        }
    }

    /// What both sides must know besides their keys; to be set before the second message.
    pub fn set_preshared(&mut self, preshared: Option<&PresharedKey>) {
        match preshared {
            Some(key) => self.vault.set_preshared(key),
            None => self
                .vault
                .set_preshared(&PresharedKey::new(NO_PRESHARED_KEY)),
        }
    }

    /// The key for the message that we [write](Self::write): new, random, and never used again.
    pub fn set_ephemeral(&mut self, ephemeral: PrivateKey) {
        self.vault.set_ephemeral(ephemeral);
    }

    /// The next message, when it is our turn.
    ///
    /// # Errors
    /// [`HandshakeError::OutOfOrder`] when it is not, or without an ephemeral key;
    /// [`HandshakeError::NotAuthentic`] when a public key of the peer's agrees with everyone on zero;
    /// [`HandshakeError::Stranger`] when our identity does not know the peer; [`HandshakeError::TooLong`].
    pub fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let overhead = self.begin_message()?;
        if payload.len() > LONGEST_MESSAGE - overhead {
            return Err(HandshakeError::TooLong);
        }
        let mut message = vec![0; overhead + payload.len()];
        let written = self.state.write_message(payload, &mut message);
        self.end_message(written, message)
    }

    /// The payload of the next message, when it is the peer's turn. After an error, the next one may be
    /// the right one.
    ///
    /// # Errors
    /// [`HandshakeError::OutOfOrder`] when it is not the peer's turn; [`HandshakeError::NotAuthentic`] and
    /// [`HandshakeError::Stranger`] when it is not the peer's message.
    pub fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let overhead = self.begin_message()?;
        let mut payload = vec![0; message.len().saturating_sub(overhead)];
        let read = self.state.read_message(message, &mut payload);
        self.end_message(read, payload)
    }

    /// The peer's static key; a responder learns it from the first message.
    pub fn peer(&self) -> Option<PublicKey> {
        let key = self.state.get_remote_static()?.first_chunk()?;
        Some(PublicKey::new(*key))
    }

    /// The hash of everything so far. At the end it names the session, and both sides have the same.
    pub fn hash(&self) -> [u8; 32] {
        let hash = self.state.get_handshake_hash().first_chunk();
        *hash.expect("BLAKE2s has 32 bytes")
    }

    /// The keys that the handshake ends with; once, because they number their packets from zero.
    ///
    /// # Errors
    /// [`HandshakeError::OutOfOrder`] before the end, and the second time.
    pub fn split(&mut self) -> Result<SessionKeys, HandshakeError> {
        // Snow itself would give keys in the middle of a handshake, too.
        if self.stage != Stage::Messages(OVERHEADS.len()) {
            return Err(HandshakeError::OutOfOrder);
        }
        self.stage = Stage::Split;
        let (initiator, responder) = self.state.dangerously_get_raw_split();
        let keys = [initiator, responder].map(Zeroizing::new);
        let [initiator, responder] = keys.map(|key| Key::new(*key));
        let (send, receive) = match self.state.is_initiator() {
            true => (initiator, responder),
            false => (responder, initiator),
        };
        Ok(SessionKeys { send, receive })
    }

    /// The state after each token so far; empty when they are hidden.
    pub fn secrets(&self) -> Vec<TokenState> {
        self.vault.recorded()
    }

    /// Bytes that the next message has besides its payload.
    fn begin_message(&self) -> Result<usize, HandshakeError> {
        let Stage::Messages(number) = self.stage else {
            return Err(HandshakeError::OutOfOrder);
        };
        let overhead = OVERHEADS.get(number).ok_or(HandshakeError::OutOfOrder)?;
        self.vault.begin_message(number);
        Ok(*overhead)
    }

    /// What was made, if it has the length that it should have.
    fn end_message(
        &mut self,
        len: Result<usize, snow::Error>,
        made: Vec<u8>,
    ) -> Result<Vec<u8>, HandshakeError> {
        match len {
            Ok(len) if len == made.len() => {
                if let Stage::Messages(number) = &mut self.stage {
                    *number += 1;
                }
                Ok(made)
            }
            Err(snow::Error::State(_) | snow::Error::Rng) => Err(HandshakeError::OutOfOrder),
            _ if self.vault.has_refused_stranger() => Err(HandshakeError::Stranger),
            _ => Err(HandshakeError::NotAuthentic),
        }
    }
}

impl core::fmt::Debug for IkPsk2 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("IkPsk2(secret)")
    }
}
