//! Network namespaces.
//!
//! A socket or TUN keeps the namespace of the thread that opened it. So a tunnel in another namespace
//! needs one thread that enters it; the threads that this one starts are born there.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::tunnel::TunnelError;

/// Where `ip netns` keeps the namespaces that have names.
const NAMED: &str = "/var/run/netns";

/// Moves the calling thread, which will be a driver, into the namespace that it was told; nowhere when it
/// was told none.
pub(crate) fn enter_named(name: Option<&str>) -> Result<(), TunnelError> {
    let Some(name) = name else { return Ok(()) };
    enter(name).map_err(|source| TunnelError::Netns {
        name: name.to_owned(),
        source,
    })
}

/// Moves the calling thread into the namespace called `name` (as `ip netns` lists it), or at the
/// path `name` if it holds a slash, e.g. `/proc/1234/ns/net`.
///
/// # Errors
/// When there is no such namespace, or the process may not enter it.
pub fn enter(name: &str) -> io::Result<()> {
    let path: PathBuf = if name.contains('/') {
        name.into()
    } else {
        Path::new(NAMED).join(name)
    };
    let file = File::open(path)?;
    // SAFETY: `setns` takes any descriptor and checks it; `file` keeps it open during the call. Only
    // the calling thread changes its namespace.
    if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
