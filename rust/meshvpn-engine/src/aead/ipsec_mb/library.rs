//! Finding the library, and a manager of it.
//!
//! The library is loaded once and stays for the life of the process: function pointers of it live
//! in every manager.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use libloading::Library as SharedObject;

use super::layout::{Job, JobFn, ManagerHead, VERIFIED};

/// The library's names: 2.x, then 1.x. Whichever comes first is the one that has to fit.
const NAMES: [&str; 2] = ["libIPSec_MB.so.2", "libIPSec_MB.so.1"];

/// Why intel-ipsec-mb cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The library exists for x86-64 alone.
    #[error("intel-ipsec-mb exists for x86-64 processors only")]
    Architecture,
    /// No library of either name was found or could be loaded.
    #[error(
        "intel-ipsec-mb is not installed ({0}); Debian's package is libipsec-mb1, or libipsec-mb2 \
         in releases that have it"
    )]
    NotInstalled(String),
    /// The library lacks a function that every release has.
    #[error("the installed intel-ipsec-mb lacks a function: {0}")]
    MissingFunction(String),
    /// The library is a release whose records were not compared with ours.
    #[error(
        "intel-ipsec-mb {}.{}.{} is not a release that this build knows (1.1 to 2.0.2)",
        .0 >> 16, .0 >> 8 & 0xff, .0 & 0xff
    )]
    UnknownRelease(u32),
    /// The library could not set itself up on this processor.
    #[error("intel-ipsec-mb does not start on this processor: {0}")]
    Start(String),
}

/// The exported functions that are used; `IMB_MGR *` is a [`ManagerHead`] pointer.
struct Library {
    allocate: unsafe extern "C" fn(u64) -> *mut ManagerHead,
    free: unsafe extern "C" fn(*mut ManagerHead),
    initialise: unsafe extern "C" fn(*mut ManagerHead, *mut c_void),
    error: unsafe extern "C" fn(*mut ManagerHead) -> c_int,
    error_text: unsafe extern "C" fn(c_int) -> *const c_char,
    /// Keeps the code mapped.
    _object: SharedObject,
}

impl Library {
    /// The process's one copy.
    fn get() -> Result<&'static Self, Unavailable> {
        static LIBRARY: OnceLock<Result<Library, Unavailable>> = OnceLock::new();
        LIBRARY
            .get_or_init(Self::load)
            .as_ref()
            .map_err(Unavailable::clone)
    }

    fn load() -> Result<Self, Unavailable> {
        if !cfg!(target_arch = "x86_64") {
            return Err(Unavailable::Architecture);
        }
        let mut reason = Unavailable::NotInstalled(String::new());
        for name in NAMES {
            // SAFETY: the library's constructors only look at the processor's features.
            match unsafe { SharedObject::new(name) } {
                Ok(object) => return Self::bind(object),
                Err(error) => reason = Unavailable::NotInstalled(error.to_string()),
            }
        }
        Err(reason)
    }

    fn bind(object: SharedObject) -> Result<Self, Unavailable> {
        let missing = |error: libloading::Error| Unavailable::MissingFunction(error.to_string());
        // SAFETY: the signatures are those of the header of every release in `VERIFIED`; that of
        // `imb_get_version`, called before the release is known, is the same in all that have it. The
        // pointers are used while `object` lives.
        unsafe {
            let version: unsafe extern "C" fn() -> c_uint =
                *object.get("imb_get_version").map_err(missing)?;
            let version = version();
            if !VERIFIED.contains(&version) {
                return Err(Unavailable::UnknownRelease(version));
            }
            Ok(Self {
                allocate: *object.get("alloc_mb_mgr").map_err(missing)?,
                free: *object.get("free_mb_mgr").map_err(missing)?,
                initialise: *object.get("init_mb_mgr_auto").map_err(missing)?,
                error: *object.get("imb_get_errno").map_err(missing)?,
                error_text: *object.get("imb_get_strerror").map_err(missing)?,
                _object: object,
            })
        }
    }

    /// The library's own words for its error `code`.
    fn describe(&self, code: c_int) -> String {
        // SAFETY: the library answers every number with a static string.
        let text = unsafe { CStr::from_ptr((self.error_text)(code)) };
        text.to_string_lossy().into_owned()
    }
}

/// An `IMB_MGR` of one thread, with the functions that it chose for this processor.
///
/// Its queue is empty between calls.
pub(super) struct Manager {
    head: NonNull<ManagerHead>,
    get_next_job: JobFn,
    submit_job: JobFn,
    flush_job: JobFn,
    library: &'static Library,
}

// SAFETY: a manager is memory without ties to the thread that made it, and the only pointer to it
// is ours; the library's error number per thread is not read after `new`.
unsafe impl Send for Manager {}

impl Manager {
    /// Allocates and initialises a manager: 200 KB, a quarter of a millisecond.
    pub(super) fn new() -> Result<Self, Unavailable> {
        let library = Library::get()?;
        // SAFETY: no flags; the library aligns the memory as it needs.
        let head = NonNull::new(unsafe { (library.allocate)(0) })
            .ok_or_else(|| Unavailable::Start("out of memory".to_owned()))?;
        let start = |code| Unavailable::Start(library.describe(code));
        // SAFETY: `head` is a manager fresh from the allocator; nobody asks for the architecture.
        unsafe { (library.initialise)(head.as_ptr(), ptr::null_mut()) };
        // SAFETY: as above.
        let code = unsafe { (library.error)(head.as_ptr()) };
        // SAFETY: initialisation wrote the head, whose layout was verified for this release.
        let functions = unsafe { head.as_ref() };
        // In debug builds the library checks each job's fields as well; in release builds that
        // would be 12 ns a packet for fields that `Job::new` cannot get wrong.
        let submit_job = if cfg!(debug_assertions) {
            functions.submit_job
        } else {
            functions.submit_job_nocheck
        };
        match (
            code,
            functions.get_next_job,
            submit_job,
            functions.flush_job,
        ) {
            (0, Some(get_next_job), Some(submit_job), Some(flush_job)) => Ok(Self {
                head,
                get_next_job,
                submit_job,
                flush_job,
                library,
            }),
            _ => {
                // SAFETY: allocated above, and forgotten here.
                unsafe { (library.free)(head.as_ptr()) };
                Err(start(code))
            }
        }
    }

    /// Drives one job to its end.
    pub(super) fn run(&mut self, job: Job<'_>) {
        // SAFETY: the manager is initialised and this thread's. `get_next_job` answers with a slot
        // of its ring, an `IMB_JOB`, of which a `Job` is the head. The job's pointers are valid
        // until this function returns, and it returns only when the library is done with them:
        // the queue was empty, so what submit or flush hands back is this job.
        unsafe {
            let manager = self.head.as_ptr();
            let slot = (self.get_next_job)(manager);
            slot.cast::<Job<'_>>().write(job);
            let mut done = (self.submit_job)(manager);
            if done.is_null() {
                done = (self.flush_job)(manager);
            }
            // A packet that is not sealed must never be sent as if it were.
            assert!(
                ptr::eq(done, slot) && (*done).is_completed(),
                "intel-ipsec-mb left a packet undone"
            );
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // SAFETY: allocated by this library, freed once; its queue is empty.
        unsafe { (self.library.free)(self.head.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_with_another_layout_is_refused_by_name() {
        // 1.0 has its function pointers elsewhere; 2.1 did not exist when the list was made.
        for (release, name) in [(0x1_00_00, "1.0.0"), (0x2_01_00, "2.1.0")] {
            assert!(!VERIFIED.contains(&release));
            assert!(
                Unavailable::UnknownRelease(release)
                    .to_string()
                    .contains(name)
            );
        }
    }
}
