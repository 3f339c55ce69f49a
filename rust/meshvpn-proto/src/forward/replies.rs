//! ICMP errors for the sender inside: what it sends is too long for the path.

use core::net::IpAddr;

use arrayvec::ArrayVec;

use super::view::IpView;
use super::virtio;
use crate::packet::icmp_error::too_big;

/// ICMP errors per batch: these answer one host's packets, which wait for nothing else.
const MAX_REPLIES: usize = 8;
/// An ICMP error quotes no more than makes 1,280 bytes (RFC 4443, section 2.4 (c)).
const REPLY_LEN: usize = virtio::LEN + 1280;
/// The smallest MTU of IPv6 (RFC 8200, section 5): nobody need go below it, so a path that is
/// narrower gets fragments of the datagram around the packet.
pub(super) const IPV6_MIN_MTU: usize = 1280;

/// The errors of one batch, as frames for the TUN.
pub(super) struct Replies {
    frames: Box<[u8]>,
    lens: ArrayVec<usize, MAX_REPLIES>,
}

impl Replies {
    pub(super) fn new() -> Self {
        Self {
            frames: vec![0; MAX_REPLIES * REPLY_LEN].into(),
            lens: ArrayVec::new(),
        }
    }

    /// Tells the sender of `packet` that `largest` bytes fit. The answer seems to come from the
    /// destination: from an address of our own it would be taken for forged.
    pub(super) fn push_too_big(&mut self, packet: &[u8], view: &IpView, largest: usize) {
        if self.lens.is_full() {
            return;
        }
        let mtu = match view.source {
            IpAddr::V4(_) => largest,
            IpAddr::V6(_) => largest.max(IPV6_MIN_MTU),
        };
        let start = self.lens.len() * REPLY_LEN;
        let (header, body) = self.frames[start..start + REPLY_LEN].split_at_mut(virtio::LEN);
        header.fill(0);
        if let Some(len) = too_big(packet, mtu as u16, view.destination, body) {
            self.lens.push(virtio::LEN + len);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.frames.chunks(REPLY_LEN).zip(&self.lens);
        frames.map(|(frame, len)| &frame[..*len])
    }

    pub(super) fn clear(&mut self) {
        self.lens.clear();
    }
}
