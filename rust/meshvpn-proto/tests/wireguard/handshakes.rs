//! Handshakes: the first packet sets one off and is not lost, keys are new each time, and when both sides
//! begin at once they end with one session.

use std::collections::BTreeSet;
use std::time::Duration;

use meshvpn_proto::keys::PresharedKey;
use meshvpn_proto::wireguard::{Event, Role};

use crate::net::{FAIR, Net, Weather};

const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;
const DATA: u8 = 4;

#[test]
fn the_first_packet_waits_for_the_handshake_and_arrives() {
    for preshared in [None, Some(PresharedKey::new([9; 32]))] {
        for (from, to) in [(0, 1), (1, 0)] {
            let mut net = Net::new(2, FAIR, 1);
            net.introduce(0, 1, preshared.clone());
            net.run(1000);
            assert_eq!(net.transcript, [], "nobody has anything to say");
            let number = net.send(from, to);
            net.run(20);
            let arrived: Vec<_> = net.nodes[to]
                .arrived
                .iter()
                .map(|(_, number)| *number)
                .collect();
            assert_eq!(arrived, [number]);
            assert!(net.is_in_agreement(0, 1));
            let roles = [from, to].map(|node| match net.nodes[node].events[..] {
                [(_, Event::Session { slot: 0, role })] => role,
                ref events => panic!("{events:?}"),
            });
            assert_eq!(roles, [Role::Initiator, Role::Responder]);
            for node in 0..2 {
                let status = net.nodes[node].device.status(0).unwrap();
                assert!(status.has_session && status.last_handshake.is_some());
            }
            assert_eq!(net.sent_by(from, INITIATION).len(), 1);
            assert_eq!(net.sent_by(to, RESPONSE).len(), 1);
        }
    }
}

/// What both sides count is what was on the wire.
#[test]
fn all_bytes_are_counted() {
    let mut net = Net::pair(FAIR, 1);
    net.flow(0, 1, 100);
    net.run(130_000);
    net.end_flows();
    net.run(100);
    for (node, other) in [(0, 1), (1, 0)] {
        let from = net.nodes[node].endpoint;
        let sent = net.transcript.iter().filter(|sent| sent.from == from);
        let bytes = sent.map(|sent| sent.datagram.len() as u64).sum::<u64>();
        assert_eq!(net.nodes[node].device.status(0).unwrap().sent_bytes, bytes);
        assert_eq!(
            net.nodes[other].device.status(0).unwrap().received_bytes,
            bytes
        );
    }
}

#[test]
fn packets_that_wait_are_few_and_the_newest() {
    let mut net = Net::pair(FAIR, 1);
    net.filter = |_| true;
    for _ in 0..200 {
        net.send(0, 1);
    }
    net.filter = |_| false;
    net.run(6000);
    let mut arrived: Vec<_> = net.nodes[1]
        .arrived
        .iter()
        .map(|(_, number)| *number)
        .collect();
    arrived.sort_unstable();
    assert_eq!(arrived, (73..=200).collect::<Vec<_>>());
    let dropped = net.nodes[0]
        .tally
        .dropped(meshvpn_proto::forward::DropReason::NoSession);
    assert_eq!(dropped, 72);
}

#[test]
fn every_handshake_brings_other_keys() {
    let mut net = Net::pair(FAIR, 3);
    net.flow(0, 1, 500);
    let mut keys = BTreeSet::new();
    let mut sessions = 0;
    for _ in 0..20 {
        net.run(121_000);
        let session = net.nodes[0].session(&net.key(1)).unwrap();
        keys.insert(*session.send_key().expose());
        keys.insert(*session.receive_key().expose());
        sessions += 1;
    }
    assert_eq!(keys.len(), 2 * sessions);
    assert_eq!(net.sent_by(0, INITIATION).len(), sessions + 1);
}

/// Whatever was recorded, and both static keys: without the ephemeral keys nothing opens. The session keys
/// are no function of the static keys, since another run with the same ones has others.
#[test]
fn the_same_static_keys_give_other_session_keys_in_every_run() {
    let run = |seed| {
        let mut net = Net::pair(FAIR, seed);
        net.send(0, 1);
        net.run(100);
        let session = net.nodes[0].session(&net.key(1)).unwrap();
        *session.send_key().expose()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn both_at_once_end_with_one_session() {
    for seed in 0..40 {
        let weather = Weather {
            delay_ms: 1 + seed * 10,
            ..FAIR
        };
        let mut net = Net::pair(weather, seed);
        net.flow(0, 1, 100);
        net.flow(1, 0, 100);
        net.time_until(2000, |net| net.is_in_agreement(0, 1));
        net.run(2000);
        let [a, b] =
            [(0, 1), (1, 0)].map(|(from, to)| net.nodes[from].session(&net.key(to)).unwrap());
        assert_eq!(
            (a.local_index, a.remote_index),
            (b.remote_index, b.local_index),
            "seed {seed}"
        );
        // And so only one side renews it.
        net.run(130_000);
        let begun = [0, 1].map(|node| net.sent_by(node, INITIATION).len());
        assert!(begun == [2, 1] || begun == [1, 2], "seed {seed}: {begun:?}");
        let lost = net
            .nodes
            .iter()
            .map(|node| node.arrived.len())
            .collect::<Vec<_>>();
        assert!(lost.iter().all(|count| *count > 1300), "{lost:?}");
    }
}

/// One of the four messages of two crossing handshakes is lost, each in turn.
#[test]
fn both_at_once_survive_the_loss_of_any_message() {
    let filters: [fn(&crate::net::Sent) -> bool; 6] = [
        |sent| {
            sent.at < Duration::from_secs(1)
                && sent.kind() == 1
                && sent.from.to_string() < sent.to.to_string()
        },
        |sent| {
            sent.at < Duration::from_secs(1)
                && sent.kind() == 1
                && sent.from.to_string() > sent.to.to_string()
        },
        |sent| {
            sent.at < Duration::from_secs(1)
                && sent.kind() == 2
                && sent.from.to_string() < sent.to.to_string()
        },
        |sent| {
            sent.at < Duration::from_secs(1)
                && sent.kind() == 2
                && sent.from.to_string() > sent.to.to_string()
        },
        |sent| sent.at < Duration::from_secs(1) && sent.kind() == 1,
        |sent| sent.at < Duration::from_secs(1) && sent.kind() == 2,
    ];
    for (number, filter) in filters.into_iter().enumerate() {
        for seed in 0..10 {
            let mut net = Net::pair(
                Weather {
                    delay_ms: 40,
                    ..FAIR
                },
                seed,
            );
            net.filter = filter;
            net.flow(0, 1, 100);
            net.flow(1, 0, 100);
            net.time_until(7000, |net| net.is_in_agreement(0, 1));
            net.run(5000);
            let since = net.now;
            net.run(2000);
            for node in &net.nodes {
                let recent = node.arrived.iter().filter(|(at, _)| *at > since).count();
                assert!(recent >= 19, "filter {number}, seed {seed}: {recent}");
            }
        }
    }
}

#[test]
fn a_session_is_not_used_before_it_is_confirmed() {
    let mut net = Net::pair(FAIR, 1);
    // Nothing of what the initiator sends under the session arrives.
    net.filter = |sent| sent.kind() == DATA;
    net.send(0, 1);
    net.run(1000);
    assert!(net.nodes[0].session(&net.key(1)).is_some());
    assert!(net.nodes[1].session(&net.key(0)).is_none());
    net.send(1, 0);
    net.run(1000);
    assert_eq!(net.sent_by(1, DATA).len(), 0);
}
