//! The two records of intel-ipsec-mb that are read and written here, as its header lays them out.
//!
//! Both are declared up to the last field in use. What follows (session ids, the ring of jobs, the
//! out-of-order managers) changes with every release and is never touched; the records themselves
//! are always the library's own, so their full size does not matter.
//!
//! The header of every release from 1.1 to 2.0.2 was compiled and asked with `offsetof`: the
//! fields below are at the same place in all of them and the constants have the same values. 1.0
//! has its function pointers elsewhere. [`VERIFIED`] is that list, and no other release is used.
//! 1.1, 1.2.1, 1.3, 1.4, 1.5 and 2.0.2 were built and passed this crate's AEAD tests; the other
//! three are patch-level neighbours of these.
//!
//! Source: `intel-ipsec-mb.h`, `struct IMB_JOB`, `struct IMB_MGR` (BSD-3-Clause; nothing of it is
//! copied but names, order and numbers).

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr;

use meshvpn_proto::session::aead::{Key, TAG_LEN};

/// What `imb_get_version` answers: major, minor and patch, a byte each.
const fn version(major: u32, minor: u32, patch: u32) -> u32 {
    major << 16 | minor << 8 | patch
}

/// The releases whose layout was checked.
pub(super) const VERIFIED: [u32; 9] = [
    version(1, 1, 0),
    version(1, 2, 0),
    version(1, 2, 1),
    version(1, 3, 0),
    version(1, 4, 0),
    version(1, 5, 0),
    version(2, 0, 0),
    version(2, 0, 1),
    version(2, 0, 2),
];

/// `IMB_STATUS_COMPLETED`: both the cipher's bit and the authentication's.
const COMPLETED: c_int = 3;

const CIPHER_CHACHA20_POLY1305: c_int = 19;
const AUTH_CHACHA20_POLY1305: c_int = 29;
const DIR_ENCRYPT: c_int = 1;
const DIR_DECRYPT: c_int = 2;
const ORDER_CIPHER_HASH: c_int = 1;
const ORDER_HASH_CIPHER: c_int = 2;

/// Which way a job works.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Encrypt,
    Decrypt,
}

/// What a job works on. The tag is written, never compared.
pub(super) struct Work<'a> {
    pub(super) direction: Direction,
    pub(super) key: &'a Key,
    pub(super) nonce: &'a [u8; 12],
    pub(super) aad: &'a [u8],
    pub(super) input: &'a [u8],
    pub(super) output: &'a mut [u8],
    pub(super) tag: &'a mut [u8; TAG_LEN],
}

/// The head of `IMB_JOB`: all that a ChaCha20-Poly1305 job says.
///
/// Made only by [`Job::new`], so the pointers and lengths of a `Job<'a>` are those of slices that
/// live for `'a`, and the outputs are borrowed by nobody else.
#[repr(C)]
pub(super) struct Job<'a> {
    enc_keys: *const u8,
    dec_keys: *const u8,
    key_len: u64,
    src: *const u8,
    dst: *mut u8,
    cipher_start: u64,
    cipher_len: u64,
    hash_start: u64,
    hash_len: u64,
    iv: *const u8,
    iv_len: u64,
    tag: *mut u8,
    tag_len: u64,
    aad: *const u8,
    aad_len: u64,
    /// Read for scattered packets only.
    context: *mut c_void,
    status: c_int,
    cipher_mode: c_int,
    cipher_direction: c_int,
    hash_alg: c_int,
    chain_order: c_int,
    borrows: PhantomData<Work<'a>>,
}

const _: () = {
    assert!(offset_of!(Job<'_>, enc_keys) == 0);
    assert!(offset_of!(Job<'_>, dec_keys) == 8);
    assert!(offset_of!(Job<'_>, key_len) == 16);
    assert!(offset_of!(Job<'_>, src) == 24);
    assert!(offset_of!(Job<'_>, dst) == 32);
    assert!(offset_of!(Job<'_>, cipher_start) == 40);
    assert!(offset_of!(Job<'_>, cipher_len) == 48);
    assert!(offset_of!(Job<'_>, hash_start) == 56);
    assert!(offset_of!(Job<'_>, hash_len) == 64);
    assert!(offset_of!(Job<'_>, iv) == 72);
    assert!(offset_of!(Job<'_>, iv_len) == 80);
    assert!(offset_of!(Job<'_>, tag) == 88);
    assert!(offset_of!(Job<'_>, tag_len) == 96);
    assert!(offset_of!(Job<'_>, aad) == 104);
    assert!(offset_of!(Job<'_>, aad_len) == 112);
    assert!(offset_of!(Job<'_>, context) == 120);
    assert!(offset_of!(Job<'_>, status) == 128);
    assert!(offset_of!(Job<'_>, cipher_mode) == 132);
    assert!(offset_of!(Job<'_>, cipher_direction) == 136);
    assert!(offset_of!(Job<'_>, hash_alg) == 140);
    assert!(offset_of!(Job<'_>, chain_order) == 144);
    // Where the library's next field, `user_data`, begins.
    assert!(size_of::<Job<'_>>() == 152);
};

impl<'a> Job<'a> {
    /// The job for `work`, whose input and output must be equally long.
    pub(super) fn new(work: Work<'a>) -> Self {
        assert_eq!(
            work.input.len(),
            work.output.len(),
            "a stream cipher keeps the length"
        );
        let encrypting = work.direction == Direction::Encrypt;
        let len = work.input.len() as u64;
        Self {
            enc_keys: work.key.expose().as_ptr(),
            dec_keys: work.key.expose().as_ptr(),
            key_len: work.key.expose().len() as u64,
            src: work.input.as_ptr(),
            dst: work.output.as_mut_ptr(),
            cipher_start: 0,
            cipher_len: len,
            hash_start: 0,
            hash_len: len,
            iv: work.nonce.as_ptr(),
            iv_len: work.nonce.len() as u64,
            tag: work.tag.as_mut_ptr(),
            tag_len: work.tag.len() as u64,
            aad: work.aad.as_ptr(),
            aad_len: work.aad.len() as u64,
            context: ptr::null_mut(),
            status: 0,
            cipher_mode: CIPHER_CHACHA20_POLY1305,
            cipher_direction: if encrypting { DIR_ENCRYPT } else { DIR_DECRYPT },
            hash_alg: AUTH_CHACHA20_POLY1305,
            chain_order: if encrypting {
                ORDER_CIPHER_HASH
            } else {
                ORDER_HASH_CIPHER
            },
            borrows: PhantomData,
        }
    }

    /// Whether the library has finished the job.
    pub(super) fn is_completed(&self) -> bool {
        self.status == COMPLETED
    }
}

/// `IMB_JOB *(*)(IMB_MGR *)`: the type of every function below.
pub(super) type JobFn = unsafe extern "C" fn(*mut ManagerHead) -> *mut Job<'static>;

/// The head of `IMB_MGR`: the functions that suit this processor, put there by initialisation.
#[repr(C)]
pub(super) struct ManagerHead {
    flags: u64,
    features: u64,
    reserved: [u64; 5],
    used_arch: u32,
    errno: c_int,
    pub(super) get_next_job: Option<JobFn>,
    pub(super) submit_job: Option<JobFn>,
    pub(super) submit_job_nocheck: Option<JobFn>,
    get_completed_job: Option<JobFn>,
    pub(super) flush_job: Option<JobFn>,
}

const _: () = {
    assert!(offset_of!(ManagerHead, get_next_job) == 64);
    assert!(offset_of!(ManagerHead, submit_job) == 72);
    assert!(offset_of!(ManagerHead, submit_job_nocheck) == 80);
    assert!(offset_of!(ManagerHead, get_completed_job) == 88);
    assert!(offset_of!(ManagerHead, flush_job) == 96);
};
