//! Which of our addresses a datagram leaves from.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use super::address::RawAddress;
use super::{UdpSocket, check, open};

impl UdpSocket {
    /// The endpoint that datagrams to `remote` leave from: `source` if given, else the address that this socket
    /// is bound to, else what the kernel chooses, which takes some system calls to ask. The unspecified address
    /// stands for "there is no way there".
    pub(crate) fn local_towards(&self, source: Option<IpAddr>, remote: SocketAddr) -> SocketAddr {
        let bound = self.local.ip();
        let known = source.or_else(|| (!bound.is_unspecified()).then_some(bound));
        let address = known.unwrap_or_else(|| self.choice_towards(remote).unwrap_or(bound));
        SocketAddr::new(address, self.local.port())
    }

    /// What the kernel chooses: a socket of its own is connected to there, which sends nothing.
    fn choice_towards(&self, remote: SocketAddr) -> io::Result<IpAddr> {
        let asking = open(self.is_v4)?;
        let mut mark: u32 = 0;
        let mut len = size_of::<u32>() as libc::socklen_t;
        let (level, option) = (libc::SOL_SOCKET, libc::SO_MARK);
        let value = (&raw mut mark).cast();
        // SAFETY: the kernel writes at most `len` bytes to `mark`, which has that many.
        check(unsafe { libc::getsockopt(self.raw(), level, option, value, &raw mut len) })?;
        if mark != 0 {
            let value = (&raw const mark).cast();
            // SAFETY: pointer and length describe `mark`, which lives through the call.
            check(unsafe { libc::setsockopt(asking.as_raw_fd(), level, option, value, len) })?;
        }
        let remote = RawAddress::new(remote);
        // SAFETY: pointer and length describe `remote`, which lives through the call.
        check(unsafe { libc::connect(asking.as_raw_fd(), remote.as_ptr(), remote.len()) })?;
        Ok(name(&asking)?.ip())
    }
}

/// The address that a socket has.
pub(super) fn name(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let mut address = RawAddress::empty();
    let mut len = address.len();
    // SAFETY: the kernel writes at most `len` bytes to `address`, which has that many.
    check(unsafe { libc::getsockname(socket.as_raw_fd(), address.as_mut_ptr(), &raw mut len) })?;
    address
        .to_socket_addr()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_where_nobody_has_said() {
        let socket = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), None).unwrap();
        let port = socket.local().port();
        let local = |source: Option<&str>, remote: &str| {
            let source = source.map(|source| source.parse().unwrap());
            let local = socket.local_towards(source, remote.parse().unwrap());
            assert_eq!(local.port(), port);
            local.ip().to_string()
        };
        assert_eq!(local(None, "127.0.0.1:9"), "127.0.0.1");
        assert_eq!(local(Some("192.0.2.1"), "127.0.0.1:9"), "192.0.2.1");
        // Nothing is sent to where nobody can be.
        assert_eq!(local(None, "[::1]:9"), "0.0.0.0");
        let bound = UdpSocket::bind("127.0.0.2:0".parse().unwrap(), None).unwrap();
        let towards = bound.local_towards(None, "127.0.0.1:9".parse().unwrap());
        assert_eq!(towards, bound.local());
    }
}
