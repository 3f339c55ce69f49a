//! The primitives that snow computes with: seeded, wiped, and with their secrets in a [`Vault`].

use core::mem::take;
use std::sync::Arc;

use blake2::{Blake2s256, Digest};
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use zeroize::Zeroizing;

use super::identity::{Identity, Refusal};
use super::primitives::{Secret, dh, hmac};
use super::vault::Vault;
use crate::keys::{PrivateKey, PublicKey};
use crate::session::aead::{TAG_LEN, nonce};

/// Hands out the primitives of one handshake.
pub(super) struct Resolver {
    pub(super) identity: Arc<Identity>,
    pub(super) vault: Vault,
    /// Whose static key we may be asked about: known to the initiator beforehand.
    pub(super) peer: Option<PublicKey>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(GivenEphemeral(self.vault.clone())))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| {
            Box::new(X25519 {
                public: [0; 32],
                ephemeral: None,
                identity: Arc::clone(&self.identity),
                vault: self.vault.clone(),
                peer: self.peer,
            }) as Box<dyn Dh>
        })
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::Blake2s).then(|| {
            Box::new(Blake2s {
                hash: Blake2s256::new(),
                vault: self.vault.clone(),
            }) as Box<dyn Hash>
        })
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly)
            .then(|| Box::new(ChaChaPoly(Secret::default())) as Box<dyn Cipher>)
    }
}

/// The "random numbers" of a handshake: its ephemeral key, once.
struct GivenEphemeral(Vault);

impl Random for GivenEphemeral {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let key = self.0.take_ephemeral().ok_or(Error::Rng)?;
        if dest.len() != key.expose().len() {
            return Err(Error::Rng);
        }
        dest.copy_from_slice(key.expose());
        Ok(())
    }
}

/// Our static key, which the [`Identity`] holds, or an ephemeral one.
struct X25519 {
    public: [u8; 32],
    /// None for the static key.
    ephemeral: Option<PrivateKey>,
    identity: Arc<Identity>,
    vault: Vault,
    peer: Option<PublicKey>,
}

impl X25519 {
    fn static_agreement(&self, public: &PublicKey) -> Result<Secret, Error> {
        // A responder agrees with the initiator's ephemeral key first (es), and then with its static
        // key (ss), which it has only then learnt.
        let is_first = self.vault.begin_static_agreement();
        let is_with_peer = self.peer.map_or(!is_first, |peer| peer == *public);
        if !is_with_peer {
            return self.identity.agree_with(public).ok_or(Error::Dh);
        }
        self.identity.shared_with(public).map_err(|refusal| {
            if refusal == Refusal::Stranger {
                self.vault.refuse_stranger();
            }
            Error::Dh
        })
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    /// Snow sets only the static key.
    fn set(&mut self, _private: &[u8]) {
        self.public = *self.identity.public_key().as_bytes();
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut *bytes)?;
        let key = PrivateKey::new(*bytes);
        self.public = *key.public_key().as_bytes();
        self.ephemeral = Some(key);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    /// Snow asks only for keys that it wants to export, which we never do.
    fn privkey(&self) -> &[u8] {
        &[]
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = public.first_chunk().ok_or(Error::Dh)?;
        let public = PublicKey::new(*public);
        let shared = match &self.ephemeral {
            Some(private) => dh(private, &public).ok_or(Error::Dh)?,
            None => self.static_agreement(&public)?,
        };
        out.get_mut(..32)
            .ok_or(Error::Dh)?
            .copy_from_slice(&*shared);
        Ok(())
    }
}

/// BLAKE2s, and the key derivation, in which the stand-ins are resolved.
struct Blake2s {
    hash: Blake2s256,
    vault: Vault,
}

impl Hash for Blake2s {
    fn name(&self) -> &'static str {
        "BLAKE2s"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.hash = Blake2s256::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.hash.update(data);
    }

    /// Snow hashes nothing but the running hash with this, since it derives keys by [`Self::hkdf`].
    fn result(&mut self, out: &mut [u8]) {
        let hash: [u8; 32] = take(&mut self.hash).finalize().into();
        out[..32].copy_from_slice(&hash);
        self.vault.note_hash(&hash);
    }

    fn hmac(&mut self, key: &[u8], data: &[u8], out: &mut [u8]) {
        let key = key
            .first_chunk()
            .expect("snow's keys have the hash's length");
        out[..32].copy_from_slice(&*hmac(key, &[data]));
    }

    fn hkdf(
        &mut self,
        chaining_key: &[u8],
        input: &[u8],
        outputs: usize,
        out1: &mut [u8],
        out2: &mut [u8],
        out3: &mut [u8],
    ) {
        let chaining_key = chaining_key
            .first_chunk()
            .expect("snow's chaining keys have the hash's length");
        if outputs == 3 {
            // The pattern's only token with three outputs is psk.
            let (stand_in, hash, key) = self.vault.mix_preshared(chaining_key);
            out1[..32].copy_from_slice(&stand_in);
            out2[..32].copy_from_slice(&*hash);
            out3[..32].copy_from_slice(&*key);
        } else if input.is_empty() {
            // Only Split has nothing to mix in.
            let [initiator, responder] = self.vault.split(chaining_key);
            out1[..32].copy_from_slice(&*initiator);
            out2[..32].copy_from_slice(&*responder);
        } else {
            let (stand_in, key) = self.vault.mix_key(chaining_key, input);
            out1[..32].copy_from_slice(&stand_in);
            out2[..32].copy_from_slice(&*key);
        }
    }
}

/// ChaCha20-Poly1305 under one key.
struct ChaChaPoly(Secret);

impl ChaChaPoly {
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Zeroizing::new(*key);
    }

    fn encrypt(&self, number: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let tag = self
            .cipher()
            .encrypt_in_place_detached(Nonce::from_slice(&nonce(number)), authtext, text)
            .expect("a handshake message is far below the cipher's limit of 256 GiB");
        rest[..TAG_LEN].copy_from_slice(&tag);
        plaintext.len() + TAG_LEN
    }

    fn decrypt(
        &self,
        number: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (text, tag) = ciphertext
            .split_last_chunk::<TAG_LEN>()
            .ok_or(Error::Decrypt)?;
        let out = out.get_mut(..text.len()).ok_or(Error::Decrypt)?;
        out.copy_from_slice(text);
        self.cipher()
            .decrypt_in_place_detached(
                Nonce::from_slice(&nonce(number)),
                authtext,
                out,
                Tag::from_slice(tag),
            )
            .map_err(|_| Error::Decrypt)?;
        Ok(text.len())
    }
}
