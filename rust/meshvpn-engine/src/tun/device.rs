//! Opening a TUN device.
//!
//! The `tun` crate opens it; offload is ours. A device lives as long as its descriptor: when the
//! process ends, however it ends, the device, its addresses and its routes are gone.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use meshvpn_proto::forward::Joins;

use super::Queue;

/// `TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6`: super-packets of TCP, checksums left to us.
const OFFLOAD_TCP: libc::c_uint = 0x01 | 0x02 | 0x04;
/// `TUN_F_USO4 | TUN_F_USO6`: super-packets of UDP, from Linux 6.2 on.
const OFFLOAD_UDP: libc::c_uint = 0x20 | 0x40;
/// `_IOW('T', 208, unsigned int)`.
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;

/// `_IOR('T', 210, unsigned int)`.
const TUNGETIFF: libc::c_ulong = 0x8004_54d2;

/// Longest name of a network interface, without the final zero (`IFNAMSIZ`).
const MAX_NAME: usize = 15;

/// Whether frames carry a virtio header and may be super-packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offload {
    /// Frames are IP packets, one at a time, checksums complete: for people to look at.
    Off,
    /// Frames start with a virtio header: for the data plane.
    On,
}

/// An open TUN device.
#[derive(Debug)]
pub struct Device {
    /// The name that the kernel gave it.
    pub name: String,
    /// Its frames.
    pub queue: Queue,
    /// The super-packets that may be written to it.
    pub joins: Joins,
}

/// Why a device could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name cannot be a network interface's.
    #[error("device name {0:?} must be 1 to {MAX_NAME} characters without '/', '%' or spaces")]
    Name(String),
    /// The kernel refused.
    #[error("cannot create TUN device {name:?}: {source}")]
    Kernel {
        /// The name asked for.
        name: String,
        /// What it said.
        source: io::Error,
    },
}

impl Device {
    /// Creates a device called `name` in the calling thread's namespace.
    ///
    /// # Errors
    /// [`OpenError`]; the kernel's own error is EPERM without `CAP_NET_ADMIN`, EBUSY when the name is
    /// taken, EEXIST when a persistent device has it, ENOENT or ENXIO without `/dev/net/tun`.
    pub fn open(name: &str, offload: Offload) -> Result<Self, OpenError> {
        check_name(name)?;
        Self::open_valid(name, offload).map_err(|source| OpenError::Kernel {
            name: name.into(),
            source,
        })
    }

    fn open_valid(name: &str, offload: Offload) -> io::Result<Self> {
        let mut config = tun::Configuration::default();
        config.tun_name(name);
        config.platform_config(|platform| {
            platform.vnet_hdr(offload == Offload::On);
            // Addresses and routes are set over netlink, IPv6 included.
            platform.ensure_root_privileges(false);
        });
        let device = tun::create(&config).map_err(into_io_error)?;
        // SAFETY: the device gives up its descriptor, so that it is ours alone.
        let fd = unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) };
        if is_persistent(&fd)? {
            // Opened, not created: it would stay behind with our addresses and routes.
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let mut joins = Joins {
            tcp: false,
            udp: false,
        };
        if offload == Offload::On {
            joins.udp = set_offload(&fd, OFFLOAD_TCP | OFFLOAD_UDP).is_ok();
            if !joins.udp {
                set_offload(&fd, OFFLOAD_TCP)?;
            }
            joins.tcp = true;
        }
        Ok(Self {
            name: name.into(),
            queue: Queue::new(fd)?,
            joins,
        })
    }
}

/// Whether the device outlives its descriptor: then somebody else made it.
fn is_persistent(fd: &OwnedFd) -> io::Result<bool> {
    let request = interface_request(fd)?;
    // SAFETY: what was asked answers with the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok(libc::c_int::from(flags) & libc::IFF_PERSIST != 0)
}

/// The name and flags of the device behind a descriptor.
pub(super) fn interface_request(fd: &OwnedFd) -> io::Result<libc::ifreq> {
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel fills in `request`, which lives through the call.
    if unsafe { libc::ioctl(fd.as_raw_fd(), TUNGETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(request)
}

/// Whether a device can be called `name`; to be asked before anything else is named after it.
///
/// # Errors
/// [`OpenError::Name`] when it cannot.
pub fn check_name(name: &str) -> Result<(), OpenError> {
    let is_valid = (1..=MAX_NAME).contains(&name.len())
        && !matches!(name, "." | "..")
        && name
            .chars()
            .all(|c| c.is_ascii_graphic() && !"/%:".contains(c));
    if is_valid {
        Ok(())
    } else {
        Err(OpenError::Name(name.into()))
    }
}

fn set_offload(fd: &OwnedFd, features: libc::c_uint) -> io::Result<()> {
    // SAFETY: this ioctl takes its argument by value.
    let result =
        unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETOFFLOAD, libc::c_ulong::from(features)) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn into_io_error(error: tun::Error) -> io::Error {
    match error {
        tun::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_interface_can_have_are_refused() {
        for name in [
            "",
            "a-name-of-sixteen",
            "a/b",
            "a b",
            "..",
            "a%d",
            "é",
            "a\0b",
            "a\n",
        ] {
            let error = Device::open(name, Offload::Off).unwrap_err();
            assert!(matches!(error, OpenError::Name(_)), "{name}: {error}");
        }
    }
}
