//! ChaCha20-Poly1305 by AWS-LC, the backend that runs everywhere.
//!
//! The raw `EVP_AEAD` functions are called rather than `aws-lc-rs`, the safe crate over them. That
//! one is as fast as long as a key is kept, but it allocates a context for each key (35 ns, a fifth
//! of a small packet), and a cache of those would hold the key of a session that has ended. Here
//! the context is a copy of the key on the stack, made for a batch and wiped with it.
//!
//! What it was chosen by, 1420 bytes, seal and open, as ratios of one run on Zen 4:
//!
//! | library | seal | open |
//! |---|---|---|
//! | these functions, out of place | 1.00 | 1.00 |
//! | `aws-lc-rs` 1.19, out of place, key kept (a new key for each packet) | 1.00 (1.05) | 1.00 (1.05) |
//! | `aws-lc-rs` 1.19, copy and seal in place | 1.06 | – |
//! | `ring` 0.17, copy and work in place (it has no other way) | 1.04 | 1.04 |

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use aws_lc_sys::{
    EVP_AEAD_CTX, EVP_AEAD_CTX_cleanup, EVP_AEAD_CTX_init, EVP_AEAD_CTX_open, EVP_AEAD_CTX_seal,
    EVP_aead_chacha20_poly1305, OPENSSL_cleanse,
};
use meshvpn_proto::session::aead::{Aead, Key, Open, Seal, TAG_LEN, nonce};

/// The AWS-LC backend. It keeps nothing between calls.
#[derive(Debug)]
pub(super) struct AwsLc;

impl Aead for AwsLc {
    fn name(&self) -> &'static str {
        super::Backend::AwsLc.name()
    }

    fn seal(&mut self, batch: &mut [Seal<'_>]) {
        let mut context = Context::empty();
        for job in batch {
            context.take_key(job.key);
            context.seal(&nonce(job.counter), &[], job.plaintext, job.out);
        }
    }

    fn open(&mut self, batch: &mut [Open<'_>]) {
        let mut context = Context::empty();
        for job in batch {
            context.take_key(job.key);
            job.valid = context.open(&nonce(job.counter), &[], job.sealed, job.out);
        }
    }
}

/// An `EVP_AEAD_CTX`: for this cipher a copy of the key, without pointers into itself.
pub(super) struct Context<'key> {
    raw: MaybeUninit<EVP_AEAD_CTX>,
    /// Whose key is in `raw`; `raw` is initialised exactly when there is one.
    key: Option<&'key Key>,
}

impl<'key> Context<'key> {
    /// A context without a key, which can be moved without leaving a copy of one behind.
    pub(super) fn empty() -> Self {
        Self {
            raw: MaybeUninit::uninit(),
            key: None,
        }
    }

    /// Makes `key` the one that is used, if it is not already.
    pub(super) fn take_key(&mut self, key: &'key Key) {
        // The borrow keeps the last key where it was, so the same address is the same key.
        if self.key.is_some_and(|last| ptr::eq(last, key)) {
            return;
        }
        let bytes = key.expose();
        // SAFETY: `raw` is writable memory for a context; init writes it without reading it, so
        // an earlier key, which owns nothing, is simply overwritten. The key's length is its own.
        let done = unsafe {
            EVP_AEAD_CTX_init(
                self.raw.as_mut_ptr(),
                EVP_aead_chacha20_poly1305(),
                bytes.as_ptr(),
                bytes.len(),
                TAG_LEN,
                ptr::null_mut(),
            )
        };
        assert_eq!(done, 1, "AWS-LC refused a 32-byte key with a 16-byte tag");
        self.key = Some(key);
    }

    /// Writes `ciphertext ‖ tag` to `out`, which must be exactly that long.
    pub(super) fn seal(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8], out: &mut [u8]) {
        assert!(self.key.is_some(), "sealing before a key was taken");
        assert_eq!(
            out.len(),
            plaintext.len() + TAG_LEN,
            "room for a sealed packet"
        );
        let mut written = 0;
        // SAFETY: the context has a key (asserted), so it is initialised. Every pointer comes with
        // its slice's length, and `out` is a `&mut`, so it overlaps none of the inputs.
        let done = unsafe {
            EVP_AEAD_CTX_seal(
                self.raw.as_ptr(),
                out.as_mut_ptr(),
                &raw mut written,
                out.len(),
                nonce.as_ptr(),
                nonce.len(),
                plaintext.as_ptr(),
                plaintext.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        assert_eq!((done, written), (1, out.len()), "AWS-LC refused to seal");
    }

    /// Writes the plaintext to `out`, or zeros when the tag is wrong, and says which.
    pub(super) fn open(&self, nonce: &[u8; 12], aad: &[u8], sealed: &[u8], out: &mut [u8]) -> bool {
        assert!(self.key.is_some(), "opening before a key was taken");
        assert_eq!(sealed.len(), out.len() + TAG_LEN, "room for the plaintext");
        let mut written = 0;
        // SAFETY: as in `seal`. On a wrong tag the library zeroes `out` itself, all of its length.
        let done = unsafe {
            EVP_AEAD_CTX_open(
                self.raw.as_ptr(),
                out.as_mut_ptr(),
                &raw mut written,
                out.len(),
                nonce.as_ptr(),
                nonce.len(),
                sealed.as_ptr(),
                sealed.len(),
                aad.as_ptr(),
                aad.len(),
            )
        };
        done == 1
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if self.key.is_some() {
            // SAFETY: the context is initialised; after the library has released it, its bytes
            // are ours to overwrite, and a `MaybeUninit` is not read again.
            unsafe {
                EVP_AEAD_CTX_cleanup(self.raw.as_mut_ptr());
                OPENSSL_cleanse(
                    self.raw.as_mut_ptr().cast::<c_void>(),
                    size_of::<EVP_AEAD_CTX>(),
                );
            }
        }
    }
}
