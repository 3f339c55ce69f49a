//! Who we are: the static key, and what is computed with it once a peer instead of once a handshake.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::primitives::{Secret, dh};
use crate::keys::{PrivateKey, PublicKey};

/// Our static key, and the static-static secrets (the handshake's `ss`) with the peers that we know.
///
/// A quarter of the multiplications of a handshake are these, and always the same. Knowing them by the
/// peer's key also makes it cheap to refuse a stranger: one multiplication in place of two.
pub struct Identity {
    private: PrivateKey,
    public: PublicKey,
    known: RwLock<BTreeMap<PublicKey, Option<Secret>>>,
    is_open: bool,
}

impl Identity {
    /// An identity that shakes hands with the peers that it [knows](Self::learn), and nobody else.
    pub fn new(private: PrivateKey) -> Self {
        let public = private.public_key();
        Self {
            private,
            public,
            known: RwLock::default(),
            is_open: false,
        }
    }

    /// An identity that shakes hands with anyone: for learning, and for services that decide later.
    pub fn open(private: PrivateKey) -> Self {
        Self {
            is_open: true,
            ..Self::new(private)
        }
    }

    /// What peers know us by.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Our private key.
    pub fn private_key(&self) -> &PrivateKey {
        &self.private
    }

    /// Computes what handshakes with `peer` need every time. A multiplication on the curve: some 40 µs.
    pub fn learn(&self, peer: PublicKey) {
        let shared = dh(&self.private, &peer);
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer, shared);
    }

    /// Forgets `peer`: its handshakes fail from now on.
    pub fn forget(&self, peer: &PublicKey) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(peer);
    }

    /// The static-static secret with `peer`.
    pub(super) fn shared_with(&self, peer: &PublicKey) -> Result<Secret, Refusal> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(peer) {
            Some(shared) => shared.clone().ok_or(Refusal::Worthless),
            None if self.is_open => self.agree_with(peer).ok_or(Refusal::Worthless),
            None => Err(Refusal::Stranger),
        }
    }

    /// The secret with any public key.
    pub(super) fn agree_with(&self, public: &PublicKey) -> Option<Secret> {
        dh(&self.private, public)
    }
}

/// Why there is no static-static secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// We do not know this peer.
    Stranger,
    /// Its key agrees on zero with every other.
    Worthless,
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Identity")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
