//! Looking after a running device that others may rename, change or move to another namespace.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use super::Queue;
use super::device::interface_request;

/// `_IO('T', 227)`: a descriptor of the device's namespace, from Linux 5.6 on.
const TUNGETDEVNETNS: libc::c_ulong = 0x54e3;

/// How a device is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What it is called now.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// Whether it takes packets.
    pub is_up: bool,
}

/// Sees a device wherever it is. It keeps the device, as every copy of its descriptor does.
#[derive(Debug)]
pub struct Watch {
    device: OwnedFd,
    /// A socket in the namespace where the device was seen last; interfaces are asked for through one.
    control: OwnedFd,
}

impl Watch {
    /// Watches the device of `queue`, which is in the calling thread's namespace still.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new(queue: &Queue) -> io::Result<Self> {
        Ok(Self {
            device: queue.as_fd().try_clone_to_owned()?,
            control: control_socket()?,
        })
    }

    /// How the device is now.
    ///
    /// # Errors
    /// The kernel's: EBADFD when it was deleted.
    pub fn state(&mut self) -> io::Result<State> {
        match self.state_here() {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
                self.control = self.follow()?;
                self.state_here()
            }
            result => result,
        }
    }

    fn state_here(&self) -> io::Result<State> {
        let mut request = interface_request(&self.device)?;
        let name = request
            .ifr_name
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(*byte as u8))
            .collect();
        let mut ask = |what: libc::Ioctl| {
            // SAFETY: the kernel reads the name in `request` and writes one value behind it.
            match unsafe { libc::ioctl(self.control.as_raw_fd(), what, &raw mut request) } {
                0.. => Ok(request.ifr_ifru),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: this request answers with an MTU.
        let mtu = unsafe { ask(libc::SIOCGIFMTU as libc::Ioctl)?.ifru_mtu };
        // SAFETY: this request answers with flags.
        let flags = unsafe { ask(libc::SIOCGIFFLAGS as libc::Ioctl)?.ifru_flags };
        Ok(State {
            name,
            mtu: mtu.try_into().unwrap_or(u16::MAX),
            is_up: libc::c_int::from(flags) & libc::IFF_UP != 0,
        })
    }

    /// A control socket in the namespace that the device is in now.
    fn follow(&self) -> io::Result<OwnedFd> {
        // SAFETY: takes no pointers; the result is checked before it is owned.
        let fd = unsafe { libc::ioctl(self.device.as_raw_fd(), TUNGETDEVNETNS, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
        let namespace = unsafe { OwnedFd::from_raw_fd(fd) };
        // A thread of its own: entering a namespace must not move the caller.
        let thread = std::thread::Builder::new().spawn(move || {
            // SAFETY: the descriptor is a namespace's and open.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } < 0 {
                return Err(io::Error::last_os_error());
            }
            control_socket()
        })?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("following the device panicked")))
    }
}

fn control_socket() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
