//! Both sides of WireGuard's handshake, a message a call.
//!
//! Nothing here knows of MACs, timers or who may shake hands when: that is the device's business. What
//! a message was refused for, nobody on the network is told.
//!
//! A responder first [reads](Responder::read) an initiation and knows then who it is from; when the
//! device agrees, it [answers](Responder::answer). An initiator may be given any number of wrong responses
//! and still take the right one.

use std::sync::Arc;

use super::PROLOGUE;
use super::identity::Identity;
pub use super::ikpsk2::{HandshakeError, SessionKeys};
use super::ikpsk2::{IkPsk2, Secrets};
use super::messages::{Initiation, Response};
use super::reveal::TokenState;
use super::tai64n::Tai64n;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};

/// The side that begins.
#[derive(Debug)]
pub struct Initiator(IkPsk2);

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
        Self::start(identity, peer, preshared, ephemeral, Secrets::Hidden)
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
        Self::start(identity, peer, preshared, ephemeral, Secrets::Recorded)
    }

    /// The first message, by which the responder is to answer to number `sender`.
    ///
    /// # Errors
    /// [`HandshakeError::OutOfOrder`] the second time; [`HandshakeError::NotAuthentic`] when the peer's public
    /// key agrees with everyone on zero.
    pub fn initiate(&mut self, sender: u32, now: &Tai64n) -> Result<Initiation, HandshakeError> {
        let noise = self.0.write(now.as_bytes())?;
        Ok(Initiation::new(sender, &fixed(noise)))
    }

    /// Takes the answer. After an error, the next one may be the right one.
    ///
    /// # Errors
    /// When it is not the peer's answer to our message.
    pub fn finish(&mut self, response: &Response) -> Result<SessionKeys, HandshakeError> {
        self.0.read(response.noise())?;
        self.0.split()
    }

    /// The state after each token so far; empty unless they were to be revealed.
    pub fn secrets(&self) -> Vec<TokenState> {
        self.0.secrets()
    }

    fn start(
        identity: &Arc<Identity>,
        peer: PublicKey,
        preshared: Option<&PresharedKey>,
        ephemeral: PrivateKey,
        secrets: Secrets,
    ) -> Result<Self, HandshakeError> {
        let mut noise = IkPsk2::new(identity, Some(peer), PROLOGUE, secrets);
        noise.set_preshared(preshared);
        noise.set_ephemeral(ephemeral);
        Ok(Self(noise))
    }
}

/// The side that answers: it has read an initiation, and nothing is decided yet.
#[derive(Debug)]
pub struct Responder {
    noise: IkPsk2,
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
        Self::start(identity, initiation, Secrets::Hidden)
    }

    /// The same, and [`Self::secrets`] tells afterwards what went on inside.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn reveal_secrets(
        identity: &Arc<Identity>,
        initiation: &Initiation,
    ) -> Result<Self, HandshakeError> {
        Self::start(identity, initiation, Secrets::Recorded)
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
        self.noise.set_ephemeral(ephemeral);
        let noise = self.noise.write(&[])?;
        let keys = self.noise.split()?;
        let response = Response::new(sender, self.index, &fixed(noise));
        Ok((response, keys))
    }

    /// The state after each token so far; empty unless they were to be revealed.
    pub fn secrets(&self) -> Vec<TokenState> {
        self.noise.secrets()
    }

    fn start(
        identity: &Arc<Identity>,
        initiation: &Initiation,
        secrets: Secrets,
    ) -> Result<Self, HandshakeError> {
        let mut noise = IkPsk2::new(identity, None, PROLOGUE, secrets);
        let timestamp = noise.read(initiation.noise())?;
        let initiator = noise.peer().ok_or(HandshakeError::OutOfOrder)?;
        Ok(Self {
            noise,
            initiator,
            timestamp: Tai64n::from_bytes(fixed(timestamp)),
            index: initiation.sender(),
        })
    }
}

/// What has this length because the message it is of, or in, has.
fn fixed<const LEN: usize>(bytes: Vec<u8>) -> [u8; LEN] {
    let bytes = bytes.try_into();
    bytes.expect("payloads and messages of WireGuard's handshake have fixed lengths")
}
