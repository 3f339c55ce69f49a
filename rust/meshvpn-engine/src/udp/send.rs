//! Sending: one system call for a run of datagrams, and what to do when the kernel will not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use super::address::RawAddress;
use super::{UDP_SEGMENT, UdpSocket};
use crate::capture::taps::Listening;

/// What became of a run of datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOutcome {
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// Datagrams longer than the interface takes.
    pub too_long: u64,
    /// Datagrams refused for another reason.
    pub failed: u64,
    /// Datagrams, perhaps earlier ones, that made room for these because a relay takes them too slowly.
    pub congested: u64,
}

/// What goes out by one system call.
struct Message<'a> {
    contents: &'a [u8],
    /// Length of each datagram but perhaps the last, where there are several.
    segment: Option<usize>,
    destination: SocketAddr,
    flags: libc::c_int,
    listening: Option<Listening<'a>>,
}

/// Room for the control messages of a send: a segment size and a source address.
const CONTROL_LEN: usize = 64;

#[repr(C, align(8))]
struct ControlBuffer([u8; CONTROL_LEN]);

impl UdpSocket {
    /// Sends `contents` to `destination`, cut into datagrams of `segment_size` bytes if given.
    ///
    /// When the kernel cannot segment towards there, the same bytes go out one by one, and `sends_singly`
    /// is set so that it is not asked again. `listening` hears what is sent, here and below.
    pub(crate) fn send(
        &self,
        contents: &[u8],
        segment_size: Option<usize>,
        source: Option<IpAddr>,
        destination: SocketAddr,
        sends_singly: &AtomicBool,
        listening: Option<Listening<'_>>,
    ) -> SendOutcome {
        let mut outcome = SendOutcome::default();
        let message = |contents, segment| Message {
            contents,
            segment,
            destination,
            flags: 0,
            listening,
        };
        let Some(segment) = segment_size else {
            outcome.count(self.send_message(&message(contents, None), source), 1);
            return outcome;
        };
        let count = contents.len().div_ceil(segment) as u64;
        if !sends_singly.load(Ordering::Relaxed) {
            match self.send_message(&message(contents, Some(segment)), source) {
                Err(error) if is_segmentation_refused(&error) => {}
                result => {
                    outcome.count(result, count);
                    return outcome;
                }
            }
        }
        for datagram in contents.chunks(segment) {
            outcome.count(self.send_message(&message(datagram, None), source), 1);
        }
        if outcome.sent == count {
            // One by one all of them leave, so it was segmentation that did not work.
            sends_singly.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Sends a datagram that is longer than the path takes: the IP layer cuts it into packets of at
    /// most `path_mtu` bytes, and routers may cut it further.
    pub(crate) fn send_fragmented(
        &self,
        datagram: &[u8],
        source: Option<IpAddr>,
        destination: SocketAddr,
        path_mtu: u16,
        listening: Option<Listening<'_>>,
    ) -> SendOutcome {
        let _fragmenting = self
            .fragmenting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut outcome = SendOutcome::default();
        let message = Message {
            contents: datagram,
            segment: None,
            destination,
            flags: 0,
            listening,
        };
        let result = self
            .allow_fragments(Some(path_mtu))
            .and_then(|()| self.send_message(&message, source));
        outcome.count(result, 1);
        outcome.count(self.allow_fragments(None), 0);
        outcome
    }

    /// Sends a datagram of a driver, which never waits for room; and one that must not be fragmented even if
    /// another thread is just sending one that may: a probe of the path MTU.
    pub(crate) fn send_unfragmented(
        &self,
        datagram: &[u8],
        source: Option<IpAddr>,
        destination: SocketAddr,
        listening: Option<Listening<'_>>,
    ) -> SendOutcome {
        let _fragmenting = self
            .fragmenting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut outcome = SendOutcome::default();
        let message = Message {
            contents: datagram,
            segment: None,
            destination,
            flags: libc::MSG_DONTWAIT,
            listening,
        };
        outcome.count(self.send_message(&message, source), 1);
        outcome
    }

    fn allow_fragments(&self, path_mtu: Option<u16>) -> io::Result<()> {
        let without = if self.is_v4 {
            libc::IP_PMTUDISC_DONT
        } else {
            libc::IPV6_PMTUDISC_DONT
        };
        self.discover(path_mtu.map_or(self.discovery, |_| without))?;
        if self.is_v4 {
            return Ok(());
        }
        // No router cuts IPv6, so the size has to be right here. Zero lifts the limit again.
        let limit = libc::c_int::from(path_mtu.unwrap_or(0));
        self.set(libc::IPPROTO_IPV6, libc::IPV6_MTU, limit)
    }

    /// Sends from `source` if that is still one of our addresses, else from where the kernel likes.
    fn send_message(&self, message: &Message<'_>, source: Option<IpAddr>) -> io::Result<()> {
        match self.send_message_from(message, source) {
            Err(error) if source.is_some() && is_source_refused(&error) => {
                self.send_message_from(message, None)
            }
            result => result,
        }
    }

    fn send_message_from(&self, message: &Message<'_>, source: Option<IpAddr>) -> io::Result<()> {
        let Some(listening) = message.listening else {
            return self.send_in_silence(message, source);
        };
        let Message {
            contents,
            segment,
            destination,
            ..
        } = *message;
        let local = self.local_towards(source, destination);
        let segment = segment.unwrap_or(contents.len());
        let sending = listening.sending(local, destination, contents, segment);
        let result = self.send_in_silence(message, source);
        sending.settle(result.is_ok());
        result
    }

    fn send_in_silence(&self, message: &Message<'_>, source: Option<IpAddr>) -> io::Result<()> {
        let Message {
            contents,
            segment,
            destination,
            flags,
            ..
        } = *message;
        let mut address = RawAddress::new(destination);
        let mut iov = libc::iovec {
            iov_base: contents.as_ptr().cast_mut().cast(),
            iov_len: contents.len(),
        };
        let mut control = ControlBuffer([0; CONTROL_LEN]);
        // SAFETY: all zeros is a valid `msghdr`.
        let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
        header.msg_name = address.as_mut_ptr().cast();
        header.msg_namelen = address.len();
        header.msg_iov = &raw mut iov;
        header.msg_iovlen = 1;
        let mut writer = ControlWriter {
            buffer: &mut control.0,
            len: 0,
        };
        if let Some(segment) = segment {
            writer.push(libc::SOL_UDP, UDP_SEGMENT, segment as u16);
        }
        match source {
            Some(IpAddr::V4(source)) => writer.push(
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(source.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                },
            ),
            Some(IpAddr::V6(source)) => writer.push(
                libc::IPPROTO_IPV6,
                libc::IPV6_PKTINFO,
                libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: source.octets(),
                    },
                    ipi6_ifindex: 0,
                },
            ),
            None => {}
        }
        let control_len = writer.len;
        if control_len > 0 {
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = control_len;
        }
        // SAFETY: every pointer in `header` is to a local that lives through the call, with its
        // true length; the kernel only reads them.
        if unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const header, flags) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl core::ops::AddAssign for SendOutcome {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.too_long += other.too_long;
        self.failed += other.failed;
        self.congested += other.congested;
    }
}

impl SendOutcome {
    /// Nothing was sent of `datagrams`.
    pub fn failed(datagrams: u64) -> Self {
        Self {
            failed: datagrams,
            ..Self::default()
        }
    }

    fn count(&mut self, result: io::Result<()>, datagrams: u64) {
        match result {
            Ok(()) => self.sent += datagrams,
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                self.too_long += datagrams
            }
            Err(_) => self.failed += datagrams,
        }
    }
}

/// Errors that may mean "not segmented": EIO without checksum offload, EINVAL and EMSGSIZE for
/// segments above the MTU (which of them depends on the kernel), EOPNOTSUPP on odd devices.
fn is_segmentation_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP)
    )
}

/// Errors for a source address that is not ours, or not there any more.
fn is_source_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EADDRNOTAVAIL | libc::ENETUNREACH | libc::EHOSTUNREACH)
    )
}

/// Writes control messages one after the other, as `cmsg(3)` lays them out.
struct ControlWriter<'a> {
    buffer: &'a mut [u8; CONTROL_LEN],
    len: usize,
}

impl ControlWriter<'_> {
    fn push<T>(&mut self, level: libc::c_int, kind: libc::c_int, value: T) {
        // SAFETY: both are pure arithmetic.
        let (space, len) = unsafe {
            let size = size_of::<T>() as libc::c_uint;
            (
                libc::CMSG_SPACE(size) as usize,
                libc::CMSG_LEN(size) as usize,
            )
        };
        assert!(
            self.len + space <= CONTROL_LEN,
            "control messages do not fit"
        );
        // SAFETY: `space` bytes from `len` on lie inside the buffer, which is aligned to eight as a
        // `cmsghdr` wants, and `space` is a multiple of that alignment.
        unsafe {
            let header = self
                .buffer
                .as_mut_ptr()
                .add(self.len)
                .cast::<libc::cmsghdr>();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = len;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        self.len += space;
    }
}
