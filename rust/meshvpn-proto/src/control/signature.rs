//! Ed25519 over what nodes are told of the mesh (RFC 8032).
//!
//! A node learns the mesh's public key on its first authenticated channel and keeps it. From then on it
//! can trust a map that comes from a file, too: only a coordinator of its mesh can have written it.

use core::fmt;
use core::str::FromStr;

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// What is signed, so that one can never stand for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A [`View`](super::view::View), whole.
    View,
    /// A [`Delta`](super::delta::Delta).
    Delta,
}

impl Kind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::View => b"meshvpn view v1\n",
            Self::Delta => b"meshvpn delta v1\n",
        }
    }
}

/// The mesh's private key. Wiped on drop, never shown.
pub struct Signer(SigningKey);

impl Signer {
    /// The key that 32 secret random bytes make. The caller wipes its own copy.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The bytes that it was made from, for storing them where only the coordinators read.
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// What its signatures are checked with.
    pub fn map_key(&self) -> MapKey {
        MapKey(self.0.verifying_key().to_bytes())
    }

    /// Signs JSON.
    pub fn sign(&self, kind: Kind, text: &str) -> Signed {
        let signature = self.0.sign(&labelled(kind, text));
        Signed {
            text: text.into(),
            signature: Base64::encode_string(&signature.to_bytes()).into(),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(secret)")
    }
}

/// The mesh's public key: what signatures are checked with. Base64 as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapKey([u8; 32]);

impl MapKey {
    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Text that is no key of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mesh's map key is 44 characters of base64")]
pub struct MapKeyError;

impl FromStr for MapKey {
    type Err = MapKeyError;

    fn from_str(text: &str) -> Result<Self, MapKeyError> {
        let mut bytes = [0; 33];
        let key = Base64::decode(text, &mut bytes).map_err(|_| MapKeyError)?;
        key.try_into().map(Self).map_err(|_| MapKeyError)
    }
}

impl fmt::Display for MapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Base64::encode_string(&self.0))
    }
}

impl fmt::Debug for MapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapKey({self})")
    }
}

impl Serialize for MapKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MapKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// JSON with a signature, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The JSON, byte for byte as it was signed.
    pub(super) text: Box<str>,
    /// 64 bytes in base64.
    pub(super) signature: Box<str>,
}

/// Why signed JSON is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Changed, or signed by another mesh.
    #[error("the signature is not this mesh's")]
    NotAuthentic,
    /// Signed, and yet not what it should be.
    #[error("signed, but not understood: {0}")]
    NotUnderstood(String),
}

impl Signed {
    /// What was signed, if it was by this mesh.
    ///
    /// # Errors
    /// Why it is not to be believed.
    pub fn open<'a, T: Deserialize<'a>>(
        &'a self,
        kind: Kind,
        key: &MapKey,
    ) -> Result<T, SignatureError> {
        let mut bytes = [0; 66];
        let signature = Base64::decode(&*self.signature, &mut bytes);
        let signature = signature.map_err(|_| SignatureError::NotAuthentic)?;
        let signature = Signature::from_slice(signature);
        let signature = signature.map_err(|_| SignatureError::NotAuthentic)?;
        VerifyingKey::from_bytes(&key.0)
            .and_then(|key| key.verify_strict(&labelled(kind, &self.text), &signature))
            .map_err(|_| SignatureError::NotAuthentic)?;
        serde_json::from_str(&self.text)
            .map_err(|error| SignatureError::NotUnderstood(error.to_string()))
    }

    /// Bytes of the JSON.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is no JSON, which then is none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

fn labelled(kind: Kind, text: &str) -> Vec<u8> {
    [kind.label(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn the_published_key_comes_out() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let bytes = |hex: &str| {
            let mut bytes = [0; 32];
            base16ct::lower::decode(hex, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(Signer::new(&bytes(seed)).map_key().0, bytes(public));
    }

    #[test]
    fn only_what_was_signed_is_believed() {
        let signer = Signer::new(&[7; 32]);
        let key = signer.map_key();
        let signed = signer.sign(Kind::View, "{\"a\":1}");
        let open =
            |signed: &Signed, kind, key| signed.open::<serde_json::Value>(kind, key).map(drop);
        assert_eq!(open(&signed, Kind::View, &key), Ok(()));
        let refused = Err(SignatureError::NotAuthentic);
        assert_eq!(open(&signed, Kind::Delta, &key), refused);
        let other = Signer::new(&[8; 32]).map_key();
        assert_eq!(open(&signed, Kind::View, &other), refused);
        let mut changed = signed.clone();
        changed.text = "{\"a\":2}".into();
        assert_eq!(open(&changed, Kind::View, &key), refused);
        for text in ["", "AAAA", "no base64", &"A".repeat(88)] {
            changed = signed.clone();
            changed.signature = text.into();
            assert_eq!(open(&changed, Kind::View, &key), refused);
        }
        let no_json = signer.sign(Kind::View, "{");
        let error = open(&no_json, Kind::View, &key).unwrap_err();
        assert!(matches!(error, SignatureError::NotUnderstood(_)));
    }

    #[test]
    fn a_key_survives_its_text() {
        let key = Signer::new(&[7; 32]).map_key();
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("AAAA".parse::<MapKey>(), Err(MapKeyError));
        assert_eq!(format!("{:?}", Signer::new(&[7; 32])), "Signer(secret)");
    }
}
