//! The secret that two peers share.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::text::{self, KeyError, KeyKind};

/// The secret that two peers share. Wiped on drop; never shown.
#[derive(Clone)]
pub struct PresharedKey(Zeroizing<[u8; 32]>);

impl PresharedKey {
    /// Takes the key's bytes. The caller wipes its own copy.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key from 44 characters of base64, as `wg genpsk` prints it.
    ///
    /// # Errors
    ///
    /// Not base64 of 32 bytes, or all zero.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        text::from_base64(KeyKind::Preshared, text).map(Self)
    }

    /// The key from 64 hex digits of either case.
    ///
    /// # Errors
    ///
    /// Not 64 hex digits, or all zero.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        text::from_hex(KeyKind::Preshared, text).map(Self)
    }

    /// The raw key, for writing it to a file that only its owner reads.
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
}

impl core::fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PresharedKey(secret)")
    }
}

impl PartialEq for PresharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for PresharedKey {}
