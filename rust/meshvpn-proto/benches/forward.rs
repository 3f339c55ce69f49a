//! What the forwarder costs without its system calls and its AEAD: those are measured elsewhere.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{Bencher, Criterion, Throughput, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use meshvpn_proto::forward::checksum::Sum;
use meshvpn_proto::forward::join::Joiner;
use meshvpn_proto::forward::split::SuperPacket;
use meshvpn_proto::forward::virtio::{self, Gso, Header};
use meshvpn_proto::forward::{Arrival, Inbound, IpView, Joins, Outbound, Path};
use meshvpn_proto::session::aead::{Aead, Key, Open, Seal, TAG_LEN};
use meshvpn_proto::session::replay::ReplayWindow;
use meshvpn_proto::session::transport::{DATA, HEADER_LEN, OVERHEAD, SealedSession};
use meshvpn_proto::tunnel::PointToPoint;

/// TCP payload of a full segment under a path of 1,500 bytes: 1,420 less headers.
const SEGMENT: usize = 1380;
/// As many segments as leave in one send.
const SEGMENTS: usize = 45;
/// IPv4 and TCP without options.
const HEADERS: usize = 40;
const DATAGRAM_MAX: usize = 1472;

/// Moves the bytes and finds them authentic: what remains is the forwarder.
struct NoCipher;

impl Aead for NoCipher {
    fn name(&self) -> &'static str {
        "none"
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

fn tcp(sequence: u32, payload: usize) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(443, 51514, sequence, 64240)
        .ack(8);
    let mut packet = Vec::new();
    let payload: Vec<_> = (0..payload).map(|i| (i * 31) as u8).collect();
    builder
        .write(&mut packet, &payload)
        .expect("a Vec takes everything");
    packet
}

fn segments() -> Vec<Vec<u8>> {
    (0..SEGMENTS)
        .map(|i| tcp((i * SEGMENT) as u32, SEGMENT))
        .collect()
}

fn super_header() -> Header {
    Header {
        needs_csum: true,
        gso: Some(Gso::TcpV4),
        hdr_len: HEADERS as u16,
        gso_size: SEGMENT as u16,
        csum_start: 20,
        csum_offset: 16,
    }
}

fn checksum(criterion: &mut Criterion) {
    let bytes: Vec<_> = (0..65_535u32).map(|i| (i * 31) as u8).collect();
    let mut out = bytes.clone();
    let mut group = criterion.benchmark_group("checksum");
    for len in [64, 1420, 65_535] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("of {len}"), |b| {
            b.iter(|| Sum::of(black_box(&bytes[..len])))
        });
        group.bench_function(format!("of_copy {len}"), |b| {
            b.iter(|| Sum::of_copy(black_box(&bytes[..len]), black_box(&mut out[..len])))
        });
        group.bench_function(format!("copy alone {len}"), |b| {
            b.iter(|| black_box(&mut out[..len]).copy_from_slice(black_box(&bytes[..len])))
        });
    }
    group.finish();
}

fn split_and_join(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("segments");
    group.throughput(Throughput::Elements(SEGMENTS as u64));
    let packet = tcp(1, SEGMENT * SEGMENTS);
    let mut out = vec![0; HEADERS + SEGMENT];
    group.bench_function("split 45", |b| {
        b.iter(|| {
            let packet = black_box(&packet[..]);
            let view = IpView::parse(packet).expect("IP");
            let whole = SuperPacket::parse(&super_header(), packet, &view, 1420).expect("TCP");
            for index in 0..whole.segments() {
                whole.write_segment(index, black_box(&mut out));
            }
        })
    });

    let stride = HEADERS + SEGMENT + virtio::LEN;
    let segments = segments();
    let before = [0; virtio::LEN];
    let mut buffer: Vec<_> = segments
        .iter()
        .flat_map(|packet| [&before[..], packet].concat())
        .collect();
    let mut joiner = Joiner::new(Joins::ALL);
    group.bench_function("join 45", |b| {
        b.iter(|| {
            // Joining completes the first packet's headers in place.
            buffer[virtio::LEN..][..HEADERS].copy_from_slice(&segments[0][..HEADERS]);
            joiner.clear();
            for start in (virtio::LEN..buffer.len()).step_by(stride) {
                let range = start..start + HEADERS + SEGMENT;
                let view = IpView::parse(&buffer[range.clone()]).expect("IP");
                joiner.push(&buffer, range, &view);
            }
            joiner.finish(&mut buffer);
            assert_eq!(joiner.writes().count(), 1);
        })
    });
    group.finish();
}

fn peers(is_sealed: bool) -> PointToPoint {
    let path = Path {
        socket: 0,
        source: None,
        destination: peer(),
    };
    if !is_sealed {
        return PointToPoint::plain(path, DATAGRAM_MAX);
    }
    let peers = PointToPoint::sealed(path, SEGMENT + HEADERS + OVERHEAD);
    let key = || Key::new([1; 32]);
    peers.install(Arc::new(SealedSession::new(0, 0, key(), key())));
    peers
}

fn peer() -> SocketAddr {
    ([192, 0, 2, 1], 7000).into()
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(SEGMENTS as u64));
    let mut header = [0; virtio::LEN];
    super_header().write(&mut header);
    let frame = [&header[..], &tcp(1, SEGMENT * SEGMENTS)].concat();
    for is_sealed in [false, true] {
        let kind = if is_sealed { "sealed" } else { "plain" };
        group.bench_function(format!("outbound 45 {kind}"), |b| {
            outbound(b, is_sealed, &frame)
        });
        group.bench_function(format!("inbound 45 {kind}"), |b| inbound(b, is_sealed));
    }
    group.finish();
}

fn outbound(bencher: &mut Bencher<'_>, is_sealed: bool, frame: &[u8]) {
    let peers = peers(is_sealed);
    let mut outbound = Outbound::new(Box::new(NoCipher));
    outbound.frame_buffer()[..frame.len()].copy_from_slice(frame);
    bencher.iter(|| {
        outbound.push(frame.len(), &peers);
        outbound.seal();
        assert_eq!(black_box(outbound.transmits()).count(), 1);
        outbound.clear(&peers);
    });
}

fn inbound(bencher: &mut Bencher<'_>, is_sealed: bool) {
    let peers = peers(is_sealed);
    let mut inbound = Inbound::new(Box::new(NoCipher), 1 << 16, Joins::ALL);
    let (front, back) = if is_sealed {
        (HEADER_LEN, TAG_LEN)
    } else {
        (0, 0)
    };
    let size = front + HEADERS + SEGMENT + back;
    let mut datagrams = vec![0; size * SEGMENTS];
    for (datagram, packet) in datagrams.chunks_mut(size).zip(segments()) {
        datagram[0] = DATA;
        datagram[front..size - back].copy_from_slice(&packet);
    }
    let mut counter = 0u64;
    bencher.iter(|| {
        if is_sealed {
            for datagram in datagrams.chunks_mut(size) {
                datagram[8..16].copy_from_slice(&counter.to_le_bytes());
                counter += 1;
            }
        }
        let arrival = Arrival {
            bytes: &datagrams,
            segment_size: size,
            source: peer(),
            socket: 0,
            local: None,
            is_truncated: false,
        };
        inbound.receive([arrival], &peers);
        assert_eq!(black_box(inbound.writes()).count(), 1);
    });
}

fn look_ups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look-up");
    group.throughput(Throughput::Elements(1));
    let packet = tcp(1, SEGMENT);
    group.bench_function("view", |b| b.iter(|| IpView::parse(black_box(&packet))));
    let mut window = ReplayWindow::default();
    let mut number = 0;
    group.bench_function("replay window, in order", |b| {
        b.iter(|| {
            number += 1;
            assert!(window.accept(black_box(number)));
        })
    });
    group.bench_function("replay window, pairs swapped", |b| {
        number = (number + 2) & !1;
        b.iter(|| {
            number += 1;
            assert!(window.accept(black_box(number ^ 1)));
        })
    });
    group.finish();
}

criterion_group!(benches, checksum, split_and_join, batches, look_ups);
criterion_main!(benches);
