//! The secrets of one handshake, kept where snow cannot copy them.
//!
//! Snow holds the chaining key and the pre-shared key in plain arrays that it copies and never wipes;
//! and from the last chaining key the session keys follow. So snow gets *stand-ins*: the chaining
//! key's is a number, the pre-shared key's is zero. Both come back to us whenever they are to be used,
//! as arguments of our key derivation, which looks up what they stand for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::primitives::{Secret, kdf};
use super::reveal::{Recorder, TokenState};
use crate::keys::{PresharedKey, PrivateKey};

/// One handshake's secrets, as the handshake and its primitives share them.
#[derive(Clone)]
pub(super) struct Vault(Arc<Mutex<Secrets>>);

struct Secrets {
    /// Taken when the ephemeral key is made.
    ephemeral: Option<PrivateKey>,
    preshared: Secret,
    /// Every chaining key so far: snow goes back to an earlier one when a message is refused.
    chaining_keys: Vec<Secret>,
    recorder: Option<Recorder>,
    /// Of our static key, since the message began.
    static_agreements: usize,
    refused_stranger: bool,
}

impl Vault {
    pub(super) fn new(recorder: Option<Recorder>) -> Self {
        Self(Arc::new(Mutex::new(Secrets {
            ephemeral: None,
            preshared: Zeroizing::new([0; 32]),
            chaining_keys: Vec::with_capacity(8),
            recorder,
            static_agreements: 0,
            refused_stranger: false,
        })))
    }

    pub(super) fn set_ephemeral(&self, ephemeral: PrivateKey) {
        self.lock().ephemeral = Some(ephemeral);
    }

    pub(super) fn take_ephemeral(&self) -> Option<PrivateKey> {
        self.lock().ephemeral.take()
    }

    pub(super) fn set_preshared(&self, preshared: &PresharedKey) {
        self.lock().preshared = Zeroizing::new(*preshared.expose());
    }

    pub(super) fn refuse_stranger(&self) {
        self.lock().refused_stranger = true;
    }

    pub(super) fn has_refused_stranger(&self) -> bool {
        self.lock().refused_stranger
    }

    /// Another message begins: what was noted of one that was refused is void.
    pub(super) fn begin_message(&self, number: usize) {
        let mut secrets = self.lock();
        secrets.static_agreements = 0;
        secrets.refused_stranger = false;
        if let Some(recorder) = &mut secrets.recorder {
            recorder.begin_message(number);
        }
    }

    /// Takes note of an agreement of our static key; true when it is the message's first.
    pub(super) fn begin_static_agreement(&self) -> bool {
        let mut secrets = self.lock();
        secrets.static_agreements += 1;
        secrets.static_agreements == 1
    }

    pub(super) fn recorded(&self) -> Vec<TokenState> {
        let secrets = self.lock();
        let recorder = secrets.recorder.as_ref();
        recorder.map_or_else(Vec::new, Recorder::states)
    }

    /// The running hash is `hash` now.
    pub(super) fn note_hash(&self, hash: &[u8; 32]) {
        if let Some(recorder) = &mut self.lock().recorder {
            recorder.note_hash(hash);
        }
    }

    /// MixKey: derives a new chaining key from `input`; returns what stands for it, and the other output.
    pub(super) fn mix_key(&self, chaining_key: &[u8; 32], input: &[u8]) -> ([u8; 32], Secret) {
        let mut secrets = self.lock();
        let [next, key, _] = kdf(&secrets.resolve(chaining_key), input);
        (secrets.keep(next), key)
    }

    /// MixKeyAndHash of the pre-shared key: returns what stands for the new chaining key, and the other
    /// two outputs.
    pub(super) fn mix_preshared(&self, chaining_key: &[u8; 32]) -> ([u8; 32], Secret, Secret) {
        let mut secrets = self.lock();
        let [next, hash, key] = kdf(&secrets.resolve(chaining_key), &*secrets.preshared);
        (secrets.keep(next), hash, key)
    }

    /// Split: the keys of the two directions.
    pub(super) fn split(&self, chaining_key: &[u8; 32]) -> [Secret; 2] {
        let [initiator, responder, _] = kdf(&self.lock().resolve(chaining_key), &[]);
        [initiator, responder]
    }

    fn lock(&self) -> MutexGuard<'_, Secrets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets {
    /// The chaining key that `stand_in` stands for. The first one is the hash of the construction's name,
    /// which is no secret: it stands for itself.
    fn resolve(&self, stand_in: &[u8; 32]) -> Secret {
        let (number, zeros) = stand_in.split_at(8);
        let number = number
            .iter()
            .rfold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let known = self.chaining_keys.get(number);
        match known.filter(|_| zeros.iter().all(|byte| *byte == 0)) {
            Some(key) => key.clone(),
            None => Zeroizing::new(*stand_in),
        }
    }

    fn keep(&mut self, chaining_key: Secret) -> [u8; 32] {
        if let Some(recorder) = &mut self.recorder {
            recorder.note_chaining_key(&chaining_key);
        }
        let mut stand_in = [0; 32];
        stand_in[..8].copy_from_slice(&(self.chaining_keys.len() as u64).to_le_bytes());
        self.chaining_keys.push(chaining_key);
        stand_in
    }
}
