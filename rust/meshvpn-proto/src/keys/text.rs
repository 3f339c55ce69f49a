//! Keys as text, and what can be wrong with it.

use core::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{BASE64_LEN, HEX_LEN, KEY_LEN};

/// Which key a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// A [`PrivateKey`](super::PrivateKey).
    Private,
    /// A [`PublicKey`](super::PublicKey).
    Public,
    /// A [`PresharedKey`](super::PresharedKey).
    Preshared,
}

impl KeyKind {
    /// Where to get one.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Private => "make one with: meshvpn genkey",
            Self::Public => "make it from the peer's private key with: meshvpn pubkey",
            Self::Preshared => "make one with: meshvpn genpsk",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private key",
            Self::Public => "public key",
            Self::Preshared => "pre-shared key",
        })
    }
}

/// What is wrong with a key's text. Nothing of the text is in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyDefect {
    /// Too long or too short for base64.
    #[error("{0} bytes instead of the {BASE64_LEN} characters of a key in base64")]
    Base64Length(usize),
    /// A character that base64 does not have, or an end that no 32 bytes give.
    #[error("not base64")]
    NotBase64,
    /// Too long or too short for hex.
    #[error("{0} bytes instead of the {HEX_LEN} characters of a key in hex")]
    HexLength(usize),
    /// A character that is no hex digit.
    #[error("not hex")]
    NotHex,
    /// A secret of zeros.
    #[error("all bytes are zero, which everyone can guess")]
    Zero,
}

/// Text that is no key; the message says which kind of key it should have been and where to get one,
/// and repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {defect}; {}", kind.hint())]
pub struct KeyError {
    /// Which key.
    pub kind: KeyKind,
    /// What is wrong.
    pub defect: KeyDefect,
}

pub(super) fn from_base64(kind: KeyKind, text: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, KeyError> {
    let fail = |defect| KeyError { kind, defect };
    if text.len() != BASE64_LEN {
        return Err(fail(KeyDefect::Base64Length(text.len())));
    }
    // One byte more than a key: 44 characters without padding are 33.
    let mut bytes = Zeroizing::new([0; KEY_LEN + 1]);
    match Base64::decode(text, &mut *bytes) {
        Ok(key) if key.len() == KEY_LEN => {}
        _ => return Err(fail(KeyDefect::NotBase64)),
    }
    take(kind, &bytes[..KEY_LEN])
}

pub(super) fn from_hex(kind: KeyKind, text: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, KeyError> {
    let fail = |defect| KeyError { kind, defect };
    if text.len() != HEX_LEN {
        return Err(fail(KeyDefect::HexLength(text.len())));
    }
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    base16ct::mixed::decode(text, &mut *bytes).map_err(|_| fail(KeyDefect::NotHex))?;
    take(kind, &*bytes)
}

fn take(kind: KeyKind, bytes: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, KeyError> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    key.copy_from_slice(bytes);
    let is_zero = key.iter().fold(0, |any, byte| any | byte) == 0;
    if is_zero && kind != KeyKind::Public {
        let defect = KeyDefect::Zero;
        return Err(KeyError { kind, defect });
    }
    Ok(key)
}

pub(super) fn to_base64(bytes: &[u8; KEY_LEN]) -> Zeroizing<String> {
    let mut text = Zeroizing::new([0; BASE64_LEN]);
    let text = Base64::encode(bytes, &mut *text).expect("44 characters hold 32 bytes");
    Zeroizing::new(text.to_owned())
}

pub(super) fn to_hex(bytes: &[u8; KEY_LEN]) -> Zeroizing<String> {
    let mut text = Zeroizing::new([0; HEX_LEN]);
    let text = base16ct::lower::encode_str(bytes, &mut *text).expect("64 characters hold 32 bytes");
    Zeroizing::new(text.to_owned())
}
