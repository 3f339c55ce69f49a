//! Noise_IK_25519_ChaChaPoly_BLAKE2s, a message a call: what a node and its coordinator begin with.
//!
//! ```text
//! <- s                        the initiator knows the responder's static key beforehand
//! ...
//! -> e, es, s, ss, payload    32 + (32 + 16) + (payload + 16) bytes
//! <- e, ee, se, payload       32 + (payload + 16) bytes
//! ```
//!
//! Anyone who recorded the first message can send it again, so its payload proves nothing and must hold no
//! secret; and it is not safe from a thief of the responder's key. From the second message on both hold.
//!
//! Source: Noise specification, revision 34, sections 7.5 and 7.7.

use std::sync::{Arc, LazyLock};

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::handshake::{HandshakeError, SessionKeys};
use super::identity::Identity;
use super::resolver::Resolver;
use super::vault::Vault;
use crate::keys::{PrivateKey, PublicKey};
use crate::session::aead::{Key, TAG_LEN};

/// What Noise calls the construction.
const CONSTRUCTION: &str = "Noise_IK_25519_ChaChaPoly_BLAKE2s";
/// Bytes that each message has besides its payload.
const OVERHEADS: [usize; 2] = [32 + (32 + TAG_LEN) + TAG_LEN, 32 + TAG_LEN];
/// Bytes of the longest message (Noise specification, section 3).
pub(crate) const LONGEST_MESSAGE: usize = 65_535;
/// What snow is told in place of our private key, which it need not know.
const STAND_IN: [u8; 32] = [0; 32];

/// One side of a handshake: snow's state machine, over our primitives.
pub(crate) struct Ik {
    state: Box<HandshakeState>,
    vault: Vault,
    messages: usize,
}

impl Ik {
    /// An initiator's side when there is a `peer`, a responder's otherwise. `ephemeral` must be new,
    /// random, and never used again.
    pub(crate) fn new(
        identity: &Arc<Identity>,
        peer: Option<PublicKey>,
        prologue: &[u8],
        ephemeral: PrivateKey,
    ) -> Self {
        static PARAMS: LazyLock<NoiseParams> = LazyLock::new(|| {
            let params = CONSTRUCTION.parse();
            params.expect("snow knows this construction")
        });
        let vault = Vault::new(None);
        vault.set_ephemeral(ephemeral);
        let resolver = Resolver {
            identity: Arc::clone(identity),
            vault: vault.clone(),
            peer,
        };
        let builder = Builder::with_resolver(PARAMS.clone(), Box::new(resolver));
        let builder = builder
            .prologue(prologue)
            .and_then(|builder| builder.local_private_key(&STAND_IN));
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
            messages: 0,
        }
    }

    /// The next message, when it is our turn. `payload` must leave room for the keys in it.
    pub(crate) fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let overhead = self.begin_message()?;
        let mut message = vec![0; overhead + payload.len()];
        let written = self.state.write_message(payload, &mut message);
        self.end_message(written, message)
    }

    /// The payload of the peer's next message.
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let overhead = self.begin_message()?;
        let mut payload = vec![0; message.len().saturating_sub(overhead)];
        let read = self.state.read_message(message, &mut payload);
        self.end_message(read, payload)
    }

    /// The peer's static key; a responder learns it from the first message.
    pub(crate) fn peer(&self) -> Option<PublicKey> {
        let key = self.state.get_remote_static()?.first_chunk()?;
        Some(PublicKey::new(*key))
    }

    /// The keys that the handshake ends with.
    pub(crate) fn split(mut self) -> Result<SessionKeys, HandshakeError> {
        // Snow itself would give keys in the middle of a handshake, too.
        if self.messages != OVERHEADS.len() {
            return Err(HandshakeError::OutOfOrder);
        }
        let (initiator, responder) = self.state.dangerously_get_raw_split();
        let keys = [initiator, responder].map(Zeroizing::new);
        let [initiator, responder] = keys.map(|key| Key::new(*key));
        let (send, receive) = match self.state.is_initiator() {
            true => (initiator, responder),
            false => (responder, initiator),
        };
        Ok(SessionKeys { send, receive })
    }

    fn begin_message(&self) -> Result<usize, HandshakeError> {
        let overhead = OVERHEADS.get(self.messages);
        let overhead = overhead.ok_or(HandshakeError::OutOfOrder)?;
        self.vault.begin_message(self.messages);
        Ok(*overhead)
    }

    fn end_message(
        &mut self,
        len: Result<usize, snow::Error>,
        made: Vec<u8>,
    ) -> Result<Vec<u8>, HandshakeError> {
        match len {
            Ok(len) if len == made.len() => {
                self.messages += 1;
                Ok(made)
            }
            Err(snow::Error::State(_) | snow::Error::Rng) => Err(HandshakeError::OutOfOrder),
            _ => Err(HandshakeError::NotAuthentic),
        }
    }
}

impl core::fmt::Debug for Ik {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Ik(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::aead::{Aead, Portable, Seal};

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        let digits = pairs.map(|pair| core::str::from_utf8(pair).unwrap());
        digits
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }

    fn key(hex: &str) -> PrivateKey {
        PrivateKey::new(bytes(hex).try_into().unwrap())
    }

    /// The vectors of Noise_IK_25519_ChaChaPoly_BLAKE2s that the Haskell implementation cacophony published.
    const STATICS: [&str; 2] = [
        "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
        "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
    ];
    const EPHEMERALS: [&str; 2] = [
        "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
    ];
    const MESSAGES: [[&str; 2]; 4] = [
        [
            "4c756477696720766f6e204d69736573",
            concat!(
                "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79440b03ddc7aac5123d",
                "06a1b23b71670e32e76c28239a7ca4ac8f784de7e44c1adbfc6e83fef7352a58d9d56157400c0a73",
                "7b1d171ce368229c7b752ac25b8faf4eca690f6d896f543be02c996ab2b86b76"
            ),
        ],
        [
            "4d757272617920526f746862617264",
            concat!(
                "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843d9b5a8927f0ac965",
                "5ef76833bc7e5561f42e691ac8404efd6fbd6308b6a27c"
            ),
        ],
        [
            "462e20412e20486179656b",
            "2c256ed08fcd08c2980f954ee4beaccb61c9581340f5dd2fd1cf3b",
        ],
        [
            "4361726c204d656e676572",
            "d6033f70eee20945c7c9dba304e397ee3b284ff5e00fd9efb095d3",
        ],
    ];

    #[test]
    fn the_cacophony_vector_holds() {
        let identities = STATICS.map(|hex| Arc::new(Identity::open(key(hex))));
        let responder = *identities[1].public_key();
        let prologue = b"John Galt";
        let mut sides = [
            Ik::new(
                &identities[0],
                Some(responder),
                prologue,
                key(EPHEMERALS[0]),
            ),
            Ik::new(&identities[1], None, prologue, key(EPHEMERALS[1])),
        ];
        for (number, [payload, message]) in MESSAGES[..2].iter().enumerate() {
            assert_eq!(
                sides[number].write(&bytes(payload)).unwrap(),
                bytes(message)
            );
            let read = sides[1 - number].read(&bytes(message)).unwrap();
            assert_eq!(read, bytes(payload));
        }
        assert_eq!(sides[1].peer(), Some(*identities[0].public_key()));
        let [initiator, responder] = sides.map(|side| side.split().unwrap());
        assert_eq!(initiator.receive.expose(), responder.send.expose());
        let keys = [initiator.send, responder.send];
        for (key, [payload, message]) in keys.iter().zip(&MESSAGES[2..]) {
            let plaintext = bytes(payload);
            let mut out = vec![0; plaintext.len() + TAG_LEN];
            Portable.seal(&mut [Seal {
                key,
                counter: 0,
                plaintext: &plaintext,
                out: &mut out,
            }]);
            assert_eq!(out, bytes(message));
        }
    }

    #[test]
    fn a_key_on_which_all_agree_is_refused() {
        let identities = STATICS.map(|hex| Arc::new(Identity::open(key(hex))));
        let worthless = PublicKey::new([0; 32]);
        let mut side = Ik::new(&identities[0], Some(worthless), b"", key(EPHEMERALS[0]));
        assert_eq!(side.write(b""), Err(HandshakeError::NotAuthentic));
    }
}
