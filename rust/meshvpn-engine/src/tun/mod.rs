//! TUN devices: frames in and out, and the ends that frames can come from.
//!
//! | module | holds |
//! |---|---|
//! | `device` | opening a kernel device, with or without offload |
//! | this one | reading and writing frames on a descriptor |
//! | [`monitor`] | a device without a tunnel, for those who look at packets |
//! | [`watch`] | how a device is that others may change |
//!
//! A [`Queue`] is any descriptor that gives one frame a `read` and takes one a `writev`: a TUN, or
//! one end of a [pair in memory](Queue::pair), by which the whole data plane runs without root.

mod device;
pub mod monitor;
pub mod watch;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub use device::{Device, Offload, OpenError, check_name};

/// A queue of frames.
#[derive(Debug)]
pub struct Queue(OwnedFd);

impl Queue {
    /// Takes over a descriptor, and makes it non-blocking.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: takes no pointers; `fd` is open.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        // SAFETY: as above.
        let result =
            unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) };
        if flags < 0 || result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self(fd))
        }
    }

    /// Two queues in memory: what is written to one is read from the other.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn pair() -> io::Result<(Self, Self)> {
        let mut fds = [0; 2];
        // SAFETY: the kernel writes two descriptors to the array.
        let result = unsafe {
            libc::socketpair(
                libc::AF_UNIX,
                libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC,
                0,
                fds.as_mut_ptr(),
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us both descriptors, and nobody else has them.
        let [a, b] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Ok((Self::new(a)?, Self::new(b)?))
    }

    /// Reads one frame; returns its length. A frame longer than `frame` is cut off.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when none waits, else the kernel's: the device is gone.
    pub fn read(&self, frame: &mut [u8]) -> io::Result<usize> {
        // SAFETY: pointer and length describe `frame`.
        let len = unsafe { libc::read(self.0.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len()) };
        match len {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            1.. => Ok(len as usize),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Writes one frame, given in pieces.
    ///
    /// # Errors
    /// The kernel's: EINVAL for a frame that it does not like, EIO for a device that is down.
    pub fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        // SAFETY: an `IoSlice` has the layout of an `iovec`, and all of them live through the call.
        let written = unsafe {
            libc::writev(
                self.0.as_raw_fd(),
                pieces.as_ptr().cast(),
                pieces.len() as libc::c_int,
            )
        };
        if written < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
