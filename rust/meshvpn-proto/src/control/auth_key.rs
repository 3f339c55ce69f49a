//! Auth keys: what a machine joins a mesh with.
//!
//! ```text
//! meshkey_3kq7x2ab_‹86 characters of base64url: the coordinator's public key, then 32 secret bytes›
//!         └ the key's name in lists and logs: no secret
//! ```
//!
//! So one string tells a machine whom to trust, and the coordinator whom to admit. The coordinator keeps
//! a hash of the secret, never the key.

use core::fmt;
use core::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use blake2::{Blake2s256, Digest};
use zeroize::Zeroizing;

use crate::keys::PublicKey;

const PREFIX: &str = "meshkey_";
const ID_LEN: usize = 8;
/// Letters and digits that are hard to mistake for each other.
const ID_ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
const SECRET_LEN: usize = 32;
const BODY_LEN: usize = 32 + SECRET_LEN;

/// A key that admits a machine. Wiped on drop, never shown.
#[derive(Clone)]
pub struct AuthKey {
    id: AuthKeyId,
    coordinator: PublicKey,
    secret: Zeroizing<[u8; SECRET_LEN]>,
}

/// The name of an auth key: eight letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthKeyId(Box<str>);

/// Text that is no auth key. It repeats nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an auth key: it begins with {PREFIX} and has 103 characters; make one with \
     `meshvpn coordinator keys create`"
)]
pub struct AuthKeyError;

impl AuthKey {
    /// A new key: `random` must come from a cryptographic source.
    pub fn generate(coordinator: PublicKey, random: &[u8; 40]) -> Self {
        let (name, secret) = random.split_at(ID_LEN);
        let letter = |byte: &u8| char::from(ID_ALPHABET[usize::from(*byte) % ID_ALPHABET.len()]);
        let mut key = Self {
            id: AuthKeyId(name.iter().map(letter).collect()),
            coordinator,
            secret: Zeroizing::new([0; SECRET_LEN]),
        };
        key.secret.copy_from_slice(secret);
        key
    }

    /// Its name, under which the coordinator finds it.
    pub fn id(&self) -> &AuthKeyId {
        &self.id
    }

    /// The public key of the coordinator that made it.
    pub fn coordinator(&self) -> PublicKey {
        self.coordinator
    }

    /// What the coordinator keeps: BLAKE2s of the secret, which is too random to be guessed.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Blake2s256::new();
        hash.update(b"meshvpn auth key v1\n");
        hash.update(*self.secret);
        hash.finalize().into()
    }

    /// The key as text. This reveals it.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut body = Zeroizing::new([0; BODY_LEN]);
        body[..32].copy_from_slice(self.coordinator.as_bytes());
        body[32..].copy_from_slice(&*self.secret);
        let body = Zeroizing::new(Base64UrlUnpadded::encode_string(&*body));
        Zeroizing::new(format!("{PREFIX}{}_{}", self.id, *body))
    }
}

impl FromStr for AuthKey {
    type Err = AuthKeyError;

    fn from_str(text: &str) -> Result<Self, AuthKeyError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(AuthKeyError)?;
        let (id, body) = rest.split_once('_').ok_or(AuthKeyError)?;
        let id = AuthKeyId::parse(id).ok_or(AuthKeyError)?;
        let mut bytes = Zeroizing::new([0; BODY_LEN + 2]);
        let bytes = Base64UrlUnpadded::decode(body, &mut *bytes);
        let bytes = bytes.map_err(|_| AuthKeyError)?;
        let (coordinator, secret) = bytes.split_first_chunk().ok_or(AuthKeyError)?;
        if secret.len() != SECRET_LEN {
            return Err(AuthKeyError);
        }
        let mut key = Self {
            id,
            coordinator: PublicKey::new(*coordinator),
            secret: Zeroizing::new([0; SECRET_LEN]),
        };
        key.secret.copy_from_slice(secret);
        Ok(key)
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthKey({}, secret)", self.id)
    }
}

impl AuthKeyId {
    /// The name, if it can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_known = |byte: u8| ID_ALPHABET.contains(&byte);
        let is_id = text.len() == ID_LEN && text.bytes().all(is_known);
        is_id.then(|| Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuthKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text() {
        let key = AuthKey::generate(
            PublicKey::new([9; 32]),
            &core::array::from_fn(|at| at as u8),
        );
        let text = key.to_text();
        assert_eq!(text.len(), 103);
        let read: AuthKey = text.parse().unwrap();
        assert_eq!(read.id(), key.id());
        assert_eq!(read.coordinator(), PublicKey::new([9; 32]));
        assert_eq!(read.hash(), key.hash());
        assert_eq!(format!("{key:?}"), "AuthKey(abcdefgh, secret)");
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let text = AuthKey::generate(PublicKey::new([9; 32]), &[1; 40]).to_text();
        for wrong in [
            "",
            "meshkey_",
            "meshkey_bbbbbbbb_AAAA",
            &text[1..],
            &text[..102],
            &format!("{}A", *text),
            &text.replace("bbbbbbbb", "bbbbbbb1"),
        ] {
            let error = wrong.parse::<AuthKey>().unwrap_err();
            assert!(wrong.is_empty() || !error.to_string().contains(wrong) || wrong == "meshkey_");
        }
    }
}
