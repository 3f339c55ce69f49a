//! Waiting for several descriptors at once, and being woken.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Wakes every thread that [waits](Waiter) with it. Once set it stays set.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// A waker that is not set.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is checked before it is owned.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sets it.
    pub fn wake(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the buffer is eight bytes long, as an eventfd wants. Failure means that the counter
        // is at its maximum, so that it is set anyway.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Unsets it.
    pub fn reset(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the buffer is eight bytes long, as an eventfd wants. Failure means that it was not
        // set.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of a set of descriptors can be read.
#[derive(Debug)]
pub struct Waiter(OwnedFd);

/// Descriptors reported by one wait.
const MAX_EVENTS: usize = 16;

impl Waiter {
    /// A waiter for `descriptors`; each is reported by its position.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new(descriptors: &[BorrowedFd<'_>]) -> io::Result<Self> {
        // SAFETY: takes no pointers; the result is checked before it is owned.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
        let waiter = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        for (position, descriptor) in descriptors.iter().enumerate() {
            waiter.add(*descriptor, position)?;
        }
        Ok(waiter)
    }

    /// Waits for `descriptor` too, also where a thread is just waiting, and reports it as `position`.
    /// It is forgotten when it is closed.
    ///
    /// # Errors
    /// When it is waited for already, or the kernel is out of memory.
    pub fn add(&self, descriptor: BorrowedFd<'_>, position: usize) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: position as u64,
        };
        // SAFETY: `event` is valid for the call, and the kernel keeps no pointer to it.
        let result = unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                descriptor.as_raw_fd(),
                &raw mut event,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits for `descriptor` no longer.
    pub fn remove(&self, descriptor: BorrowedFd<'_>) {
        // SAFETY: removing takes no event. Failure means that it was not waited for.
        unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                descriptor.as_raw_fd(),
                core::ptr::null_mut(),
            )
        };
    }

    /// Sleeps until something can be read, or has failed, and calls `ready` with its position; at
    /// most `timeout`, if given.
    ///
    /// # Errors
    /// Never in practice: the descriptor is ours and valid.
    pub fn wait(&self, timeout: Option<Duration>, mut ready: impl FnMut(usize)) -> io::Result<()> {
        // Rounded up: a caller with half a millisecond left must not spin.
        let milliseconds = timeout.map_or(-1, |timeout| {
            timeout
                .as_micros()
                .div_ceil(1000)
                .try_into()
                .unwrap_or(i32::MAX)
        });
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX_EVENTS];
        // SAFETY: the kernel writes at most `MAX_EVENTS` events to the array.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                MAX_EVENTS as i32,
                milliseconds,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(error)
            };
        }
        events[..count as usize]
            .iter()
            .for_each(|event| ready(event.u64 as usize));
        Ok(())
    }
}
