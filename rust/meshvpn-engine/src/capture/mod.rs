//! Captures: what a wire-tap on this host's side of the network would see, written to a file.
//!
//! ```text
//!  sending thread ─┐                                       ┌─ headers, checksums
//!  receiving ──────┼─► copies, with time and path ──────► writer ──────► x.pcapng
//!  driver ─────────┘   (a queue of bounded size)           └─ cuts runs apart
//!     └── keys of each handshake, before its messages, if they were asked for
//! ```
//!
//! The threads that forward look at one flag a batch. While something is captured they copy what they
//! send and receive, a run of datagrams at a time, and never wait: what finds no room in the queue is counted
//! instead. A disk that is full or slow ends or thins the capture, not the tunnel.
//!
//! Datagrams are seen where they are handed to the kernel and taken from it, so the capture knows their
//! contents, endpoints and times, and not what the IP layer did: fragments are whole again, and fields that
//! only routers or kernels set have usual values. What the kernel refused to send is left out.
//!
//! | module | holds |
//! |---|---|
//! | this one | a running capture, as its owner has it |
//! | [`taps`] | where the threads say what they send and receive |
//! | `progress` | what was counted, and how it ended |
//! | `file` | the file, or whatever is at that path |
//! | `writer` | the thread that writes it |

mod file;
mod progress;
pub mod taps;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use file::CaptureFile;
use progress::Progress;
use taps::{Tap, Taps};
use writer::Writer;

/// Why there is no capture, or why it is not complete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There is nothing to be written to.
    #[error("cannot write {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The kernel's complaint.
        source: io::Error,
    },
    /// Keys were to go where others can read them.
    #[error("{}: {problem}, and the capture would have keys in it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who can read it.
        problem: String,
    },
    /// Nothing reads captures of such a tunnel, whatever keys it is given.
    #[error(
        "there are no secrets to write: nothing that reads captures can decrypt this kind of tunnel"
    )]
    NoSecrets,
    /// The file took no more.
    #[error("the capture {} is not complete: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The kernel's complaint.
        source: io::Error,
    },
    /// The device is closed, or there is no thread to be had.
    #[error("{0}")]
    System(io::Error),
}

/// A running capture. It ends when it is closed, or with what it listens to; not by being dropped.
#[derive(Debug)]
pub struct Capture {
    path: PathBuf,
    taps: Arc<Taps>,
    progress: Arc<Progress>,
    /// The process that has the writer; a forked child has only this handle.
    owner: u32,
}

impl Capture {
    /// Opens the file and starts the thread that writes it, which listens from
    /// [`Taps::attach`] on. `device` names the interface in the file.
    ///
    /// # Errors
    /// When there can be no such file, or others could read secrets in it.
    pub(crate) fn prepare(
        path: &Path,
        device: &str,
        taps: &Arc<Taps>,
        has_secrets: bool,
    ) -> Result<(Self, Arc<Tap>), CaptureError> {
        if taps.is_closed() {
            return Err(CaptureError::System(io::ErrorKind::NotConnected.into()));
        }
        let file = CaptureFile::open(path, has_secrets)?;
        let progress = Arc::new(Progress::default());
        let (tap, queue) = Tap::new(Arc::clone(&progress), has_secrets);
        let writer = Writer::new(file, queue, Arc::clone(&progress), Arc::clone(taps), device)
            .map_err(|source| CaptureError::Open {
                path: path.to_owned(),
                source,
            })?;
        std::thread::Builder::new()
            .name(format!("{device}-capture"))
            .spawn(move || writer.run())
            .map_err(CaptureError::System)?;
        let capture = Self {
            path: path.to_owned(),
            taps: Arc::clone(taps),
            progress,
            owner: std::process::id(),
        };
        Ok((capture, tap))
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Datagrams in the file.
    pub fn packets(&self) -> u64 {
        self.progress.packets()
    }

    /// Datagrams that should be in the file and are not: they came faster than they could be written.
    pub fn dropped(&self) -> u64 {
        self.progress.dropped()
    }

    /// Why it ended before it was told to, if it did.
    pub fn failure(&self) -> Option<String> {
        let failure = self.progress.failure()?;
        Some(incomplete(&self.path, failure).to_string())
    }

    /// Ends it, and returns when everything that was seen until then is in the file; calling it again does
    /// nothing. In a forked child nothing happens: the file is its parent's.
    ///
    /// # Errors
    /// When not everything could be written. [`Self::dropped`] is no error.
    pub fn close(&self) -> Result<(), CaptureError> {
        if std::process::id() != self.owner {
            return Ok(());
        }
        self.taps.detach(&self.progress);
        self.progress.wait();
        match self.progress.failure() {
            Some(source) => Err(incomplete(&self.path, source)),
            None => Ok(()),
        }
    }
}

fn incomplete(path: &Path, source: io::Error) -> CaptureError {
    let path = path.to_owned();
    CaptureError::Write { path, source }
}
