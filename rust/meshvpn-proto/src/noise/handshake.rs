//! Both sides of the handshake, a message a call.
//!
//! Nothing here knows of MACs, timers or who may shake hands when: that is the device's business. What
//! a message was refused for, nobody on the network is told.
//!
//! A responder first [reads](Responder::read) an initiation and knows then who it is from; when the
//! device agrees, it [answers](Responder::answer). An initiator may be given any number of wrong responses
//! and still take the right one.

use std::sync::{Arc, LazyLock};

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::identity::Identity;
use super::messages::{Initiation, Response};
use super::resolver::Resolver;
use super::reveal::{Recorder, TokenState};
use super::tai64n::{TAI64N_LEN, Tai64n};
use super::vault::Vault;
use super::{CONSTRUCTION, PROLOGUE};
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::session::aead::Key;

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

/// The side that begins.
#[derive(Debug)]
pub struct Initiator(Noise);

impl Initiator {
    /// Prepares a handshake with `peer`. `ephemeral` must be new, random, and never used again.
    ///
    /// # Errors
    /// [`HandshakeError::Stranger`] when `identity` does not know this peer.
    pub fn new(
        identity: &Arc<Identity>,
        peer: PublicKey,
        preshared: Option<&PresharedKey>,
        ephemeral: PrivateKey,
    ) -> Result<Self, HandshakeError> {
        Self::start(identity, peer, preshared, ephemeral, None)
    }

    /// The same, and [`Self::secrets`] tells afterwards what went on inside.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn reveal_secrets(
        identity: &Arc<Identity>,
        peer: PublicKey,
        preshared: Option<&PresharedKey>,
        ephemeral: PrivateKey,
    ) -> Result<Self, HandshakeError> {
        let recorder = Some(Recorder::default());
        Self::start(identity, peer, preshared, ephemeral, recorder)
    }

    /// The first message, by which the responder is to answer to number `sender`.
    ///
    /// # Errors
    /// [`HandshakeError::OutOfOrder`] the second time; [`HandshakeError::NotAuthentic`] when the peer's public
    /// key agrees with everyone on zero.
    pub fn initiate(&mut self, sender: u32, now: &Tai64n) -> Result<Initiation, HandshakeError> {
        let mut noise = [0; Initiation::NOISE_LEN];
        self.0.write(0, now.as_bytes(), &mut noise)?;
        Ok(Initiation::new(sender, &noise))
    }

    /// Takes the answer. After an error, the next one may be the right one.
    ///
    /// # Errors
    /// When it is not the peer's answer to our message.
    pub fn finish(&mut self, response: &Response) -> Result<SessionKeys, HandshakeError> {
        self.0.read(1, response.noise(), &mut [])?;
        let [send, receive] = self.0.split()?;
        Ok(SessionKeys { send, receive })
    }

    /// The state after each token so far; empty unless they were to be revealed.
    pub fn secrets(&self) -> Vec<TokenState> {
        self.0.vault.recorded()
    }

    fn start(
        identity: &Arc<Identity>,
        peer: PublicKey,
        preshared: Option<&PresharedKey>,
        ephemeral: PrivateKey,
        recorder: Option<Recorder>,
    ) -> Result<Self, HandshakeError> {
        let mut noise = Noise::new(identity, Some(peer), PROLOGUE, recorder)?;
        noise.set_preshared(preshared);
        noise.vault.set_ephemeral(ephemeral);
        Ok(Self(noise))
    }
}

/// The side that answers: it has read an initiation, and nothing is decided yet.
#[derive(Debug)]
pub struct Responder {
    noise: Noise,
    initiator: PublicKey,
    timestamp: Tai64n,
    /// The initiator's number for the handshake.
    index: u32,
}

impl Responder {
    /// Reads an initiation.
    ///
    /// # Errors
    /// When it is not for us, or from a stranger.
    pub fn read(identity: &Arc<Identity>, initiation: &Initiation) -> Result<Self, HandshakeError> {
        Self::start(identity, initiation, None)
    }

    /// The same, and [`Self::secrets`] tells afterwards what went on inside.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn reveal_secrets(
        identity: &Arc<Identity>,
        initiation: &Initiation,
    ) -> Result<Self, HandshakeError> {
        Self::start(identity, initiation, Some(Recorder::default()))
    }

    /// Whose static key sealed the initiation. It may have been replayed: see [`Self::timestamp`].
    pub fn initiator(&self) -> &PublicKey {
        &self.initiator
    }

    /// When the initiation was made, by the initiator's clock.
    pub fn timestamp(&self) -> &Tai64n {
        &self.timestamp
    }

    /// The second message, by which the initiator is to name the session `sender`. `ephemeral` must be new,
    /// random, and never used again.
    ///
    /// # Errors
    /// [`HandshakeError::OutOfOrder`] the second time; [`HandshakeError::NotAuthentic`] when one of the
    /// initiator's public keys agrees with everyone on zero.
    pub fn answer(
        &mut self,
        sender: u32,
        preshared: Option<&PresharedKey>,
        ephemeral: PrivateKey,
    ) -> Result<(Response, SessionKeys), HandshakeError> {
        self.noise.set_preshared(preshared);
        self.noise.vault.set_ephemeral(ephemeral);
        let mut noise = [0; Response::NOISE_LEN];
        self.noise.write(1, &[], &mut noise)?;
        let [receive, send] = self.noise.split()?;
        let response = Response::new(sender, self.index, &noise);
        Ok((response, SessionKeys { send, receive }))
    }

    /// The state after each token so far; empty unless they were to be revealed.
    pub fn secrets(&self) -> Vec<TokenState> {
        self.noise.vault.recorded()
    }

    fn start(
        identity: &Arc<Identity>,
        initiation: &Initiation,
        recorder: Option<Recorder>,
    ) -> Result<Self, HandshakeError> {
        let mut noise = Noise::new(identity, None, PROLOGUE, recorder)?;
        let mut timestamp = [0; TAI64N_LEN];
        noise.read(0, initiation.noise(), &mut timestamp)?;
        let initiator = noise.remote_static().ok_or(HandshakeError::OutOfOrder)?;
        Ok(Self {
            noise,
            initiator,
            timestamp: Tai64n::from_bytes(timestamp),
            index: initiation.sender(),
        })
    }
}

/// Snow's state machine, over our primitives.
pub(super) struct Noise {
    state: Box<HandshakeState>,
    pub(super) vault: Vault,
}

impl Noise {
    /// An initiator's side when there is a `peer`, a responder's otherwise.
    pub(super) fn new(
        identity: &Arc<Identity>,
        peer: Option<PublicKey>,
        prologue: &[u8],
        recorder: Option<Recorder>,
    ) -> Result<Self, HandshakeError> {
        static PARAMS: LazyLock<NoiseParams> = LazyLock::new(|| {
            let params = CONSTRUCTION.parse();
            params.expect("snow knows this construction")
        });
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
        Ok(Self {
            state: Box::new(state),
            vault,
        })
    }

    pub(super) fn set_preshared(&mut self, preshared: Option<&PresharedKey>) {
        match preshared {
            Some(key) => self.vault.set_preshared(key),
            None => self
                .vault
                .set_preshared(&PresharedKey::new(NO_PRESHARED_KEY)),
        }
    }

    /// Writes message `number`, which fills `out`.
    pub(super) fn write(
        &mut self,
        number: usize,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(), HandshakeError> {
        self.vault.begin_message(number);
        let written = self.state.write_message(payload, out);
        self.check(written, out.len())
    }

    /// Reads message `number`, whose payload fills `payload`.
    pub(super) fn read(
        &mut self,
        number: usize,
        message: &[u8],
        payload: &mut [u8],
    ) -> Result<(), HandshakeError> {
        self.vault.begin_message(number);
        let read = self.state.read_message(message, payload);
        self.check(read, payload.len())
    }

    pub(super) fn remote_static(&self) -> Option<PublicKey> {
        let key = self.state.get_remote_static()?.first_chunk()?;
        Some(PublicKey::new(*key))
    }

    /// The keys for what the initiator sends and for what the responder sends.
    pub(super) fn split(&mut self) -> Result<[Key; 2], HandshakeError> {
        // Snow itself would give keys in the middle of a handshake, too.
        if !self.state.is_handshake_finished() {
            return Err(HandshakeError::OutOfOrder);
        }
        let (initiator, responder) = self.state.dangerously_get_raw_split();
        let [initiator, responder] = [initiator, responder].map(Zeroizing::new);
        Ok([Key::new(*initiator), Key::new(*responder)])
    }

    #[cfg(test)]
    pub(super) fn hash(&self) -> &[u8] {
        self.state.get_handshake_hash()
    }

    fn check(&self, len: Result<usize, snow::Error>, want: usize) -> Result<(), HandshakeError> {
        match len {
            Ok(len) if len == want => Ok(()),
            Err(snow::Error::State(_) | snow::Error::Rng) => Err(HandshakeError::OutOfOrder),
            _ if self.vault.has_refused_stranger() => Err(HandshakeError::Stranger),
            _ => Err(HandshakeError::NotAuthentic),
        }
    }
}

impl core::fmt::Debug for Noise {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Noise(secret)")
    }
}
