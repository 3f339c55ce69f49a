//! What is sealed at log-in: a NaCl box (X25519, XSalsa20-Poly1305) of a little JSON, each way.
//!
//! ```text
//! | nonce 24 | authenticator 16 | JSON … |
//! ```
//!
//! A box can be made only with one of the two private keys, so it proves to each side who the other is. It
//! is no protection against replay: whoever records a client's box can send it to the same relay again, and
//! gets connected under that key, where it can read nothing and be no peer. TLS is against that.

use crypto_box::aead::Aead;
use crypto_box::{Nonce, PublicKey as BoxPublicKey, SalsaBox, SecretKey};
use serde::{Deserialize, Serialize};

use crate::keys::{PrivateKey, PublicKey};

/// Bytes of the nonce in front of a box.
pub const NONCE_LEN: usize = 24;

/// What a client says of itself. Fields by the names that Tailscale gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// The protocol version that it speaks.
    #[serde(default)]
    pub version: u32,
    /// It answers pings.
    #[serde(default, rename = "CanAckPings")]
    pub can_ack_pings: bool,
    /// It is there to see whether the relay works, and is no node.
    #[serde(default, rename = "IsProber")]
    pub is_prober: bool,
}

/// What a relay says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The protocol version that it speaks.
    #[serde(default)]
    pub version: u32,
    /// Bytes a second that it takes from a client for long; 0 when it names no limit.
    #[serde(
        default,
        rename = "TokenBucketBytesPerSecond",
        skip_serializing_if = "is_zero"
    )]
    pub bytes_per_second: u64,
    /// Bytes that it takes at once.
    #[serde(
        default,
        rename = "TokenBucketBytesBurst",
        skip_serializing_if = "is_zero"
    )]
    pub burst: u64,
}

/// A box that does not open, or holds something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoxError {
    /// Not made with the key that it should be, or changed on the way.
    #[error("the box does not open: not made with the key that it names")]
    Forged,
    /// What is in it is not the JSON that should be.
    #[error("the box holds something else than what is due at log-in")]
    Foreign,
}

/// Seals `content` for `to`. `nonce` must never be used twice between the same two keys.
pub fn seal(
    content: &impl Serialize,
    from: &PrivateKey,
    to: &PublicKey,
    nonce: [u8; NONCE_LEN],
) -> Vec<u8> {
    let json = serde_json::to_vec(content).expect("plain structures become JSON");
    let sealed = agree(from, to).encrypt(Nonce::from_slice(&nonce), &json[..]);
    let sealed = sealed.expect("memory for a few hundred bytes");
    [&nonce[..], &sealed].concat()
}

/// Opens nonce and box from `from`.
///
/// # Errors
/// It was not made by `from` for us, or holds something else.
pub fn open<T: for<'de> Deserialize<'de>>(
    sealed: &[u8],
    to: &PrivateKey,
    from: &PublicKey,
) -> Result<T, BoxError> {
    let (nonce, sealed) = sealed
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(BoxError::Forged)?;
    let json = agree(to, from).decrypt(Nonce::from_slice(nonce), sealed);
    serde_json::from_slice(&json.map_err(|_| BoxError::Forged)?).map_err(|_| BoxError::Foreign)
}

fn agree(private: &PrivateKey, public: &PublicKey) -> SalsaBox {
    let public = BoxPublicKey::from_bytes(*public.as_bytes());
    SalsaBox::new(&public, &SecretKey::from_bytes(*private.expose()))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the NaCl documentation ("crypto_box", by Bernstein, Lange and Schwabe): keys, nonce and
    /// box of its tests/box.c, whose message begins so.
    #[test]
    fn boxes_are_those_of_nacl() {
        let alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
        let bob = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
        let (alice, bob) = (PrivateKey::from_hex(alice), PublicKey::from_hex(bob));
        let (alice, bob) = (alice.unwrap(), bob.unwrap());
        let nonce = [
            0x69, 0x69, 0x6e, 0xe9, 0x55, 0xb6, 0x2b, 0x73, 0xcd, 0x62, 0xbd, 0xa8, 0x75, 0xfc,
            0x73, 0xd6, 0x82, 0x19, 0xe0, 0x03, 0x6b, 0x7a, 0x0b, 0x37,
        ];
        let message = [
            0xbe, 0x07, 0x5f, 0xc5, 0x3c, 0x81, 0xf2, 0xd5, 0xcf, 0x14, 0x13, 0x16, 0xeb, 0xeb,
            0x0c, 0x7b, 0x52, 0x28, 0xc5, 0x2a, 0x4c, 0x62, 0xcb, 0xd4, 0x4b, 0x66, 0x84, 0x9b,
            0x64, 0x24, 0x4f, 0xfc, 0xe5, 0xec, 0xba, 0xaf, 0x33, 0xbd, 0x75, 0x1a, 0x1a, 0xc7,
            0x28, 0xd4, 0x5e, 0x6c, 0x61, 0x29, 0x6c, 0xdc, 0x3c, 0x01, 0x23, 0x35, 0x61, 0xf4,
            0x1d, 0xb6, 0x6c, 0xce, 0x31, 0x4a, 0xdb, 0x31, 0x0e, 0x3b, 0xe8, 0x25, 0x0c, 0x46,
            0xf0, 0x6d, 0xce, 0xea, 0x3a, 0x7f, 0xa1, 0x34, 0x80, 0x57, 0xe2, 0xf6, 0x55, 0x6a,
            0xd6, 0xb1, 0x31, 0x8a, 0x02, 0x4a, 0x83, 0x8f, 0x21, 0xaf, 0x1f, 0xde, 0x04, 0x89,
            0x77, 0xeb, 0x48, 0xf5, 0x9f, 0xfd, 0x49, 0x24, 0xca, 0x1c, 0x60, 0x90, 0x2e, 0x52,
            0xf0, 0xa0, 0x89, 0xbc, 0x76, 0x89, 0x70, 0x40, 0xe0, 0x82, 0xf9, 0x37, 0x76, 0x38,
            0x48, 0x64, 0x5e, 0x07, 0x05,
        ];
        let authenticator = [
            0xf3, 0xff, 0xc7, 0x70, 0x3f, 0x94, 0x00, 0xe5, 0x2a, 0x7d, 0xfb, 0x4b, 0x3d, 0x33,
            0x05, 0xd9,
        ];
        let sealed = agree(&alice, &bob).encrypt(Nonce::from_slice(&nonce), &message[..]);
        assert_eq!(sealed.unwrap()[..16], authenticator);
    }

    #[test]
    fn a_box_opens_for_its_two_keys_only_and_unchanged() {
        let [client, relay, other] = [1, 2, 3].map(|byte| PrivateKey::new([byte; 32]));
        let info = ClientInfo {
            version: 2,
            can_ack_pings: true,
            is_prober: false,
        };
        let sealed = seal(&info, &client, &relay.public_key(), [7; NONCE_LEN]);
        let opened = open(&sealed, &relay, &client.public_key());
        assert_eq!(opened, Ok(info));
        let refused = open::<ClientInfo>(&sealed, &relay, &other.public_key());
        assert_eq!(refused, Err(BoxError::Forged));
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            let refused = open::<ClientInfo>(&changed, &relay, &client.public_key());
            assert_eq!(refused, Err(BoxError::Forged), "byte {position}");
        }
        let strange = seal(&"hello", &client, &relay.public_key(), [8; NONCE_LEN]);
        let refused = open::<ClientInfo>(&strange, &relay, &client.public_key());
        assert_eq!(refused, Err(BoxError::Foreign));
    }

    #[test]
    fn fields_that_nobody_knows_yet_do_no_harm() {
        let [client, relay] = [1, 2].map(|byte| PrivateKey::new([byte; 32]));
        let later = serde_json::json!({"version": 9, "meshKey": "…", "Later": [1, 2]});
        let sealed = seal(&later, &client, &relay.public_key(), [7; NONCE_LEN]);
        let opened: ClientInfo = open(&sealed, &relay, &client.public_key()).unwrap();
        assert_eq!((opened.version, opened.can_ack_pings), (9, false));
    }
}
