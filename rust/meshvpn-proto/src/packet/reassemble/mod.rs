//! Fragments back to whole packets (RFC 791, RFC 8200 section 4.5), in bounded memory.
//!
//! A datagram is complete when the last hole closes, in whatever order the pieces come. Overlapping
//! pieces end it: RFC 5722 demands that for IPv6, where an overlap is always an attack or a
//! fault, and the same is done here for IPv4, because a reader that picks one of two versions
//! shows something else than the receiver may see. Its later pieces are then dropped too, until
//! it times out. An exact duplicate is no overlap; networks do duplicate.
//!
//! ```
//! # use std::time::Instant;
//! # use meshvpn_proto::packet::{Packet, Reassembler, Reassembly};
//! fn show(now: Instant, packet: &[u8], reassembler: &mut Reassembler) {
//!     if let Reassembly::Whole { packet, pieces } = reassembler.handle_packet(now, packet) {
//!         assert!(Packet::reassembled(packet, pieces).ip.is_some());
//!     }
//! }
//! ```

mod datagram;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use datagram::{Datagram, Outcome};
use etherparse::ip_number;

use super::defect::Defect;
use super::ip::{Extension, Fragment, Ip};

/// How long an incomplete IPv4 datagram is kept: what Linux does (`ipfrag_time`); RFC 1122, 3.3.2
/// asks for 60 s or more of hosts, from a time of slower links.
const TIMEOUT_V4: Duration = Duration::from_secs(30);

/// RFC 8200, 4.5: sixty seconds from the first piece to arrive.
const TIMEOUT_V6: Duration = Duration::from_secs(60);

/// Memory that [`Reassembler`] may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Incomplete datagrams at a time.
    pub datagrams: usize,
    /// Bytes of all their pieces, bookkeeping included.
    pub bytes: usize,
}

impl Default for Limits {
    /// 256 datagrams and 4 MiB, the value of Linux' `ipfrag_high_thresh`.
    fn default() -> Self {
        Self {
            datagrams: 256,
            bytes: 4 << 20,
        }
    }
}

/// What became of a packet given to [`Reassembler::handle_packet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reassembly {
    /// Not a fragment: use the packet as it is.
    NotAFragment,
    /// Kept; pieces are still missing.
    Waiting,
    /// The last hole is closed.
    Whole {
        /// The packet as it was before it was fragmented.
        packet: Vec<u8>,
        /// Number of fragments it came in.
        pieces: usize,
    },
    /// This piece, and perhaps what was kept of its datagram, is gone.
    Dropped(FragmentDrop),
}

/// Why a fragment was dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentDrop {
    /// The fragment itself is malformed.
    #[error("malformed fragment: {0}")]
    Malformed(Defect),
    /// It has no data.
    #[error("empty fragment")]
    Empty,
    /// It overlaps a piece that is there already: the whole datagram is dropped.
    #[error("overlapping fragments")]
    Overlap,
    /// Its datagram has two different ends, or data behind its end: all of it is dropped.
    #[error("fragments disagree on the length of the datagram")]
    Disagreement,
    /// Its datagram was dropped before.
    #[error("fragment of a datagram that was dropped")]
    Abandoned,
    /// The whole packet would be longer than a packet can be.
    #[error("reassembled packet would exceed 65535 bytes")]
    TooLong,
    /// It alone exceeds the memory limit.
    #[error("no memory for fragments")]
    NoRoom,
}

/// Incomplete datagrams that were given up, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Pieces were missing when time was up.
    pub timed_out: u64,
    /// The oldest made room for newer ones.
    pub evicted: u64,
}

/// Collects fragments and returns whole packets. Time is an argument.
#[derive(Debug, Default)]
pub struct Reassembler {
    limits: Limits,
    datagrams: BTreeMap<Key, Datagram>,
    lost: Lost,
}

/// What the pieces of one datagram have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// RFC 791 tells datagrams apart by protocol too; RFC 8200 does not, so it is 0 there.
    protocol: u8,
}

impl Reassembler {
    /// An empty reassembler that keeps to `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes a packet; fragments are kept until their datagram is whole.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Reassembly {
        self.handle_timeout(now);
        let mut defects = Vec::new();
        let Some(ip) = Ip::read(packet, &mut defects) else {
            return Reassembly::NotAFragment;
        };
        let Some(fragment) = ip.fragment else {
            return Reassembly::NotAFragment;
        };
        // Stray bytes lie outside the packet and do not touch it.
        defects.retain(|defect| !matches!(defect, Defect::StrayBytes(_)));
        if let Some(defect) = defects.into_iter().next() {
            return Reassembly::Dropped(FragmentDrop::Malformed(defect));
        }
        let piece = Piece::of(packet, &ip);
        if let (true, Some(headers)) = (fragment.is_whole(), &piece.headers) {
            // RFC 6946: on its own, whatever else is kept under the same identification.
            return finish(datagram::assemble(headers, &[piece.data]), 1);
        }
        if piece.data.is_empty() {
            return Reassembly::Dropped(FragmentDrop::Empty);
        }
        let key = Key {
            source: ip.source,
            destination: ip.destination,
            id: fragment.id,
            protocol: if ip.version_number() == 4 {
                ip.protocol.0
            } else {
                0
            },
        };
        self.keep(now, key, fragment, piece)
    }

    /// Gives up the datagrams whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((deadline, key)) = self.oldest() {
            if deadline > now {
                break;
            }
            self.datagrams.remove(&key);
            self.lost.timed_out += 1;
        }
    }

    /// When to call [`Self::handle_timeout`] next: when the oldest incomplete datagram expires.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.oldest().map(|(deadline, _)| deadline)
    }

    /// Incomplete datagrams given up so far.
    pub fn lost(&self) -> Lost {
        self.lost
    }

    fn keep(&mut self, now: Instant, key: Key, fragment: Fragment, piece: Piece<'_>) -> Reassembly {
        if !self.datagrams.contains_key(&key) {
            while self.datagrams.len() >= self.limits.datagrams.max(1) {
                self.evict_oldest();
            }
        }
        let timeout = if key.source.is_ipv4() {
            TIMEOUT_V4
        } else {
            TIMEOUT_V6
        };
        let datagram = self
            .datagrams
            .entry(key)
            .or_insert_with(|| Datagram::new(now + timeout));
        match datagram.add(fragment, piece) {
            Outcome::Whole { packet, pieces } => {
                self.datagrams.remove(&key);
                finish(packet, pieces)
            }
            Outcome::Dropped(reason) => Reassembly::Dropped(reason),
            Outcome::Waiting => {
                while self.cost() > self.limits.bytes {
                    self.evict_oldest();
                }
                if self.datagrams.contains_key(&key) {
                    Reassembly::Waiting
                } else {
                    Reassembly::Dropped(FragmentDrop::NoRoom)
                }
            }
        }
    }

    /// The datagram that expires first. There are few, so they are not kept in order.
    fn oldest(&self) -> Option<(Instant, Key)> {
        self.datagrams
            .iter()
            .map(|(key, datagram)| (datagram.deadline, *key))
            .min()
    }

    fn evict_oldest(&mut self) {
        if let Some((_, key)) = self.oldest() {
            self.datagrams.remove(&key);
            self.lost.evicted += 1;
        }
    }

    fn cost(&self) -> usize {
        self.datagrams.values().map(Datagram::cost).sum()
    }
}

fn finish(packet: Option<Vec<u8>>, pieces: usize) -> Reassembly {
    match packet {
        Some(packet) => Reassembly::Whole { packet, pieces },
        None => Reassembly::Dropped(FragmentDrop::TooLong),
    }
}

/// What a fragment contributes to its datagram.
struct Piece<'a> {
    /// From the first fragment: the headers of the whole packet, except for lengths and checksum.
    headers: Option<Vec<u8>>,
    data: &'a [u8],
}

impl<'a> Piece<'a> {
    fn of(packet: &'a [u8], ip: &Ip) -> Self {
        let is_fragment_header = |header: &Extension| header.protocol.0 == ip_number::IPV6_FRAG.0;
        let data_start = match ip
            .extensions
            .iter()
            .find(|header| is_fragment_header(header))
        {
            Some(header) => header.range.end,
            None => ip.header.end,
        };
        Self {
            headers: ip
                .has_upper_header()
                .then(|| unfragmented_headers(packet, ip)),
            data: &packet[data_start..ip.payload.end],
        }
    }
}

/// The headers in front of the fragmentable part, without the marks of fragmentation.
fn unfragmented_headers(packet: &[u8], ip: &Ip) -> Vec<u8> {
    // Where the next header's number stands: in the seventh byte of the IPv6 header, or in the
    // first of an extension header.
    let mut next_at = 6;
    for header in &ip.extensions {
        if header.protocol.0 == ip_number::IPV6_FRAG.0 {
            let mut headers = packet[..header.range.start].to_vec();
            headers[next_at] = packet[header.range.start];
            return headers;
        }
        next_at = header.range.start;
    }
    let mut headers = packet[ip.header.clone()].to_vec();
    // Keep the reserved bit and "don't fragment", clear "more fragments" and the offset.
    headers[6] &= 0xc0;
    headers[7] = 0;
    headers
}
