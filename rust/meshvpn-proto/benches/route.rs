//! Allowed IPs with ten prefixes, a thousand and a hundred thousand: look-up, change, build.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use meshvpn_proto::route::{AllowedIps, Prefix};

const SIZES: [u32; 3] = [10, 1000, 100_000];
/// Addresses looked up in turn: more than the second-level cache has room for nodes.
const ADDRESSES: usize = 1 << 16;

/// Where prefixes lie and how long they are.
struct Layout {
    name: &'static str,
    prefix: fn(u32) -> Prefix,
}

/// What a network of peers has, and the worst that may come.
const LAYOUTS: [Layout; 3] = [
    Layout {
        name: "IPv4 hosts of 10.0.0.0/8",
        prefix: |index| Prefix::host(Ipv4Addr::from(0x0a00_0000 + index).into()),
    },
    Layout {
        name: "IPv4 anywhere, /12 to /32",
        prefix: |index| {
            let len = 12 + (scatter(u64::from(index) + 7) % 21) as u8;
            let address = Ipv4Addr::from(scatter(u64::from(index)) as u32);
            Prefix::new(address.into(), len).expect("at most 32 bits")
        },
    },
    Layout {
        name: "IPv6 hosts of fd00::/48",
        prefix: |index| {
            let host = u128::from(scatter(u64::from(index)));
            let address = 0xfd00_0102_0304 << 80 | host;
            Prefix::host(Ipv6Addr::from(address).into())
        },
    },
];

/// Numbers all over the place, the same every time (the finaliser of SplitMix64).
fn scatter(index: u64) -> u64 {
    let mut z = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn build(layout: &Layout, size: u32) -> AllowedIps<u32> {
    let mut allowed = AllowedIps::new();
    for index in 0..size {
        allowed.insert((layout.prefix)(index), index);
    }
    allowed
}

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("allowed IPs, look-up");
    group.throughput(Throughput::Elements(1));
    for layout in LAYOUTS {
        for size in SIZES {
            let table = build(&layout, size).snapshot();
            let addresses: Vec<IpAddr> = (0..ADDRESSES)
                .map(|turn| (layout.prefix)(scatter(turn as u64) as u32 % size).address())
                .collect();
            let mut turn = 0;
            group.bench_function(format!("{}, {size}", layout.name), |b| {
                b.iter(|| {
                    turn = (turn + 1) % ADDRESSES;
                    black_box(table.lookup(black_box(addresses[turn])).copied())
                })
            });
        }
    }
    group.finish();
}

/// A prefix more and a prefix less while the forwarding threads hold the table of before.
fn change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("allowed IPs, change and publish");
    for layout in LAYOUTS {
        for size in SIZES {
            let mut allowed = build(&layout, size);
            let mut published = allowed.snapshot();
            let mut turn = 0;
            group.bench_function(format!("{}, {size}", layout.name), |b| {
                b.iter(|| {
                    turn = (turn + 1) % size;
                    let prefix = (layout.prefix)(turn);
                    if let Some(owner) = allowed.lookup(prefix.address()).copied() {
                        allowed.remove(prefix, &owner);
                        published = allowed.snapshot();
                        allowed.insert(prefix, owner);
                    }
                    published = allowed.snapshot();
                    published.len()
                })
            });
        }
    }
    group.finish();
}

fn builds(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("allowed IPs, build");
    group.sample_size(10);
    for layout in LAYOUTS {
        group.bench_function(format!("{}, 100000", layout.name), |b| {
            b.iter_with_large_drop(|| build(&layout, 100_000))
        });
    }
    group.finish();
}

criterion_group!(benches, look_up, change, builds);
criterion_main!(benches);
