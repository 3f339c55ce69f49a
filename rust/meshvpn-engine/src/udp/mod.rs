//! UDP for the data plane: many datagrams a system call, both ways.
//!
//! | module | holds |
//! |---|---|
//! | this one | a socket with the options that the data plane needs |
//! | `send` | one `sendmsg` for a run of datagrams (`UDP_SEGMENT`), with fallbacks |
//! | `receive` | one `recvmmsg` for many buffers, each a run of datagrams (`UDP_GRO`) |
//! | `local` | which of our addresses a datagram leaves from |
//! | `address` | socket addresses as the kernel wants them |

mod address;
mod local;
mod receive;
mod send;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Mutex;
use std::time::Duration;

use address::RawAddress;
pub use receive::Receiver;
pub(crate) use receive::{BUFFER_LEN, BUFFERS};
pub use send::SendOutcome;

/// Socket buffers: enough for a few milliseconds at 10 Gbit/s, so that a thread that is not
/// scheduled at once loses nothing (the size that made the largest difference for other VPNs).
const BUFFER_BYTES: libc::c_int = 7 << 20;
/// How long a send may wait for room in the socket's buffer before its datagrams are dropped; also
/// how long closing may take when the network stands still.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);
/// From `linux/udp.h`; not in the `libc` crate for every target.
const UDP_SEGMENT: libc::c_int = 103;
const UDP_GRO: libc::c_int = 104;

/// A bound UDP socket. Sends carry "don't fragment" and ignore what the kernel believes about the
/// path MTU: that is found by probing.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    is_v4: bool,
    local: SocketAddr,
    /// How "don't fragment" is set when nothing else is said.
    discovery: libc::c_int,
    /// Held while "don't fragment" is off, and while something is sent that must carry it.
    fragmenting: Mutex<()>,
}

impl UdpSocket {
    /// Binds a socket to `local`, with the firewall mark `mark` on everything it sends.
    ///
    /// # Errors
    /// The kernel's, when the address cannot be had or the mark needs a privilege.
    pub fn bind(local: SocketAddr, mark: Option<u32>) -> io::Result<Self> {
        let mut socket = Self {
            fd: open(local.is_ipv4())?,
            is_v4: local.is_ipv4(),
            local,
            discovery: if local.is_ipv4() {
                libc::IP_PMTUDISC_PROBE
            } else {
                libc::IPV6_PMTUDISC_PROBE
            },
            fragmenting: Mutex::new(()),
        };
        socket.configure(mark)?;
        let address = RawAddress::new(local);
        // SAFETY: pointer and length describe `address`, which lives through the call.
        check(unsafe { libc::bind(socket.raw(), address.as_ptr(), address.len()) })?;
        socket.local = local::name(&socket.fd)?;
        Ok(socket)
    }

    /// As [`Self::bind`], for peers that come from anywhere and do not probe their paths. What is longer than
    /// the path takes is fragmented, as kernels do it for their own tunnels; and what is received tells
    /// which of our addresses it was sent to.
    ///
    /// # Errors
    /// The kernel's, as for [`Self::bind`].
    pub fn bind_for_peers(local: SocketAddr, mark: Option<u32>) -> io::Result<Self> {
        let mut socket = Self::bind(local, mark)?;
        if socket.is_v4 {
            socket.discovery = libc::IP_PMTUDISC_DONT;
            socket.set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        } else {
            // No router fragments IPv6: here what ICMP says of the path has to be believed.
            socket.discovery = libc::IPV6_PMTUDISC_WANT;
            socket.set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        }
        socket.discover(socket.discovery)?;
        Ok(socket)
    }

    /// Sets the firewall mark of everything that it sends from now on; 0 is none.
    ///
    /// # Errors
    /// The kernel's: a mark needs `CAP_NET_ADMIN`.
    pub fn set_mark(&self, mark: u32) -> io::Result<()> {
        set_mark(self, mark)
    }

    /// The address it is bound to, with the port that the kernel chose if it was given 0.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    fn configure(&self, mark: Option<u32>) -> io::Result<()> {
        if !self.is_v4 {
            self.set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        self.discover(self.discovery)?;
        for (forced, plain) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            // Without the privilege the kernel's limit has to do.
            self.set(libc::SOL_SOCKET, forced, BUFFER_BYTES)
                .or_else(|_| self.set(libc::SOL_SOCKET, plain, BUFFER_BYTES))?;
        }
        if let Some(mark) = mark {
            self.set_mark(mark)?;
        }
        // Kernels before 5.0 do not know it; then every datagram arrives alone.
        let _ = self.set(libc::IPPROTO_UDP, UDP_GRO, 1);
        let timeout = libc::timeval {
            tv_sec: 0,
            tv_usec: SEND_TIMEOUT.as_micros() as libc::suseconds_t,
        };
        self.set(libc::SOL_SOCKET, libc::SO_SNDTIMEO, timeout)
    }

    /// Sets what becomes of "don't fragment".
    fn discover(&self, mode: libc::c_int) -> io::Result<()> {
        if self.is_v4 {
            self.set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, mode)
        } else {
            self.set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, mode)
        }
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: T) -> io::Result<()> {
        set(self.as_fd(), level, option, value)
    }

    fn raw(&self) -> libc::c_int {
        self.fd.as_raw_fd()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open(is_v4: bool) -> io::Result<OwnedFd> {
    let family = if is_v4 { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: takes no pointers; the result is checked before it is owned.
    let fd = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(fd)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets the firewall mark of everything that a socket sends from now on; 0 is none.
///
/// # Errors
/// The kernel's: a mark needs `CAP_NET_ADMIN`.
pub(crate) fn set_mark(socket: &impl AsFd, mark: u32) -> io::Result<()> {
    let value = mark as libc::c_int;
    set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_MARK, value)
}

fn set<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: T,
) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: pointer and length describe `value`, which lives through the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            len,
        )
    })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
