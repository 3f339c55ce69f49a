//! The AEAD seam: how the forwarder asks for ChaCha20-Poly1305, and the portable implementation.
//!
//! A call takes a *batch* of packets, each with its own key and nonce, and works *out of place*:
//! from one buffer into another. So nothing has to be copied before it is encrypted, and an
//! implementation that works on several packets at once has them all in hand.
//!
//! An implementation holds whatever scratch state it needs and belongs to one thread; keys are
//! plain values that every thread and every implementation can share. The engine brings two fast
//! ones (`aws-lc`, `intel-ipsec-mb`); [`Portable`] serves tests, fuzzing, and the simulator.
//!
//! Source: RFC 8439 (the AEAD); WireGuard whitepaper section 5.4.6 (the nonce: 32 zero bits, then
//! the 64-bit counter, little-endian; no additional data).

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes that sealing adds to a packet: the Poly1305 tag.
pub const TAG_LEN: usize = 16;

/// Most packets that one call may carry; callers split longer lists.
///
/// Sixteen full-size packets are 23 KB of plaintext: they stay in the first-level cache between
/// the pass that lays them out and the pass that seals them.
pub const MAX_BATCH: usize = 16;

/// A 256-bit session key. Wiped on drop; has no `Debug` of its content and no equality.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// Takes the key's bytes. The caller wipes its own copy.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw key, for an AEAD implementation.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(secret)")
    }
}

/// One packet to seal: `out = ciphertext ‖ tag`.
#[derive(Debug)]
pub struct Seal<'a> {
    /// The sending session's key.
    pub key: &'a Key,
    /// The packet's number; never twice under one key.
    pub counter: u64,
    /// What to hide.
    pub plaintext: &'a [u8],
    /// Where it goes: exactly `plaintext.len() + TAG_LEN` bytes.
    pub out: &'a mut [u8],
}

/// One packet to open: `out = plaintext`, and `valid` says whether it may be used.
#[derive(Debug)]
pub struct Open<'a> {
    /// The receiving session's key.
    pub key: &'a Key,
    /// The number that the packet claims.
    pub counter: u64,
    /// `ciphertext ‖ tag`, at least [`TAG_LEN`] bytes.
    pub sealed: &'a [u8],
    /// Where the plaintext goes: exactly `sealed.len() - TAG_LEN` bytes.
    pub out: &'a mut [u8],
    /// Set by the call: the tag was right. When false, `out` holds zeros.
    pub valid: bool,
}

/// ChaCha20-Poly1305 over batches, as one thread owns it.
///
/// Both methods panic when a packet's buffers do not fit each other as [`Seal`] and [`Open`] say.
pub trait Aead: Send {
    /// The implementation's name as statistics and logs show it, e.g. `"aws-lc"`.
    fn name(&self) -> &'static str;

    /// Seals every packet of `batch` (at most [`MAX_BATCH`]).
    fn seal(&mut self, batch: &mut [Seal<'_>]);

    /// Opens every packet of `batch` (at most [`MAX_BATCH`]) and sets its `valid`.
    fn open(&mut self, batch: &mut [Open<'_>]);
}

/// The WireGuard nonce for packet number `counter`.
pub fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// RustCrypto's implementation: runs anywhere, at about a third of the speed of the engine's.
#[derive(Debug, Default, Clone, Copy)]
pub struct Portable;

impl Aead for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }

    fn seal(&mut self, batch: &mut [Seal<'_>]) {
        for job in batch {
            let cipher = ChaCha20Poly1305::new(job.key.expose().into());
            let (text, tag) = job.out.split_at_mut(job.plaintext.len());
            text.copy_from_slice(job.plaintext);
            let sealed = cipher
                .encrypt_in_place_detached(Nonce::from_slice(&nonce(job.counter)), &[], text)
                .expect("a datagram is far below the cipher's limit of 256 GiB");
            tag.copy_from_slice(&sealed);
        }
    }

    fn open(&mut self, batch: &mut [Open<'_>]) {
        for job in batch {
            let cipher = ChaCha20Poly1305::new(job.key.expose().into());
            let (text, tag) = job.sealed.split_at(job.out.len());
            job.out.copy_from_slice(text);
            job.valid = cipher
                .decrypt_in_place_detached(
                    Nonce::from_slice(&nonce(job.counter)),
                    &[],
                    job.out,
                    Tag::from_slice(tag),
                )
                .is_ok();
            if !job.valid {
                job.out.fill(0);
            }
        }
    }
}
