//! Receiving: one system call for several buffers, each of which may hold a run of datagrams.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use meshvpn_proto::forward::Arrival;

use super::address::RawAddress;
use super::{UDP_GRO, UdpSocket};

/// Buffers filled by one call. Under load each holds 64 KB, and together they should stay in the
/// second-level cache.
pub(crate) const BUFFERS: usize = 8;
/// The longest run that the kernel puts together.
pub(crate) const BUFFER_LEN: usize = 65_536;
/// Room for the control messages that tell the segment size and our address, and then some.
const CONTROL_LEN: usize = 96;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct ControlBuffer([u8; CONTROL_LEN]);

/// Buffers for receiving; one thread owns them.
pub struct Receiver {
    bytes: Box<[u8]>,
    addresses: Box<[RawAddress; BUFFERS]>,
    controls: Box<[ControlBuffer; BUFFERS]>,
    lengths: [Received; BUFFERS],
    count: usize,
    socket: usize,
}

#[derive(Clone, Copy, Default)]
struct Received {
    len: usize,
    segment_size: usize,
    local: Option<IpAddr>,
    is_truncated: bool,
}

impl Receiver {
    /// Empty buffers.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BUFFERS * BUFFER_LEN].into(),
            addresses: Box::new([RawAddress::empty(); BUFFERS]),
            controls: Box::new([ControlBuffer([0; CONTROL_LEN]); BUFFERS]),
            lengths: [Received::default(); BUFFERS],
            count: 0,
            socket: 0,
        }
    }

    /// Fills the buffers with what waits at `socket`, which arrivals will call number `index`.
    /// Returns whether all buffers were filled, so that more may wait.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing waits, else the kernel's.
    pub fn receive(&mut self, socket: &UdpSocket, index: usize) -> io::Result<bool> {
        self.count = 0;
        self.socket = index;
        let mut iovs = [libc::iovec {
            iov_base: core::ptr::null_mut(),
            iov_len: BUFFER_LEN,
        }; BUFFERS];
        // SAFETY: all zeros is a valid `mmsghdr`.
        let mut messages: [libc::mmsghdr; BUFFERS] = unsafe { core::mem::zeroed() };
        for (i, buffer) in self.bytes.chunks_exact_mut(BUFFER_LEN).enumerate() {
            iovs[i].iov_base = buffer.as_mut_ptr().cast();
            self.addresses[i] = RawAddress::empty();
            let header = &mut messages[i].msg_hdr;
            header.msg_name = self.addresses[i].as_mut_ptr().cast();
            header.msg_namelen = self.addresses[i].len();
            header.msg_iov = &raw mut iovs[i];
            header.msg_iovlen = 1;
            // The kernel shortens these to what it wrote, so they are set anew every time.
            header.msg_control = self.controls[i].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_LEN;
        }
        // SAFETY: every pointer in `messages` is to memory that lives through the call, with its true
        // length, and no two overlap.
        let count = unsafe {
            libc::recvmmsg(
                socket.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                BUFFERS as libc::c_uint,
                libc::MSG_DONTWAIT,
                core::ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        self.count = count as usize;
        for (received, message) in self.lengths.iter_mut().zip(&messages[..self.count]) {
            let len = message.msg_len as usize;
            let told = Told::parse(&message.msg_hdr);
            let is_truncated = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            *received = Received {
                len,
                segment_size: told.segment_size.unwrap_or(len),
                local: told.local,
                is_truncated,
            };
        }
        Ok(self.count == BUFFERS)
    }

    /// What the last call brought.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        let buffers = self.bytes.chunks_exact(BUFFER_LEN).zip(&self.addresses[..]);
        buffers
            .zip(&self.lengths[..self.count])
            .map(|((buffer, address), received)| Arrival {
                bytes: &buffer[..received.len],
                segment_size: received.segment_size,
                // An address of no family that we bind can only be the kernel's mistake; nobody's peer
                // has this one.
                source: address
                    .to_socket_addr()
                    .unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
                socket: self.socket,
                local: received.local,
                is_truncated: received.is_truncated,
            })
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

/// What the kernel tells beside a buffer.
#[derive(Default)]
struct Told {
    /// The length of each datagram in a run, if it put a run together.
    segment_size: Option<usize>,
    /// The address that they were sent to, on a socket that asks for it.
    local: Option<IpAddr>,
}

impl Told {
    fn parse(header: &libc::msghdr) -> Self {
        let mut told = Self::default();
        // SAFETY: the kernel has filled in control buffer and length; the macros stay inside them, and
        // level and type say what each message holds.
        unsafe {
            let mut control = libc::CMSG_FIRSTHDR(header);
            while !control.is_null() {
                let data = libc::CMSG_DATA(control);
                match ((*control).cmsg_level, (*control).cmsg_type) {
                    (libc::SOL_UDP, UDP_GRO) => {
                        let size = data.cast::<libc::c_int>().read_unaligned();
                        told.segment_size = usize::try_from(size).ok().filter(|size| *size > 0);
                    }
                    (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                        let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                        let octets = info.ipi_spec_dst.s_addr.to_ne_bytes();
                        told.local = Some(Ipv4Addr::from(octets).into());
                    }
                    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                        let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                        told.local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                    }
                    _ => {}
                }
                control = libc::CMSG_NXTHDR(header, control);
            }
        }
        told
    }
}
