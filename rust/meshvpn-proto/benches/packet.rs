//! What it costs to read a packet for people, to write its line and to put fragments together.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use meshvpn_proto::packet::{Packet, Reassembler, Reassembly, dissect};

/// A TCP segment with `length` bytes of data.
fn segment(length: usize) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(443, 51514, 7, 64240)
        .ack(8);
    let mut packet = Vec::new();
    builder
        .write(&mut packet, &vec![0x5a; length])
        .expect("a Vec takes everything");
    packet
}

/// A datagram of 8000 bytes in six IPv6 fragments.
fn fragments() -> Vec<Vec<u8>> {
    let data = [0x5a; 8000];
    let pieces = data.chunks(1448).enumerate().map(|(place, piece)| {
        let offset = place as u16 * 1448;
        let more = usize::from(offset) + piece.len() < data.len();
        let [high, low] = (offset | u16::from(more)).to_be_bytes();
        let [length_high, length_low] = (piece.len() as u16 + 8).to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, length_high, length_low, 44, 64];
        packet.extend([0xfd; 32]);
        packet.extend([17, 0, high, low, 0, 0, 0, 7]);
        packet.extend(piece);
        packet
    });
    pieces.collect()
}

fn bench(criterion: &mut Criterion) {
    let full = segment(1460);
    let mut group = criterion.benchmark_group("packet");
    group.throughput(Throughput::Elements(1));
    let bare = segment(0);
    group.bench_function("dissect 40 bytes", |b| b.iter(|| dissect(black_box(&bare))));
    // The difference is the verification of the checksum over 1460 bytes more.
    group.bench_function("dissect 1500 bytes", |b| {
        b.iter(|| dissect(black_box(&full)))
    });
    let packet = Packet::new(full);
    group.bench_function("summary", |b| b.iter(|| black_box(&packet).summary()));
    group.bench_function("layers", |b| b.iter(|| black_box(&packet).layers()));

    let pieces = fragments();
    let (last, others) = pieces.split_last().expect("several fragments");
    #[expect(clippy::disallowed_methods, reason = "any fixed moment will do")]
    let now = Instant::now();
    group.throughput(Throughput::Elements(pieces.len() as u64));
    group.bench_function("reassemble 6 fragments", |b| {
        let mut reassembler = Reassembler::default();
        b.iter(|| {
            for piece in others {
                assert_eq!(reassembler.handle_packet(now, piece), Reassembly::Waiting);
            }
            reassembler.handle_packet(now, black_box(last))
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
