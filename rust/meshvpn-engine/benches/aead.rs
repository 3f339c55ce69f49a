//! Sealing and opening by every backend that runs here: single packets, small and full, and a full
//! batch of full ones. `meshvpn bench --aead` shows the same without criterion.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use meshvpn_engine::aead::{Backend, Direction, Load};
use meshvpn_proto::session::aead::MAX_BATCH;

criterion_group!(benches, small, full, batch_of_full);
criterion_main!(benches);

/// The payload of a ping, about.
fn small(criterion: &mut Criterion) {
    bench::<1>(criterion, 64);
}

/// A packet at the MTU that a 1500-byte path leaves to a tunnel.
fn full(criterion: &mut Criterion) {
    bench::<1>(criterion, 1420);
}

/// What the data plane hands over when it is busy.
fn batch_of_full(criterion: &mut Criterion) {
    bench::<MAX_BATCH>(criterion, 1420);
}

fn bench<const N: usize>(criterion: &mut Criterion, packet_len: usize) {
    for direction in [Direction::Seal, Direction::Open] {
        let mut group = criterion.benchmark_group(format!("{direction:?}/{N}x{packet_len}"));
        group.throughput(Throughput::Bytes((N * packet_len) as u64));
        for backend in Backend::ALL {
            let Ok(aead) = backend.start() else { continue };
            let mut load = Load::<N>::new(aead, packet_len);
            group.bench_function(backend.name(), |bencher| {
                bencher.iter(|| black_box(&mut load).work(direction));
            });
        }
        group.finish();
    }
}
