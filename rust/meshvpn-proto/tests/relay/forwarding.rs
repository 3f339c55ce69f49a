//! The server alone: what each client is given to read.

use std::time::{Duration, Instant};

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::frame::{Frame, GoneReason};
use meshvpn_proto::relay::server::{ClientId, Closed, Full, Limits, Rate, Server};
use proptest::prelude::*;

use crate::net::beginning;

const SEED: [u8; 32] = [1; 32];

fn key(byte: u8) -> PublicKey {
    PublicKey::new([byte; 32])
}

fn packet(to: u8, content: &[u8]) -> Vec<u8> {
    let destination = key(to);
    let packet = content;
    Frame::SendPacket {
        destination,
        packet,
    }
    .to_bytes()
}

fn received(from: u8, content: &[u8]) -> Vec<u8> {
    let (source, packet) = (key(from), content);
    Frame::RecvPacket { source, packet }.to_bytes()
}

fn gone(peer: u8, reason: GoneReason) -> Vec<u8> {
    let peer = key(peer);
    Frame::PeerGone { peer, reason }.to_bytes()
}

/// All that waits for a client.
fn output(server: &mut Server, id: ClientId) -> Vec<u8> {
    let mut out = Vec::new();
    while server.take_output(id, &mut out) {}
    out
}

fn send(server: &mut Server, now: Instant, id: ClientId, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let progress = server.handle_bytes(now, id, &mut bytes).unwrap();
    assert_eq!(progress.consumed, bytes.len());
}

#[test]
fn who_is_not_here_or_leaves_is_told() {
    let now = beginning();
    let mut server = Server::new(Limits::default(), SEED);
    let a = server.add(now, key(1)).unwrap();
    let b = server.add(now, key(2)).unwrap();
    send(&mut server, now, a, &packet(3, b"anyone?"));
    assert_eq!(output(&mut server, a), gone(3, GoneReason::NotHere));
    send(&mut server, now, a, &packet(2, b"hello"));
    assert_eq!(output(&mut server, b), received(1, b"hello"));
    server.remove(a);
    assert_eq!(output(&mut server, b), gone(1, GoneReason::Disconnected));
    server.remove(b);
    let statistics = server.statistics();
    assert_eq!((statistics.clients, statistics.logins), (0, 2));
    assert_eq!(
        (statistics.received_packets, statistics.sent_packets),
        (2, 1)
    );
    assert_eq!(statistics.dropped_absent, 1);
}

#[test]
fn the_newest_of_two_connections_gets_the_packets_and_the_older_takes_over_again() {
    let now = beginning();
    let mut server = Server::new(Limits::default(), SEED);
    let a = server.add(now, key(1)).unwrap();
    let older = server.add(now, key(2)).unwrap();
    let newer = server.add(now, key(2)).unwrap();
    let told = output(&mut server, older);
    let (told, _) = Frame::split(&told).unwrap().unwrap();
    assert!(matches!(told, Frame::Health(problem) if problem.contains("newer")));
    send(&mut server, now, a, &packet(2, b"one"));
    assert_eq!(output(&mut server, older), b"");
    assert_eq!(output(&mut server, newer), received(1, b"one"));
    // Both may send, for both have the key.
    for id in [older, newer] {
        send(&mut server, now, id, &packet(1, b"two"));
        assert_eq!(output(&mut server, a), received(2, b"two"));
    }
    server.remove(newer);
    assert_eq!(output(&mut server, a), b"", "the peer is still here");
    send(&mut server, now, a, &packet(2, b"three"));
    let expected = [Frame::Health("").to_bytes(), received(1, b"three")].concat();
    assert_eq!(output(&mut server, older), expected);
}

#[test]
fn connections_under_one_key_are_bounded_and_so_are_clients() {
    let now = beginning();
    let limits = Limits {
        clients: 5,
        connections_per_key: 3,
        ..Limits::default()
    };
    let mut server = Server::new(limits, SEED);
    let ids = [1; 4].map(|byte| server.add(now, key(byte)).unwrap());
    assert_eq!(server.poll_closed(), Some((ids[0], Closed::Superseded)));
    assert_eq!(server.poll_closed(), None);
    server.add(now, key(2)).unwrap();
    server.add(now, key(3)).unwrap();
    assert_eq!(server.add(now, key(4)), Err(Full { most: 5 }));
    server.remove(ids[3]);
    assert!(server.add(now, key(4)).is_ok());
}

#[test]
fn what_is_no_frame_ends_its_client_only() {
    let now = beginning();
    let mut server = Server::new(Limits::default(), SEED);
    let a = server.add(now, key(1)).unwrap();
    let b = server.add(now, key(2)).unwrap();
    let mut bytes = packet(2, b"before");
    bytes.extend([0x04, 0xff, 0xff, 0xff, 0xff]);
    let refused = server.handle_bytes(now, a, &mut bytes).unwrap_err();
    assert!(matches!(refused, Closed::Frame(_)), "{refused}");
    let expected = [gone(1, GoneReason::Disconnected), received(1, b"before")].concat();
    assert_eq!(output(&mut server, b), expected);
    send(&mut server, now, b, &Frame::Ping([7; 8]).to_bytes());
    assert_eq!(output(&mut server, b), Frame::Pong([7; 8]).to_bytes());
    assert_eq!(server.statistics().clients, 1);
}

#[test]
fn a_slow_client_loses_its_oldest_packets_and_nobody_waits() {
    let now = beginning();
    let limits = Limits {
        queue_bytes: 100 << 10,
        ..Limits::default()
    };
    let mut server = Server::new(limits, SEED);
    let [a, slow, fast] = [1, 2, 3].map(|byte| server.add(now, key(byte)).unwrap());
    let mut read = 0;
    for number in 0..1000u32 {
        for to in [2, 3] {
            let content = [&number.to_be_bytes()[..], &[0; 1000]].concat();
            send(&mut server, now, a, &packet(to, &content));
        }
        read += output(&mut server, fast).len();
    }
    assert_eq!(read, 1000 * (5 + 32 + 1004));
    let waiting = output(&mut server, slow);
    assert!(waiting.len() <= 100 << 10, "{}", waiting.len());
    let held = waiting.len() / (5 + 32 + 1004);
    assert_eq!(server.statistics().dropped_slow, 1000 - held as u64);
    let last = &waiting[waiting.len() - 1004..][..4];
    assert_eq!(last, 999u32.to_be_bytes(), "the newest are kept");
}

#[test]
fn floods_of_pings_and_of_packets_to_nobody_are_bounded() {
    let now = beginning();
    let mut server = Server::new(Limits::default(), SEED);
    let a = server.add(now, key(1)).unwrap();
    for round in 0..10_000u32 {
        send(&mut server, now, a, &Frame::Ping([9; 8]).to_bytes());
        let nobody = [&round.to_be_bytes()[..], &[9; 28]].concat();
        let destination = PublicKey::new(nobody.try_into().unwrap());
        let frame = Frame::SendPacket {
            destination,
            packet: b"x",
        };
        send(&mut server, now, a, &frame.to_bytes());
    }
    assert!(output(&mut server, a).len() < 20 << 10);
    let writable = std::iter::from_fn(|| server.poll_writable()).count();
    assert_eq!(writable, 1, "its writer is called once");
}

#[test]
fn a_client_that_sends_too_fast_is_read_more_slowly() {
    let mut now = beginning();
    let limits = Limits {
        rate: Some(Rate {
            bytes_per_second: 100_000,
            burst: 50_000,
        }),
        ..Limits::default()
    };
    let mut server = Server::new(limits, SEED);
    let a = server.add(now, key(1)).unwrap();
    let start = now;
    let mut sent = 0;
    while now < start + Duration::from_secs(10) {
        let mut bytes = packet(2, &[0; 1400]);
        let progress = server.handle_bytes(now, a, &mut bytes).unwrap();
        sent += progress.consumed;
        now = progress.pause_until.unwrap_or(now);
    }
    assert!((1_040_000..1_060_000).contains(&sent), "{sent}");
}

proptest! {
    /// Against the obvious model: whatever is sent, however it is cut and to whomever, each receiver reads what
    /// was sent to it, in order, under the sender's key.
    #[test]
    fn every_receiver_reads_what_was_sent_to_it(
        sends in proptest::collection::vec((0u8..3, 0u8..3, 0usize..200), 1..80),
        cuts in proptest::collection::vec(1usize..300, 1..20),
    ) {
        let now = beginning();
        let mut server = Server::new(Limits::default(), SEED);
        let ids = [0, 1, 2].map(|byte| server.add(now, key(byte)).unwrap());
        let mut expected: [Vec<Vec<u8>>; 3] = Default::default();
        let mut streams: [Vec<u8>; 3] = Default::default();
        for (number, (from, to, len)) in sends.into_iter().enumerate() {
            let content = vec![number as u8; len];
            streams[usize::from(from)].extend(packet(to, &content));
            expected[usize::from(to)].push(received(from, &content));
        }
        let mut cuts = cuts.iter().cycle();
        for (stream, id) in streams.iter().zip(ids) {
            let mut buffer = Vec::new();
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let (piece, following) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                rest = following;
                buffer.extend_from_slice(piece);
                let progress = server.handle_bytes(now, id, &mut buffer).unwrap();
                buffer.drain(..progress.consumed);
            }
            prop_assert!(buffer.is_empty());
        }
        for (id, mut expected) in ids.into_iter().zip(expected) {
            // Streams were sent one after the other: a stable sort by sender is their order.
            expected.sort_by_key(|frame| frame[5]);
            prop_assert_eq!(output(&mut server, id), expected.concat());
        }
    }
}
