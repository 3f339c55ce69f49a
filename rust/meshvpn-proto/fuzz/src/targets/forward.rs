//! The forwarder: frames from any host, datagrams from any stranger.

use std::net::SocketAddr;

use meshvpn_proto::forward::split::SuperPacket;
use meshvpn_proto::forward::virtio::{self, Header};
use meshvpn_proto::forward::{Arrival, DropReason, Inbound, IpView, Joins, Outbound, Path, Tally};
use meshvpn_proto::session::aead::{Aead, Open, Seal};
use meshvpn_proto::tunnel::PointToPoint;

use super::tunnel::session;

/// The length of the longest frame that a TUN gives.
const MAX_FRAME: usize = virtio::LEN + 65_535;

/// Copies instead of sealing and finds everything in order: what is inside is what is tested here.
struct Trusting;

impl Aead for Trusting {
    fn name(&self) -> &'static str {
        "trusting"
    }

    fn seal(&mut self, batch: &mut [Seal<'_>]) {
        for job in batch {
            job.out[..job.plaintext.len()].copy_from_slice(job.plaintext);
        }
    }

    fn open(&mut self, batch: &mut [Open<'_>]) {
        for job in batch {
            job.out.copy_from_slice(&job.sealed[..job.out.len()]);
            job.valid = true;
        }
    }
}

fn peers(is_sealed: bool, datagram_max: usize) -> PointToPoint {
    let path = Path {
        socket: 0,
        source: None,
        destination: peer(),
    };
    if !is_sealed {
        return PointToPoint::plain(path, datagram_max);
    }
    let peers = PointToPoint::sealed(path, datagram_max);
    peers.install(session(0x0404_0404, 1, [1, 2]));
    peers
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 7000))
}

fn drops(tally: &Tally) -> u64 {
    let dropped = DropReason::ALL.iter().map(|reason| tally.dropped(*reason));
    dropped.sum()
}

/// The next entry of a list: a length in 16 bits, and that many bytes or what is left.
fn next_entry<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = data.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (entry, rest) = rest.split_at(length);
    *data = rest;
    Some(entry)
}

/// Any frames are sent or counted, in runs that the kernel takes.
///
/// The input: framing, what the path takes in 16 bits, a list of frames.
pub fn outbound_frame(data: &[u8]) {
    let [framing, high, low, frames @ ..] = data else {
        return;
    };
    let mut frames = frames;
    let peers = peers(
        framing % 2 == 1,
        usize::from(u16::from_be_bytes([*high, *low])),
    );
    let mut outbound = Outbound::new(Box::new(Trusting));
    let mut taken = 0;
    while let Some(frame) = next_entry(&mut frames).filter(|_| !outbound.is_full()) {
        outbound.frame_buffer()[..frame.len()].copy_from_slice(frame);
        outbound.push(frame.len(), &peers);
        taken += 1;
    }
    outbound.seal();
    let mut datagrams = 0;
    for transmit in outbound.transmits() {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        let count = transmit.contents.len().div_ceil(size);
        assert!(count <= 64 && transmit.contents.len() <= 65_507);
        assert_eq!(transmit.segment_size.is_some(), count > 1);
        assert!(count == 1 || !transmit.may_fragment);
        datagrams += count as u64;
    }
    for reply in outbound.replies() {
        assert!(IpView::parse(&reply[virtio::LEN..]).is_ok());
    }
    assert!(outbound.replies().count() <= 8);
    outbound.clear(&peers);
    let tally = outbound.take_tally();
    assert_eq!(tally.packets, datagrams);
    assert!(drops(&tally) <= taken);
}

/// Any datagrams are taken or counted, and what is written to the TUN holds together.
///
/// The input: framing, a list of buffers, each beginning with the length of its datagrams.
pub fn inbound_datagram(data: &[u8]) {
    let [framing, buffers @ ..] = data else {
        return;
    };
    let (mut rest, mut buffers) = (buffers, Vec::new());
    while let Some([size, bytes @ ..]) = next_entry(&mut rest) {
        buffers.push((usize::from(*size) * 8, bytes));
    }
    let peers = peers(framing % 2 == 1, 1500);
    let mut inbound = Inbound::new(Box::new(Trusting), data.len(), Joins::ALL);
    let arrivals = buffers.iter().map(|(segment_size, bytes)| Arrival {
        bytes,
        segment_size: *segment_size,
        source: peer(),
        socket: 0,
        local: None,
        is_truncated: false,
    });
    inbound.receive(arrivals, &peers);
    let expected: usize = buffers
        .iter()
        .map(|(size, bytes)| bytes.len().div_ceil((*size).max(1)).max(1))
        .sum();
    let packets: usize = frames(&inbound)
        .iter()
        .map(|frame| packets_in(frame).len())
        .sum();
    let control = inbound.take_control().count() as u64;
    let tally = inbound.take_tally();
    assert_eq!(packets as u64, tally.packets);
    // Empty data messages are keepalives: taken, and neither passed on nor dropped.
    assert!(tally.packets + drops(&tally) + control <= expected as u64);
    assert!(framing % 2 == 1 || tally.packets + drops(&tally) + control == expected as u64);
}

/// What a frame is split into comes out again after joining, packet by packet.
///
/// The input: one frame.
pub fn split_join(data: &[u8]) {
    if data.len() > MAX_FRAME {
        return;
    }
    let peers = peers(false, 65_507);
    let mut outbound = Outbound::new(Box::new(Trusting));
    outbound.frame_buffer()[..data.len()].copy_from_slice(data);
    outbound.push(data.len(), &peers);
    outbound.seal();
    let mut inbound = Inbound::new(Box::new(Trusting), 2 * MAX_FRAME, Joins::ALL);
    let arrivals = outbound.transmits().map(|transmit| Arrival {
        bytes: transmit.contents,
        segment_size: transmit.segment_size.unwrap_or(transmit.contents.len()),
        source: peer(),
        socket: 0,
        local: None,
        is_truncated: false,
    });
    inbound.receive(arrivals, &peers);
    let datagrams = outbound.transmits().flat_map(|transmit| {
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        transmit.contents.chunks(size)
    });
    let frames = frames(&inbound);
    let packets = frames.iter().flat_map(|frame| packets_in(frame));
    assert!(packets.eq(datagrams.map(<[u8]>::to_vec)));
}

fn frames(inbound: &Inbound) -> Vec<Vec<u8>> {
    let pieces = inbound.writes().map(|(_, pieces)| pieces);
    pieces
        .map(|pieces| pieces.flat_map(|piece| piece.to_vec()).collect())
        .collect()
}

/// The packets that a frame for the TUN stands for.
fn packets_in(frame: &[u8]) -> Vec<Vec<u8>> {
    let (header, packet) = frame.split_first_chunk().expect("a virtio header");
    let header = Header::parse(header).expect("a kind that we write");
    let view = IpView::parse(packet).expect("an IP packet");
    assert_eq!(view.total_len, packet.len());
    if header.gso.is_none() {
        return vec![packet.to_vec()];
    }
    let whole = SuperPacket::parse(&header, packet, &view, usize::MAX).expect("a super-packet");
    let segment = |index| {
        let mut segment = vec![0; whole.segment_len(index)];
        whole.write_segment(index, &mut segment);
        segment
    };
    (0..whole.segments()).map(segment).collect()
}
