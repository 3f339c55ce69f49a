//! ChaCha20-Poly1305 by intel-ipsec-mb, loaded at run time where it is installed.
//!
//! The library is C with a manager object per thread ([`library`]); a packet is a *job*: a record
//! of pointers and lengths ([`layout`]) that is filled in a slot of the manager and submitted. The
//! library may queue jobs to work on several at once. For ChaCha20-Poly1305 it never does: it
//! works on sixteen blocks of one packet at once, and the job is finished when submit returns. So
//! each packet is driven to its end before the next begins, and no pointer outlives the call that
//! it was made for.
//!
//! Nanoseconds a packet on Zen 4, out of place, batches of 16; the job interface without the
//! library's check of its arguments is the one used here (with it in debug builds):
//!
//! | interface | 64 B seal, open | 1420 B seal, open |
//! |---|---|---|
//! | one job at a time, checked | 161, 166 | 504, 518 |
//! | one job at a time, unchecked | 149, 152 | 492, 504 |
//! | bursts of 16, checked | 158, 159 | 502, 514 |
//! | bursts of 16, unchecked | 144, 146 | 488, 500 |
//! | init, update, finalize | 240, 232 | 584, 590 |
//!
//! A burst gains four nanoseconds and is made differently in 1.4 and later, so it is not used.
//!
//! Secrets: a job holds the address of the key, never the key; what the library leaves on its
//! stack it wipes itself (its build option `SAFE_DATA`, on unless a builder turned it off, as in
//! Debian's). Keys never enter the manager's memory.

mod layout;
mod library;

use meshvpn_proto::session::aead::{Aead, Key, Open, Seal, TAG_LEN, nonce};
use subtle::ConstantTimeEq;

use self::layout::{Direction, Job, Work};
use self::library::Manager;

pub use self::library::Unavailable;

/// The intel-ipsec-mb backend, as one thread owns it.
pub(super) struct IpsecMb {
    manager: Manager,
}

impl IpsecMb {
    pub(super) fn new() -> Result<Self, Unavailable> {
        Manager::new().map(|manager| Self { manager })
    }

    /// Writes `ciphertext ‖ tag` to `out`, which must be exactly that long.
    pub(super) fn seal_one(
        &mut self,
        key: &Key,
        nonce: &[u8; 12],
        aad: &[u8],
        plaintext: &[u8],
        out: &mut [u8],
    ) {
        let (output, tag) = out
            .split_last_chunk_mut()
            .expect("room for a sealed packet");
        let direction = Direction::Encrypt;
        self.manager.run(Job::new(Work {
            direction,
            key,
            nonce,
            aad,
            input: plaintext,
            output,
            tag,
        }));
    }

    /// Writes the plaintext to `out`, or zeros when the tag is wrong, and says which.
    pub(super) fn open_one(
        &mut self,
        key: &Key,
        nonce: &[u8; 12],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> bool {
        let (input, claimed) = sealed
            .split_last_chunk::<TAG_LEN>()
            .expect("a tag at the end");
        let mut tag = [0; TAG_LEN];
        let direction = Direction::Decrypt;
        self.manager.run(Job::new(Work {
            direction,
            key,
            nonce,
            aad,
            input,
            output: &mut *out,
            tag: &mut tag,
        }));
        // The library decrypts whatever the tag says: the verdict is ours. As one number, because
        // byte by byte the comparison costs 12 ns more.
        let claimed = u128::from_ne_bytes(*claimed);
        let valid = bool::from(u128::from_ne_bytes(tag).ct_eq(&claimed));
        if !valid {
            out.fill(0);
        }
        valid
    }
}

impl Aead for IpsecMb {
    fn name(&self) -> &'static str {
        super::Backend::IpsecMb.name()
    }

    fn seal(&mut self, batch: &mut [Seal<'_>]) {
        for job in batch {
            self.seal_one(job.key, &nonce(job.counter), &[], job.plaintext, job.out);
        }
    }

    fn open(&mut self, batch: &mut [Open<'_>]) {
        for job in batch {
            let nonce = nonce(job.counter);
            job.valid = self.open_one(job.key, &nonce, &[], job.sealed, job.out);
        }
    }
}
