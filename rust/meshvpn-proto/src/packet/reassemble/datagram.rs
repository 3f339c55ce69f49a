//! One datagram on its way to being whole.

use std::collections::BTreeMap;
use std::time::Instant;

use etherparse::checksum::Sum16BitWords;

use super::{FragmentDrop, Piece};
use crate::packet::{Fragment, checksum};

/// What a kept piece costs beside its bytes: its place in the map and the allocator's share,
/// generously, so that a flood of 8-byte pieces meets the limit as well.
const PIECE_COST: usize = 128;

#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) deadline: Instant,
    /// From the first fragment: headers of the whole packet, except for lengths and checksum.
    headers: Option<Vec<u8>>,
    /// Data by offset, never overlapping.
    pieces: BTreeMap<u16, Box<[u8]>>,
    /// Bytes in `pieces`.
    received: usize,
    /// Known when the last fragment is here.
    end: Option<usize>,
    /// Nothing is kept any more and nothing is accepted.
    abandoned: bool,
}

pub(super) enum Outcome {
    Waiting,
    /// `packet` is `None` when it would be longer than a packet can be.
    Whole {
        packet: Option<Vec<u8>>,
        pieces: usize,
    },
    Dropped(FragmentDrop),
}

impl Datagram {
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            headers: None,
            pieces: BTreeMap::new(),
            received: 0,
            end: None,
            abandoned: false,
        }
    }

    /// Memory taken, in bytes.
    pub(super) fn cost(&self) -> usize {
        let headers = self.headers.as_ref().map_or(0, Vec::len);
        self.received + headers + (self.pieces.len() + 1) * PIECE_COST
    }

    pub(super) fn add(&mut self, fragment: Fragment, piece: Piece<'_>) -> Outcome {
        if self.abandoned {
            return Outcome::Dropped(FragmentDrop::Abandoned);
        }
        let start = usize::from(fragment.offset);
        let end = start + piece.data.len();
        if self
            .pieces
            .get(&fragment.offset)
            .is_some_and(|known| **known == *piece.data)
        {
            return Outcome::Waiting;
        }
        if self.overlaps(start, end) {
            return self.abandon(FragmentDrop::Overlap);
        }
        if !fragment.more {
            let beyond = self
                .pieces
                .last_key_value()
                .is_some_and(|(at, _)| usize::from(*at) >= end);
            if self.end.is_some() || beyond {
                return self.abandon(FragmentDrop::Disagreement);
            }
            self.end = Some(end);
        } else if self.end.is_some_and(|known| end > known) {
            return self.abandon(FragmentDrop::Disagreement);
        }
        if piece.headers.is_some() {
            self.headers = piece.headers;
        }
        self.pieces.insert(fragment.offset, piece.data.into());
        self.received += piece.data.len();
        match &self.headers {
            // Pieces do not overlap, so as many bytes as the length leave no hole.
            Some(headers) if self.end == Some(self.received) => {
                let data: Vec<&[u8]> = self.pieces.values().map(|piece| &**piece).collect();
                Outcome::Whole {
                    packet: assemble(headers, &data),
                    pieces: data.len(),
                }
            }
            _ => Outcome::Waiting,
        }
    }

    fn overlaps(&self, start: usize, end: usize) -> bool {
        // Only the last piece that begins before this one's end can reach into it.
        let end = u16::try_from(end).unwrap_or(u16::MAX);
        let before = self.pieces.range(..end).next_back();
        before.is_some_and(|(at, data)| usize::from(*at) + data.len() > start)
    }

    fn abandon(&mut self, reason: FragmentDrop) -> Outcome {
        *self = Self {
            abandoned: true,
            ..Self::new(self.deadline)
        };
        Outcome::Dropped(reason)
    }
}

/// Headers and data as one packet; `None` when its length field cannot hold the length.
pub(super) fn assemble(headers: &[u8], data: &[&[u8]]) -> Option<Vec<u8>> {
    let mut packet = [headers, &data.concat()].concat();
    if headers[0] >> 4 == 4 {
        let length = u16::try_from(packet.len()).ok()?;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        let sum = checksum::compute(Sum16BitWords::new(), &packet[..headers.len()], 10);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        let length = u16::try_from(packet.len() - etherparse::Ipv6Header::LEN).ok()?;
        packet[4..6].copy_from_slice(&length.to_be_bytes());
    }
    Some(packet)
}
