//! A thread that sets a device up, looks after it, and takes it down.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::Notify;

/// Where the thread says that everything is set up, or why it is not.
pub(crate) type Started<T, E> = SyncSender<Result<T, E>>;

/// A running driver. Dropping it does not end it: close it.
#[derive(Debug)]
pub(crate) struct DriverThread {
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The process that has the thread; a forked child has only this handle.
    owner: u32,
}

impl DriverThread {
    /// Starts a thread called after `device` and waits until `run` has set everything up; returns what it
    /// handed over. `run` gets what tells it to stop.
    ///
    /// # Errors
    /// That of `run`, after which the thread is gone; or `system`'s, when there is no thread to be had.
    pub(crate) fn start<T: Send + 'static, E: Send + 'static>(
        device: &str,
        system: impl Fn(io::Error) -> E,
        run: impl FnOnce(&Notify, &Started<T, E>) + Send + 'static,
        on_panic: impl FnOnce() + Send + 'static,
    ) -> Result<(Self, T), E> {
        let stop = Arc::new(Notify::new());
        let (started, result) = sync_channel(1);
        let body = {
            let stop = Arc::clone(&stop);
            move || {
                if catch_unwind(AssertUnwindSafe(|| run(&stop, &started))).is_err() {
                    on_panic();
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name(format!("{device}-driver"))
            .spawn(body)
            .map_err(&system)?;
        let failed = || system(io::Error::other("the driver thread failed to start"));
        match result.recv().unwrap_or_else(|_| Err(failed())) {
            Ok(handed) => Ok((
                Self {
                    stop,
                    thread: Mutex::new(Some(thread)),
                    owner: std::process::id(),
                },
                handed,
            )),
            Err(error) => {
                // The thread is past its last use of anything shared; wait until its sockets are gone.
                let _ = thread.join();
                Err(error)
            }
        }
    }

    /// Ends the thread, and returns when it has ended: true when this process could do so. In a child that
    /// was forked meanwhile nothing happens: the device is its parent's.
    pub(crate) fn close(&self) -> bool {
        if std::process::id() != self.owner {
            return false;
        }
        self.stop.notify_one();
        // Held until the end, so that nobody returns before it is done.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A thread that panicked has said so on stderr, and its device is gone with it.
            let _ = thread.join();
        }
        true
    }
}
