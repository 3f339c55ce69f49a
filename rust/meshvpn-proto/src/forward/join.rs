//! Joining: from single packets to super-packets that the TUN takes in one write.
//!
//! Packets of one TCP or UDP flow that follow each other become one: the kernel then walks its
//! receive path once for 64 KB. Only packets that splitting could have made are joined
//! (`flow`), so that splitting the result again gives the same bytes. In particular
//! every packet's checksums are verified before it is joined: the joined packet gets fresh ones, and
//! a corrupt packet must never be signed as good. A packet that cannot be joined goes out as it
//! came, for the kernel to judge. No packet overtakes an earlier one of its flow, except pure ACKs,
//! which are overtaken.
//!
//! Nothing is copied. A [`Write`] is a list of places in the buffer of opened packets: the first
//! packet whole, with room for a virtio header before it, then the payloads of those that follow.

use core::ops::Range;

use super::checksum::Sum;
use super::flow::{Headers, Kind, is_intact, same_flow, same_headers, same_hosts};
use super::split::{MAX_SEGMENTS, PSH, TCP_CHECKSUM, TCP_FLAGS, UDP_CHECKSUM};
use super::view::{IpView, TCP, UDP, address_bytes, set_length};
use super::virtio::{self, Gso, Header};

/// Flows watched at once. More would find little to join and cost a comparison each.
const OPEN_RUNS: usize = 8;
/// The longest packet that IPv4's and the virtio header's sixteen bits can describe.
const MAX_TOTAL: usize = 65_535;

/// What may be joined: whatever the device takes as a super-packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joins {
    /// Segments of TCP.
    pub tcp: bool,
    /// Datagrams of UDP.
    pub udp: bool,
}

/// Packets put together for the TUN, in arrival order.
#[derive(Debug)]
pub struct Joiner {
    joins: Joins,
    runs: Vec<Run>,
    pieces: Vec<Piece>,
    /// Runs that may still grow, newest last: indices into `runs`.
    open: arrayvec::ArrayVec<u32, OPEN_RUNS>,
}

/// One write to the TUN: the ranges of the buffer that make up the frame, virtio header first.
#[derive(Debug)]
pub struct Write<'a> {
    joiner: &'a Joiner,
    next: Option<u32>,
    /// Packets in this write.
    pub packets: u32,
}

#[derive(Debug)]
struct Run {
    /// The first packet's place in the buffer, without the virtio header.
    packet: Range<usize>,
    headers: Headers,
    segment_payload: usize,
    total_payload: usize,
    next_sequence: u32,
    packets: u32,
    is_push: bool,
    first_piece: u32,
    last_piece: u32,
}

#[derive(Debug)]
struct Piece {
    range: Range<usize>,
    next: Option<u32>,
}

impl Joiner {
    /// A joiner of whatever `joins` allows.
    pub fn new(joins: Joins) -> Self {
        Self {
            joins,
            runs: Vec::new(),
            pieces: Vec::new(),
            open: arrayvec::ArrayVec::new(),
        }
    }

    /// Joins nothing from now on: the device refuses what it said it would take.
    pub fn stop_joining(&mut self) {
        self.joins = Joins {
            tcp: false,
            udp: false,
        };
    }

    /// Forgets everything: the buffer is about to be filled anew.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.pieces.clear();
        self.open.clear();
    }

    /// Takes the packet at `range` of `buffer`, whose header is `view`. At least
    /// [`virtio::LEN`] bytes before it belong to it as well.
    pub fn push(&mut self, buffer: &[u8], range: Range<usize>, view: &IpView) {
        let packet = &buffer[range.clone()];
        let headers = match Kind::of(packet, view) {
            Kind::Joinable(headers) if self.joins.allow(headers.protocol) => headers,
            Kind::Joinable(_) => return self.push_alone(range),
            Kind::PureAck => return self.push_alone(range),
            Kind::Other => {
                self.open.retain(|run| {
                    let first = &buffer[self.runs[*run as usize].packet.clone()];
                    !same_hosts(first, packet)
                });
                return self.push_alone(range);
            }
        };
        let is_intact = is_intact(packet, &headers);
        let of_this_flow = self.open.iter().rposition(|run| {
            let run = &self.runs[*run as usize];
            same_flow(&buffer[run.packet.clone()], &run.headers, packet, &headers)
        });
        if let Some(position) = of_this_flow {
            let index = self.open[position];
            let run = &self.runs[index as usize];
            let first = &buffer[run.packet.clone()];
            if is_intact && run.accepts(first, packet, &headers) {
                let is_full = self.extend(index, packet, range, headers);
                if is_full {
                    self.open.remove(position);
                }
                return;
            }
            // What follows of this flow must not overtake this packet.
            self.open.remove(position);
        }
        if is_intact {
            self.push_open(packet, range, headers);
        } else {
            self.push_alone(range);
        }
    }

    /// Writes the virtio headers, and completes the headers of packets that were joined.
    pub fn finish(&mut self, buffer: &mut [u8]) {
        for run in &self.runs {
            let (before, packet) = buffer.split_at_mut(run.packet.start);
            let header: &mut [u8; virtio::LEN] = before
                .last_chunk_mut()
                .expect("every packet has room for a virtio header");
            run.complete(header, packet);
        }
        self.open.clear();
    }

    /// The writes, in arrival order of their first packets. Call after [`Self::finish`].
    pub fn writes(&self) -> impl Iterator<Item = Write<'_>> {
        self.runs.iter().map(|run| Write {
            joiner: self,
            next: Some(run.first_piece),
            packets: run.packets,
        })
    }

    fn push_alone(&mut self, range: Range<usize>) {
        let headers = Headers {
            transport: 0,
            len: range.len(),
            protocol: 0,
        };
        self.push_run(range, headers, 0, 0, false);
    }

    fn push_open(&mut self, packet: &[u8], range: Range<usize>, headers: Headers) {
        let payload = packet.len() - headers.len;
        let (next_sequence, is_push) = if headers.protocol == TCP {
            let tcp = &packet[headers.transport..];
            let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
            (
                sequence.wrapping_add(payload as u32),
                tcp[TCP_FLAGS] & PSH != 0,
            )
        } else {
            (0, false)
        };
        let index = self.push_run(range, headers, payload, next_sequence, is_push);
        if is_push {
            return;
        }
        if self.open.is_full() {
            self.open.remove(0);
        }
        self.open.push(index);
    }

    fn push_run(
        &mut self,
        packet: Range<usize>,
        headers: Headers,
        payload: usize,
        next_sequence: u32,
        is_push: bool,
    ) -> u32 {
        let piece = self.pieces.len() as u32;
        self.pieces.push(Piece {
            range: packet.start - virtio::LEN..packet.end,
            next: None,
        });
        self.runs.push(Run {
            packet,
            headers,
            segment_payload: payload,
            total_payload: payload,
            next_sequence,
            packets: 1,
            is_push,
            first_piece: piece,
            last_piece: piece,
        });
        self.runs.len() as u32 - 1
    }

    /// Adds a packet's payload to a run; true when nothing may follow it there.
    fn extend(&mut self, index: u32, packet: &[u8], range: Range<usize>, headers: Headers) -> bool {
        let piece = self.pieces.len() as u32;
        self.pieces.push(Piece {
            range: range.start + headers.len..range.end,
            next: None,
        });
        let run = &mut self.runs[index as usize];
        self.pieces[run.last_piece as usize].next = Some(piece);
        run.last_piece = piece;
        let payload = range.len() - headers.len;
        run.total_payload += payload;
        run.next_sequence = run.next_sequence.wrapping_add(payload as u32);
        run.packets += 1;
        if headers.protocol == TCP {
            run.is_push = packet[headers.transport + TCP_FLAGS] & PSH != 0;
        }
        run.is_push || payload < run.segment_payload || run.packets as usize == MAX_SEGMENTS
    }
}

impl Joins {
    /// What a device with all offloads takes.
    pub const ALL: Self = Self {
        tcp: true,
        udp: true,
    };

    fn allow(self, protocol: u8) -> bool {
        if protocol == TCP { self.tcp } else { self.udp }
    }
}

impl Run {
    /// Whether `packet`, of the same flow, continues the run exactly where it ends.
    fn accepts(&self, first: &[u8], packet: &[u8], headers: &Headers) -> bool {
        let payload = packet.len() - headers.len;
        if *headers != self.headers
            || !same_headers(first, packet, headers)
            || payload > self.segment_payload
            || headers.len + self.total_payload + payload > MAX_TOTAL
        {
            return false;
        }
        if headers.protocol == TCP {
            let tcp = &packet[headers.transport..];
            if u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]) != self.next_sequence {
                return false;
            }
        }
        first[0] >> 4 == 6 || {
            // Without DF the id is what reassembly goes by, and splitting will count it up.
            let id = |packet: &[u8]| u16::from_be_bytes([packet[4], packet[5]]);
            let dont_fragment = first[6] & 0x40 != 0;
            dont_fragment || id(packet) == id(first).wrapping_add(self.packets as u16)
        }
    }

    fn complete(&self, header: &mut [u8; virtio::LEN], packet: &mut [u8]) {
        if self.packets == 1 {
            return Header::default().write(header);
        }
        let Headers {
            transport,
            len,
            protocol,
        } = self.headers;
        let packet = &mut packet[..len];
        let is_v4 = packet[0] >> 4 == 4;
        let total_len = len + self.total_payload;
        set_length(packet, transport, total_len);
        let checksum_offset = if protocol == TCP {
            if self.is_push {
                packet[transport + TCP_FLAGS] |= PSH;
            }
            TCP_CHECKSUM
        } else {
            let udp_len = (total_len - transport) as u16;
            packet[transport + 4..transport + 6].copy_from_slice(&udp_len.to_be_bytes());
            UDP_CHECKSUM
        };
        let at = transport + checksum_offset;
        let partial = Sum::pseudo_header(address_bytes(packet), protocol, total_len - transport);
        packet[at..at + 2].copy_from_slice(&partial.partial());
        Header {
            needs_csum: true,
            gso: Some(match (protocol, is_v4) {
                (UDP, _) => Gso::Udp,
                (_, true) => Gso::TcpV4,
                (_, false) => Gso::TcpV6,
            }),
            hdr_len: len as u16,
            gso_size: self.segment_payload as u16,
            csum_start: transport as u16,
            csum_offset: checksum_offset as u16,
        }
        .write(header);
    }
}

impl Iterator for Write<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let piece = &self.joiner.pieces[self.next? as usize];
        self.next = piece.next;
        Some(piece.range.clone())
    }
}
