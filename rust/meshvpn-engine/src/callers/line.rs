//! The socket by which all callers talk with one device.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use meshvpn_proto::noise::messages::{CookieReply, Response};

use crate::udp::{Receiver, UdpSocket};
use crate::wait::Waiter;

/// A socket that sends from many addresses: caller `n` has the `n`-th after the first.
pub struct Line {
    socket: UdpSocket,
    waiter: Waiter,
    receiver: Receiver,
    device: SocketAddr,
    first: Ipv4Addr,
}

/// What a device says to a caller.
pub(super) enum Answer {
    Response(Response),
    Cookie(CookieReply),
}

impl Line {
    /// Opens the socket in the calling thread's network namespace, to which the callers' addresses must be
    /// routed. `device` is where the device listens, `first` the first caller's address.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn open(device: SocketAddr, first: Ipv4Addr) -> io::Result<Self> {
        let socket = UdpSocket::bind_for_peers((Ipv4Addr::UNSPECIFIED, 0).into(), None)?;
        Ok(Self {
            waiter: Waiter::new(&[socket.as_fd()])?,
            socket,
            receiver: Receiver::new(),
            device,
            first,
        })
    }

    /// Sends one datagram; what there is no room for is lost, as on any network.
    pub(super) fn send(&self, caller: u32, datagram: &[u8]) {
        let source = Ipv4Addr::from(u32::from(self.first).wrapping_add(caller));
        self.socket
            .send_unfragmented(datagram, Some(IpAddr::V4(source)), self.device, None);
    }

    /// Takes everything that has come, without waiting for more.
    pub(super) fn receive(&mut self, mut heard: impl FnMut(Answer)) -> io::Result<()> {
        loop {
            let is_full = match self.receiver.receive(&self.socket, 0) {
                Ok(is_full) => is_full,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // An ICMP error that came back, from a device that is not there.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            for arrival in self.receiver.arrivals() {
                for datagram in arrival.bytes.chunks(arrival.segment_size.max(1)) {
                    let response = Response::parse(datagram).map(Answer::Response);
                    let answer =
                        response.or_else(|| CookieReply::parse(datagram).map(Answer::Cookie));
                    // Devices may have more to say, keepalives for example.
                    if let Some(answer) = answer {
                        heard(answer);
                    }
                }
            }
            if !is_full {
                return Ok(());
            }
        }
    }

    /// Sleeps until something has come, or for `timeout`.
    pub(super) fn wait(&self, timeout: Duration) -> io::Result<()> {
        self.waiter.wait(Some(timeout), |_| {})
    }
}

impl core::fmt::Debug for Line {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Line")
            .field("device", &self.device)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}
