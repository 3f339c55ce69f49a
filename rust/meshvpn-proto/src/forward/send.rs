//! Sends: datagrams of one length to one peer leave together, in one system call.

use core::ops::Range;
use core::sync::atomic::Ordering;
use std::sync::Arc;

use super::DropReason;
use super::peers::{Path, Peers};
use crate::session::transport::Session;

/// Most datagrams in one segmented send (`UDP_MAX_SEGMENTS` before Linux 6.9).
pub const MAX_SEND_SEGMENTS: usize = 64;
/// Most bytes in one segmented send: the longest UDP datagram over IPv4.
pub const MAX_SEND_BYTES: usize = 65_507;

/// One send: a run of datagrams to one peer.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// The way to send it.
    pub path: &'a Path,
    /// The datagrams, one after the other.
    pub contents: &'a [u8],
    /// Length of each datagram but perhaps the last; `None` for a single one.
    pub segment_size: Option<usize>,
    /// Longer than the path takes: to be sent without "don't fragment".
    pub may_fragment: bool,
    /// The peer's slot.
    pub slot: usize,
}

impl Transmit<'_> {
    /// Datagrams in it.
    pub fn datagrams(&self) -> u64 {
        self.segment_size
            .map_or(1, |segment| self.contents.len().div_ceil(segment) as u64)
    }
}

/// A peer that this batch sends to; loaded once, so a rekey takes effect with the next batch.
pub(super) struct Target {
    pub(super) slot: usize,
    pub(super) session: Arc<Session>,
    pub(super) path: Arc<Path>,
    pub(super) datagram_max: usize,
    /// Packets staged for it.
    pub(super) packets: u64,
    /// And the bytes of UDP payload that they become.
    pub(super) bytes: u64,
}

impl Target {
    pub(super) fn load(slot: usize, peers: &impl Peers) -> Result<Self, DropReason> {
        let state = peers.slot(slot);
        // Where nobody knows where the peer is, no handshake will come of waiting.
        let path = state.path.load_full().ok_or(DropReason::NoEndpoint)?;
        let session = state.session.load_full().ok_or(DropReason::NoSession)?;
        Ok(Self {
            slot,
            session,
            path,
            datagram_max: state.datagram_max.load(Ordering::Relaxed),
            packets: 0,
            bytes: 0,
        })
    }

    /// Numbers for `count` packets; returns the first.
    pub(super) fn reserve(&self, count: usize) -> Result<u64, DropReason> {
        match &*self.session {
            Session::Plain => Ok(0),
            Session::Sealed(session) => session.reserve(count as u64).ok_or(DropReason::NoSession),
        }
    }
}

/// A packet as it will be sealed: its place in `staged`, padding included.
pub(super) struct Staged {
    pub(super) range: Range<usize>,
    pub(super) target: usize,
    pub(super) counter: u64,
    /// Longer than the path takes; the IP layer may cut it.
    pub(super) may_fragment: bool,
    /// Its place in `sealed`, or in `staged` under a plain session.
    pub(super) datagram: Range<usize>,
}

/// How many of `following` can go out in one send with `first`: same peer, same length, but that
/// the last may be shorter.
pub(super) fn run_len(first: &Staged, following: &[Staged]) -> usize {
    if first.may_fragment {
        return 0;
    }
    let size = first.datagram.len();
    let mut count = 0;
    for packet in following {
        let fits = packet.target == first.target
            && !packet.may_fragment
            && packet.datagram.len() <= size
            && count + 2 <= MAX_SEND_SEGMENTS
            && packet.datagram.end - first.datagram.start <= MAX_SEND_BYTES;
        if !fits {
            break;
        }
        count += 1;
        if packet.datagram.len() < size {
            break;
        }
    }
    count
}
