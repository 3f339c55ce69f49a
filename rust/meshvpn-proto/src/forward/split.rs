//! Splitting: from what the TUN hands over to packets as they travel.
//!
//! The kernel gives up to 64 KB of TCP or UDP payload under one set of headers. Each segment gets
//! its own copy of the headers with length, sequence number, IPv4 id and checksums made right; its
//! payload is copied and summed in one pass. CWR goes on the first TCP segment only, FIN and PSH on
//! the last only (as the kernel's own segmentation does).

use super::DropReason;
use super::checksum::Sum;
use super::view::{IpView, TCP, UDP, address_bytes, set_length};
use super::virtio::{Gso, Header};

/// Most segments taken from one super-packet. The device is told to make at most 45; a frame that
/// would give more than this is not one that the kernel makes.
pub const MAX_SEGMENTS: usize = 128;

/// Longest headers in front of a segment's payload: IPv6 with extensions, TCP with options.
pub(super) const MAX_HEADERS: usize = 256;

pub(super) const TCP_FLAGS: usize = 13;
pub(super) const TCP_CHECKSUM: usize = 16;
pub(super) const UDP_CHECKSUM: usize = 6;
pub(super) const FIN: u8 = 0x01;
pub(super) const PSH: u8 = 0x08;
pub(super) const CWR: u8 = 0x80;

/// A super-packet whose headers have been checked, ready to be written segment by segment.
#[derive(Debug)]
pub struct SuperPacket<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    ip_header: usize,
    transport: usize,
    protocol: u8,
    segment_payload: usize,
}

impl<'a> SuperPacket<'a> {
    /// Checks a frame that claims `header.gso` against its own bytes.
    ///
    /// `largest` is the longest packet that the path takes. TCP is cut smaller when `gso_size` would
    /// not fit: a byte stream does not mind. UDP datagrams keep their size, so that they may be
    /// longer than the path takes.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] for headers that do not fit together, [`DropReason::TooBig`] when
    /// TCP would have to be cut too small.
    pub fn parse(
        header: &Header,
        packet: &'a [u8],
        view: &IpView,
        largest: usize,
    ) -> Result<Self, DropReason> {
        let gso = header.gso.ok_or(DropReason::Malformed)?;
        let transport = usize::from(header.csum_start);
        let is_v4 = packet[0] >> 4 == 4;
        let protocol = match gso {
            Gso::TcpV4 if is_v4 => TCP,
            Gso::TcpV6 if !is_v4 => TCP,
            Gso::Udp => UDP,
            _ => return Err(DropReason::Malformed),
        };
        let fits_ip = if is_v4 {
            view.protocol == protocol && transport == view.header_len && !view.is_fragment
        } else {
            transport >= view.header_len
        };
        let transport_len = match protocol {
            TCP => usize::from(*packet.get(transport + 12).ok_or(DropReason::Malformed)? >> 4) * 4,
            _ => 8,
        };
        let headers_len = transport + transport_len;
        let gso_size = usize::from(header.gso_size);
        if !header.needs_csum
            || !fits_ip
            || (protocol == TCP && transport_len < 20)
            || headers_len > MAX_HEADERS
            || view.total_len != packet.len()
            || headers_len >= packet.len()
            || gso_size == 0
        {
            return Err(DropReason::Malformed);
        }
        let (headers, payload) = packet.split_at(headers_len);
        if payload.len().div_ceil(gso_size) > MAX_SEGMENTS {
            return Err(DropReason::Malformed);
        }
        let segment_payload = match protocol {
            TCP => gso_size.min(largest.saturating_sub(headers_len)),
            _ => gso_size,
        };
        if segment_payload == 0 || payload.len().div_ceil(segment_payload) > MAX_SEGMENTS {
            return Err(DropReason::TooBig);
        }
        let ip_header = view.header_len;
        Ok(Self {
            headers,
            payload,
            ip_header,
            transport,
            protocol,
            segment_payload,
        })
    }

    /// How many segments there are.
    pub fn segments(&self) -> usize {
        self.payload.len().div_ceil(self.segment_payload)
    }

    /// Length of the first segment with its headers: no other is longer.
    pub fn longest(&self) -> usize {
        self.segment_len(0)
    }

    /// Length of segment `index` with its headers.
    pub fn segment_len(&self, index: usize) -> usize {
        let start = index * self.segment_payload;
        self.headers.len() + self.segment_payload.min(self.payload.len() - start)
    }

    /// Writes segment `index` to `out`, which is exactly [`Self::segment_len`] bytes.
    pub fn write_segment(&self, index: usize, out: &mut [u8]) {
        let start = index * self.segment_payload;
        let end = (start + self.segment_payload).min(self.payload.len());
        let is_last = end == self.payload.len();
        let total_len = out.len();
        let (headers, payload) = out.split_at_mut(self.headers.len());
        headers.copy_from_slice(self.headers);

        if headers[0] >> 4 == 4 {
            let id = u16::from_be_bytes([headers[4], headers[5]]).wrapping_add(index as u16);
            headers[4..6].copy_from_slice(&id.to_be_bytes());
        }
        set_length(headers, self.ip_header, total_len);

        let checksum_at = self.transport
            + if self.protocol == TCP {
                set_tcp_fields(
                    &mut headers[self.transport..],
                    start as u32,
                    index == 0,
                    is_last,
                );
                TCP_CHECKSUM
            } else {
                let length = (total_len - self.transport) as u16;
                headers[self.transport + 4..self.transport + 6]
                    .copy_from_slice(&length.to_be_bytes());
                UDP_CHECKSUM
            };
        headers[checksum_at..checksum_at + 2].fill(0);
        let sum = Sum::of_copy(&self.payload[start..end], payload)
            .and(Sum::of(&headers[self.transport..]))
            .and(Sum::pseudo_header(
                address_bytes(headers),
                self.protocol,
                total_len - self.transport,
            ));
        let checksum = transport_checksum(sum, self.protocol);
        headers[checksum_at..checksum_at + 2].copy_from_slice(&checksum);
    }
}

fn set_tcp_fields(tcp: &mut [u8], offset: u32, is_first: bool, is_last: bool) {
    let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]).wrapping_add(offset);
    tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
    if !is_first {
        tcp[TCP_FLAGS] &= !CWR;
    }
    if !is_last {
        tcp[TCP_FLAGS] &= !(FIN | PSH);
    }
}

/// A packet that is not a super-packet, whose checksum the kernel may have left to us.
#[derive(Debug)]
pub struct SinglePacket<'a> {
    packet: &'a [u8],
    /// Where to start summing, and where the result goes.
    checksum: Option<(usize, usize)>,
}

impl<'a> SinglePacket<'a> {
    /// Checks that the checksum to complete lies inside the packet, behind its IP header.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] when it does not.
    pub fn parse(header: &Header, packet: &'a [u8], view: &IpView) -> Result<Self, DropReason> {
        let start = usize::from(header.csum_start);
        let field = start + usize::from(header.csum_offset);
        let is_inside = start >= view.header_len && field + 2 <= packet.len();
        if header.needs_csum && !is_inside {
            return Err(DropReason::Malformed);
        }
        Ok(Self {
            packet,
            checksum: header.needs_csum.then_some((start, field)),
        })
    }

    /// Writes the packet to `out`, which is exactly as long.
    pub fn write(&self, out: &mut [u8]) {
        let Some((start, field)) = self.checksum else {
            return out.copy_from_slice(self.packet);
        };
        out[..start].copy_from_slice(&self.packet[..start]);
        // The field holds the pseudo-header's sum, so summing over it brings that in.
        let sum = Sum::of_copy(&self.packet[start..], &mut out[start..]);
        let protocol = if field - start == UDP_CHECKSUM {
            UDP
        } else {
            TCP
        };
        out[field..field + 2].copy_from_slice(&transport_checksum(sum, protocol));
    }
}

/// A UDP checksum that comes out as zero is sent as all ones: zero means "none" (RFC 768).
fn transport_checksum(sum: Sum, protocol: u8) -> [u8; 2] {
    match sum.checksum() {
        [0, 0] if protocol == UDP => [0xff, 0xff],
        checksum => checksum,
    }
}
