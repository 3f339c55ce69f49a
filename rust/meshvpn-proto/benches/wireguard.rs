//! WireGuard's look-ups with ten peers, a thousand and a hundred thousand, and what handshakes cost.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use meshvpn_proto::forward::{IpView, Path, Peers, SharedPeers};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::cookie::{Checker, Stamper};
use meshvpn_proto::noise::handshake::{Initiator, Responder};
use meshvpn_proto::noise::identity::Identity;
use meshvpn_proto::noise::messages::Initiation;
use meshvpn_proto::noise::tai64n::Tai64n;
use meshvpn_proto::route::Prefix;
use meshvpn_proto::session::transport::{DATA, HEADER_LEN};
use meshvpn_proto::time::Now;
use meshvpn_proto::wireguard::{Limits, WireGuard};

const SIZES: [u32; 3] = [10, 1000, 100_000];
/// Look-ups in turn: more than fit in the second-level cache with what they touch.
const TURNS: usize = 1 << 14;

#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
fn beginning() -> Now {
    Now {
        instant: Instant::now(),
        unix: Duration::from_secs(1_800_000_000),
    }
}

fn key(number: u32) -> PublicKey {
    let mut bytes = [9; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    PublicKey::new(bytes)
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + number)
}

fn path() -> Path {
    Path {
        socket: 0,
        source: None,
        destination: peer(),
    }
}

fn peer() -> SocketAddr {
    ([192, 0, 2, 1], 7000).into()
}

/// A device that is calling all of its peers, and the numbers that it does that by.
fn device(size: u32) -> (WireGuard, Vec<u32>) {
    let now = beginning();
    let mut device = WireGuard::new(Limits::default(), [1; 32]);
    device.set_private_key(now, Some(PrivateKey::new([1; 32])));
    let mut indices = Vec::new();
    for number in 0..size {
        let slot = device
            .add_peer(now, key(number), 1452)
            .expect("another key");
        device.set_endpoint(now, slot, path());
        device.handle_no_session(now, slot);
        let initiation = device.poll_transmit().expect("a call");
        let initiation = Initiation::parse(&initiation.datagram).expect("an initiation");
        indices.push(initiation.sender());
    }
    device.edit_allowed_ips(|allowed| {
        for number in 0..size {
            allowed.insert(Prefix::host(address(number).into()), number as usize);
        }
    });
    (device, indices)
}

fn look_ups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("WireGuard, look-up");
    group.throughput(Throughput::Elements(TURNS as u64));
    for size in SIZES {
        let (device, indices) = device(size);
        let table = device.table();
        let batch = table.batch();
        let turn = |turn: usize| (turn.wrapping_mul(0x9e37_79b9) >> 7) % size as usize;
        let messages: Vec<_> = (0..TURNS)
            .map(|index| {
                let mut message = [0; HEADER_LEN + 16];
                message[0] = DATA;
                message[4..8].copy_from_slice(&indices[turn(index)].to_le_bytes());
                message
            })
            .collect();
        group.bench_function(format!("by number, {size}"), |b| {
            b.iter(|| {
                for message in &messages {
                    let _ = black_box(batch.claim(black_box(message), peer()));
                }
            })
        });
        let packets: Vec<_> = (0..TURNS)
            .map(|index| {
                let mut packet = [0; 20];
                (packet[0], packet[3]) = (0x45, 20);
                packet[12..16].copy_from_slice(&address(turn(index) as u32).octets());
                packet[16..20].copy_from_slice(&address(turn(index) as u32).octets());
                (IpView::parse(&packet).expect("IPv4"), packet)
            })
            .collect();
        group.bench_function(format!("by destination, slot included, {size}"), |b| {
            b.iter(|| {
                for (view, packet) in &packets {
                    let slot = batch.route(view, packet).expect("a peer's");
                    black_box(&batch.slot(slot).datagram_max);
                }
            })
        });
        group.bench_function(format!("by source, {size}"), |b| {
            b.iter(|| {
                for (view, packet) in &packets {
                    let slot = u32::from_be_bytes(packet[12..16].try_into().expect("four"));
                    let slot = (slot - 0x0a00_0000) as usize;
                    batch.admit(slot, view, packet).expect("its own");
                }
            })
        });
    }
    group.finish();
}

/// What a device does that has peers and nothing to do.
fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("WireGuard, idle");
    for size in SIZES {
        let now = beginning();
        let mut device = WireGuard::new(Limits::default(), [1; 32]);
        for number in 0..size {
            device.add_peer(now, key(number), 1452);
        }
        assert_eq!(device.poll_timeout(), None);
        group.bench_function(format!("taking activity, {size}"), |b| {
            b.iter(|| device.handle_activity(now))
        });
        group.bench_function(format!("adding and removing a peer, {size}"), |b| {
            let added = key(u32::MAX);
            b.iter(|| {
                let later = Now {
                    instant: now.instant + Duration::from_secs(100),
                    ..now
                };
                device.add_peer(later, added, 1452);
                device.remove_peer(now, &added)
            })
        });
    }
    group.finish();
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("WireGuard, handshake");
    let [ours, theirs] = [1, 2].map(|byte| Identity::new(PrivateKey::new([byte; 32])));
    ours.learn(*theirs.public_key());
    theirs.learn(*ours.public_key());
    let [ours, theirs] = [ours, theirs].map(Arc::new);
    let now = beginning();
    let stamp = Tai64n::after(None, now.unix);
    let peer_key = *theirs.public_key();
    let begin = || {
        let ephemeral = PrivateKey::new([3; 32]);
        let mut initiator = Initiator::new(&ours, peer_key, None, ephemeral).expect("a peer");
        let initiation = initiator.initiate(1, &stamp).expect("a first message");
        (initiator, initiation)
    };
    let answer = |initiation: &Initiation| {
        let mut responder = Responder::read(&theirs, initiation).expect("from a peer");
        let ephemeral = PrivateKey::new([4; 32]);
        responder
            .answer(2, None, ephemeral)
            .expect("a second message")
    };
    let (_, mut initiation) = begin();
    group.bench_function("begin", |b| b.iter(begin));
    group.bench_function("read and answer", |b| b.iter(|| answer(&initiation)));
    let (response, _) = answer(&initiation);
    group.bench_function("finish", |b| {
        b.iter_batched(
            || begin().0,
            |mut initiator| initiator.finish(&response).expect("the answer"),
            BatchSize::SmallInput,
        )
    });
    let junk = Initiation::new(1, &[9; Initiation::NOISE_LEN]);
    group.bench_function("refuse junk", |b| {
        b.iter(|| Responder::read(&theirs, black_box(&junk)).expect_err("junk"))
    });
    let mut checker = Checker::new(theirs.public_key());
    Stamper::new(theirs.public_key()).stamp(now.instant, &mut initiation);
    group.bench_function("mac1", |b| {
        b.iter(|| checker.has_valid_mac1(black_box(&initiation)))
    });
    group.bench_function("cookie", |b| {
        b.iter(|| {
            let reply = checker.reply(now.instant, &initiation, peer(), || [5; 32].into());
            black_box(reply)
        })
    });
    group.finish();
}

criterion_group!(benches, look_ups, idle, handshakes);
criterion_main!(benches);
