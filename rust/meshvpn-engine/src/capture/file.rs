//! What a capture is written to: a file, or a pipe that somebody reads while it is written.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::CaptureError;

/// Who may read and write a file with secrets: its owner.
const PRIVATE: u32 = 0o600;
/// Who may do so with any other, less what the process's mask takes away.
const ORDINARY: u32 = 0o666;
/// How long a pipe whose reader has stopped may hold up the end of a capture.
const PIPE_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const PIPE_POLL: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct CaptureFile {
    file: File,
    /// Its length up to the last complete block; none for what has no length.
    complete: Option<u64>,
}

impl CaptureFile {
    /// Creates the file, or empties the one that is there. With secrets, it has to be its owner's alone.
    ///
    /// # Errors
    /// [`CaptureError::Open`], [`CaptureError::Exposed`]: what was there is as it was.
    pub(super) fn open(path: &Path, has_secrets: bool) -> Result<Self, CaptureError> {
        let fail = |source| CaptureError::Open {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .mode(if has_secrets { PRIVATE } else { ORDINARY })
            // No pipe may hold us up, neither now nor later. Files do not mind.
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        // SAFETY: takes no pointers and cannot fail.
        let user = unsafe { libc::geteuid() };
        let problem = if metadata.uid() != user {
            Some(format!("belongs to another user (uid {})", metadata.uid()))
        } else if metadata.mode() & 0o077 != 0 {
            let mode = metadata.mode() & 0o7777;
            Some(format!("others can read or change it (mode {mode:04o})"))
        } else {
            None
        };
        if let Some(problem) = problem.filter(|_| has_secrets) {
            let path = path.to_owned();
            return Err(CaptureError::Exposed { path, problem });
        }
        if metadata.is_file() {
            file.set_len(0).map_err(fail)?;
        }
        Ok(Self {
            file,
            complete: metadata.is_file().then_some(0),
        })
    }

    /// Appends whole blocks. When that fails, the file ends with the last block before them.
    ///
    /// `is_closing` tells whether somebody waits for the end of it.
    ///
    /// # Errors
    /// The kernel's; [`ErrorKind::TimedOut`] when the reader of a pipe takes nothing any more.
    pub(super) fn append(
        &mut self,
        blocks: &[u8],
        is_closing: impl Fn() -> bool,
    ) -> io::Result<()> {
        let result = self.write_all(blocks, is_closing);
        match (&result, &mut self.complete) {
            (Ok(()), Some(complete)) => *complete += blocks.len() as u64,
            // A reader can do with half a block, but none is better. Making a file shorter does not fail.
            (Err(_), Some(complete)) => drop(self.file.set_len(*complete)),
            (_, None) => {}
        }
        result
    }

    fn write_all(&mut self, mut bytes: &[u8], is_closing: impl Fn() -> bool) -> io::Result<()> {
        let mut deadline = None;
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(written) => {
                    bytes = &bytes[written..];
                    deadline = None;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if is_closing() {
                        let now = Instant::now();
                        if now >= *deadline.get_or_insert(now + PIPE_PATIENCE) {
                            let stuck = "its reader takes nothing any more";
                            return Err(io::Error::new(ErrorKind::TimedOut, stuck));
                        }
                    }
                    self.wait_for_room();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns when a pipe takes more, or a moment later.
    fn wait_for_room(&self) {
        let mut watched = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: the pointer is to one `pollfd`, which lives through the call. Whatever the outcome,
        // writing is tried again.
        unsafe { libc::poll(&raw mut watched, 1, PIPE_POLL.as_millis() as libc::c_int) };
    }
}
