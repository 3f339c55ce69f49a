//! What a capture has counted, and how it ended: shared by those who listen, the writer and the owner.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that may wait for the writer: some 50 ms at 5 Gbit/s.
const QUEUE_BYTES: usize = 32 << 20;

#[derive(Debug, Default)]
pub(super) struct Progress {
    packets: AtomicU64,
    dropped: AtomicU64,
    queued: AtomicUsize,
    is_closing: AtomicBool,
    end: Mutex<Option<End>>,
    ended: Condvar,
}

#[derive(Debug)]
struct End {
    failure: Option<io::Error>,
}

impl Progress {
    pub(super) fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    pub(super) fn count_packets(&self, count: u64) {
        self.packets.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn count_dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes room for `bytes` in the queue; false when there is none.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let before = self.queued.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before + bytes <= QUEUE_BYTES;
        if !has_room {
            self.release(bytes);
        }
        has_room
    }

    /// Gives room in the queue back.
    pub(super) fn release(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Nobody will wait much longer for a file that takes nothing.
    pub(super) fn begin_closing(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// The writer is done.
    pub(super) fn finish(&self, failure: Option<io::Error>) {
        *self.lock() = Some(End { failure });
        self.ended.notify_all();
    }

    /// Waits until the writer is done.
    pub(super) fn wait(&self) {
        let end = self.lock();
        let waited = self.ended.wait_while(end, |end| end.is_none());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Why the writer ended, if it has and not because it was told to.
    pub(super) fn failure(&self) -> Option<io::Error> {
        let end = self.lock();
        let failure = end.as_ref()?.failure.as_ref()?;
        // An error cannot be copied, but what is known of it can.
        Some(match failure.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(failure.kind(), failure.to_string()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
