//! A peer's identity: a private key and the public key that belongs to it (X25519, RFC 7748).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, Zeroizing};

use super::text::{self, KeyError, KeyKind};

/// What a peer proves its identity with. Wiped on drop; never shown.
///
/// Always *clamped* (RFC 7748, section 5): three low bits cleared, the two highest set to 01, as every
/// WireGuard implementation stores and shows it.
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<[u8; 32]>);

impl PrivateKey {
    /// Clamps any 32 bytes: those of an existing key stay as they are, random ones become a new key.
    /// The caller wipes its own copy.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        bytes[0] &= 0b1111_1000;
        bytes[31] = (bytes[31] & 0b0111_1111) | 0b0100_0000;
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// The key from 44 characters of base64, as `wg genkey` prints it.
    ///
    /// # Errors
    ///
    /// Not base64 of 32 bytes, or all zero.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        text::from_base64(KeyKind::Private, text).map(|bytes| Self::new(*bytes))
    }

    /// The key from 64 hex digits of either case.
    ///
    /// # Errors
    ///
    /// Not 64 hex digits, or all zero.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        text::from_hex(KeyKind::Private, text).map(|bytes| Self::new(*bytes))
    }

    /// The raw key, for the handshake and for writing it to where only its owner reads.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as 44 characters. This reveals it.
    pub fn to_base64(&self) -> Zeroizing<String> {
        text::to_base64(&self.0)
    }

    /// The key as 64 lowercase hex digits. This reveals it.
    pub fn to_hex(&self) -> Zeroizing<String> {
        text::to_hex(&self.0)
    }

    /// What others know this peer by. A multiplication on the curve: some 15 µs.
    pub fn public_key(&self) -> PublicKey {
        let secret = StaticSecret::from(*self.0);
        PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(secret)")
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for PrivateKey {}

/// What a peer is known by. No secret; shown as base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the key's bytes as they are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key from 44 characters of base64, as `wg pubkey` prints it.
    ///
    /// # Errors
    ///
    /// Not base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        text::from_base64(KeyKind::Public, text).map(|bytes| Self(*bytes))
    }

    /// The key from 64 hex digits of either case.
    ///
    /// # Errors
    ///
    /// Not 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        text::from_hex(KeyKind::Public, text).map(|bytes| Self(*bytes))
    }

    /// The raw key, as it travels.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as 44 characters.
    pub fn to_base64(self) -> String {
        text::to_base64(&self.0).to_string()
    }

    /// The key as 64 lowercase hex digits.
    pub fn to_hex(self) -> String {
        text::to_hex(&self.0).to_string()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_base64(text)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&text::to_base64(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// As text, in base64.
impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
