//! WireGuard's timers (whitepaper, section 6), to the fraction of a second.

use std::sync::Arc;
use std::time::Duration;

use meshvpn_proto::forward::DropReason;
use meshvpn_proto::wireguard::Event;

use crate::net::{ACTIVITY, FAIR, Net};

const INITIATION: u8 = 1;
const DATA: u8 = 4;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// When node sent messages of a kind, in seconds.
fn times(net: &Net, node: usize, kind: u8) -> Vec<f64> {
    let sent = net.sent_by(node, kind).into_iter();
    sent.map(|sent| sent.at.as_secs_f64()).collect()
}

fn keepalives(net: &Net, node: usize) -> Vec<f64> {
    let sent = net.sent_by(node, DATA).into_iter();
    let keepalives = sent.filter(|sent| sent.is_keepalive());
    keepalives.map(|sent| sent.at.as_secs_f64()).collect()
}

/// A pair that has a session and has said nothing for a while.
fn connected() -> Net {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(30_000);
    assert!(net.is_in_agreement(0, 1));
    net.transcript.clear();
    net
}

#[test]
fn data_is_answered_with_a_keepalive_after_ten_seconds_and_that_with_nothing() {
    let mut net = connected();
    net.send(0, 1);
    net.run(60_000);
    assert_eq!(net.sent_by(0, DATA).len(), 1);
    let [at] = keepalives(&net, 1)[..] else {
        panic!("{:?}", keepalives(&net, 1));
    };
    assert!((40.0..40.1).contains(&at), "{at}");
    assert_eq!(times(&net, 0, INITIATION), [] as [f64; 0]);
}

#[test]
fn data_that_is_answered_with_data_needs_no_keepalive() {
    let mut net = connected();
    for _ in 0..10 {
        net.send(0, 1);
        net.run(3000);
        net.send(1, 0);
        net.run(3000);
    }
    assert_eq!(keepalives(&net, 0).len() + keepalives(&net, 1).len(), 0);
    net.run(30_000);
    assert_eq!(
        (keepalives(&net, 0).len(), keepalives(&net, 1).len()),
        (1, 0)
    );
}

/// A question and its answer fall into one look at the data plane, in either order.
#[test]
fn quick_answers_are_seen_as_answers() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut net = connected();
        net.send(first, second);
        net.run(2);
        net.send(second, first);
        net.run(60_000);
        // Only the last packet was not answered.
        assert_eq!(keepalives(&net, second).len(), 0);
        assert_eq!(keepalives(&net, first).len(), 1);
        assert_eq!(
            net.sent_by(0, INITIATION).len() + net.sent_by(1, INITIATION).len(),
            0
        );
    }
}

#[test]
fn a_stream_in_one_direction_is_answered_every_ten_seconds() {
    let mut net = connected();
    net.flow(0, 1, 200);
    net.run(85_000);
    let sent = keepalives(&net, 1);
    assert_eq!(sent.len(), 8);
    assert!(
        sent.windows(2)
            .all(|pair| (9.9..10.1).contains(&(pair[1] - pair[0])))
    );
    assert_eq!(keepalives(&net, 0).len(), 0);
}

#[test]
fn silence_after_data_brings_a_handshake_after_fifteen_seconds() {
    let mut net = connected();
    net.filter = |_| true;
    net.send(0, 1);
    net.run(16_000);
    let [at] = times(&net, 0, INITIATION)[..] else {
        panic!("{:?}", times(&net, 0, INITIATION));
    };
    assert!((45.0..45.5).contains(&at), "{at}");
}

#[test]
fn an_unanswered_initiation_is_repeated_for_ninety_seconds() {
    let mut net = Net::pair(FAIR, 1);
    net.filter = |_| true;
    net.send(0, 1);
    net.run(300_000);
    let sent = times(&net, 0, INITIATION);
    assert!((17..=18).contains(&sent.len()), "{sent:?}");
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().all(|gap| (5.0..5.334).contains(gap)),
        "{gaps:?}"
    );
    let first = gaps[0];
    assert!(
        gaps.iter().any(|gap| (gap - first).abs() > 0.01),
        "they vary"
    );
    assert!(*sent.last().unwrap() < 90.0);
    let gave_up = &net.nodes[0].events;
    assert!(
        matches!(gave_up[..], [(_, Event::GaveUp { slot: 0 })]),
        "{gave_up:?}"
    );
    assert_eq!(
        net.nodes[0].tally.dropped(DropReason::NoSession),
        1,
        "what waited"
    );
    assert_eq!(net.nodes[0].table.indices_in_use(), 0);
    // Nothing more is sent before somebody asks.
    net.filter = |_| false;
    net.run(3_600_000);
    assert_eq!(times(&net, 0, INITIATION).len(), sent.len());
    net.send(0, 1);
    net.run(100);
    assert_eq!(net.nodes[1].arrived.len(), 1);
}

/// Whoever goes on sending goes on calling.
#[test]
fn traffic_keeps_the_attempts_going() {
    let mut net = Net::pair(FAIR, 1);
    net.filter = |_| true;
    net.flow(0, 1, 1000);
    net.run(300_000);
    assert!(times(&net, 0, INITIATION).len() >= 55);
    assert_eq!(net.nodes[0].events.len(), 0);
}

#[test]
fn the_initiator_renews_the_session_when_it_sends_after_two_minutes() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.flow(0, 1, 300);
    net.run(400_000);
    let sent = times(&net, 0, INITIATION);
    assert_eq!(sent.len(), 4, "{sent:?}");
    assert!(
        sent.windows(2)
            .all(|pair| (120.0..120.5).contains(&(pair[1] - pair[0]))),
        "{sent:?}"
    );
    assert_eq!(times(&net, 1, INITIATION).len(), 0);
    // Not one packet was lost over it.
    let numbers: Vec<_> = net.nodes[1]
        .arrived
        .iter()
        .map(|(_, number)| *number)
        .collect();
    assert_eq!(numbers.len() as u64, *numbers.iter().max().unwrap());
}

#[test]
fn the_responder_leaves_it_to_the_initiator() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(100);
    net.flow(1, 0, 300);
    net.run(475_000);
    // The initiator sends keepalives alone, one in ten seconds.
    let sent = times(&net, 0, INITIATION);
    assert_eq!(sent.len(), 4, "{sent:?}");
    let gaps = sent.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        gaps.into_iter().all(|gap| (120.0..130.5).contains(&gap)),
        "{sent:?}"
    );
    assert_eq!(times(&net, 1, INITIATION).len(), 0);
    let last = net.nodes[0].arrived.iter().map(|(_, number)| *number).max();
    assert_eq!(
        net.nodes[0].arrived.len() as u64,
        last.unwrap() - 1,
        "all but the first, which was ours"
    );
}

#[test]
fn who_receives_in_the_last_seconds_of_a_session_renews_it_at_once() {
    for (at, expected) in [(160_000, 1), (166_000, 2)] {
        let mut net = Net::pair(FAIR, 1);
        net.send(0, 1);
        net.run(at);
        net.send(1, 0);
        net.run(1000);
        assert_eq!(times(&net, 0, INITIATION).len(), expected);
        assert_eq!(times(&net, 1, INITIATION).len(), 0);
    }
}

#[test]
fn a_session_is_neither_sent_nor_received_with_after_three_minutes() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(100);
    let sessions =
        [(0, 1), (1, 0)].map(|(from, to)| net.nodes[from].session(&net.key(to)).unwrap());
    // A last message is kept back.
    net.filter = |_| true;
    net.send(0, 1);
    let late = net.transcript.last().unwrap().clone();
    net.run(179_000 - 100);
    assert!(net.is_in_agreement(0, 1));
    net.run(1100);
    assert!((0..2).all(|node| {
        net.nodes[node]
            .slot(&net.key(1 - node))
            .session
            .load()
            .is_none()
    }));
    net.deliver(&late);
    assert_eq!(net.nodes[1].tally.dropped(DropReason::UnknownSession), 1);
    // The next packet waits for another one.
    net.filter = |_| false;
    net.send(1, 0);
    net.run(100);
    assert_eq!(net.nodes[0].arrived.len(), 1);
    let next = net.nodes[0].session(&net.key(1)).unwrap();
    assert!(
        sessions
            .iter()
            .all(|old| old.send_key().expose() != next.send_key().expose())
    );
}

#[test]
fn nothing_of_the_keys_is_left_after_nine_minutes() {
    let mut net = Net::pair(FAIR, 1);
    net.flow(0, 1, 1000);
    net.run(250_000);
    net.end_flows();
    let weak = [(0, 1), (1, 0)]
        .map(|(from, to)| Arc::downgrade(&net.nodes[from].session(&net.key(to)).unwrap()));
    assert!(weak.iter().all(|session| session.upgrade().is_some()));
    net.run(541_000);
    assert!(weak.iter().all(|session| session.upgrade().is_none()));
    for node in &net.nodes {
        assert_eq!(node.table.indices_in_use(), 0);
        assert_eq!(
            node.device.poll_timeout(),
            None,
            "an idle peer waits for nothing"
        );
    }
}

#[test]
fn a_persistent_keepalive_is_sent_at_its_interval() {
    let mut net = Net::new(2, FAIR, 1);
    let keepalive = Some(Duration::from_secs(25));
    let peer = net.acquaintance(1);
    net.meet(0, crate::node::Acquaintance { keepalive, ..peer });
    let peer = net.acquaintance(0);
    net.meet(
        1,
        crate::node::Acquaintance {
            endpoint: None,
            ..peer
        },
    );
    for _ in 0..600 {
        net.run(1000);
        assert!(net.is_in_agreement(0, 1), "a session all the time");
    }
    let sent = keepalives(&net, 0);
    assert!((24..=30).contains(&sent.len()), "{sent:?}");
    assert!(
        sent.windows(2).all(|pair| pair[1] - pair[0] <= 25.1),
        "{sent:?}"
    );
    assert_eq!(keepalives(&net, 1).len(), 0, "they are not answered");
    // It was sent for this: the other side knows where to send to, at any time.
    net.send(1, 0);
    net.run(10);
    assert_eq!(net.nodes[0].arrived.len(), 1);
}

#[test]
fn a_persistent_keepalive_yields_to_traffic() {
    let mut net = Net::new(2, FAIR, 1);
    let keepalive = Some(Duration::from_secs(25));
    let peer = net.acquaintance(1);
    net.meet(0, crate::node::Acquaintance { keepalive, ..peer });
    let peer = net.acquaintance(0);
    net.meet(1, peer);
    net.run(100);
    net.transcript.clear();
    net.flow(0, 1, 9000);
    net.flow(1, 0, 9000);
    net.run(110_000);
    assert_eq!(keepalives(&net, 0), [] as [f64; 0]);
}

/// A peer that is away for an hour is called all the time, and back soon.
#[test]
fn a_persistent_keepalive_calls_until_there_is_an_answer() {
    let mut net = Net::new(2, FAIR, 1);
    let keepalive = Some(Duration::from_secs(25));
    let peer = net.acquaintance(1);
    net.filter = |_| true;
    net.meet(0, crate::node::Acquaintance { keepalive, ..peer });
    let peer = net.acquaintance(0);
    net.meet(
        1,
        crate::node::Acquaintance {
            endpoint: None,
            ..peer
        },
    );
    net.run(3_600_000);
    let calls = times(&net, 0, INITIATION);
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] <= 30.0));
    net.filter = |_| false;
    net.time_until(30_000, |net| net.is_in_agreement(0, 1));
}

/// How late the timers may be: as late as the driver looks.
#[test]
fn the_data_plane_is_looked_at_often_enough() {
    assert!(ACTIVITY <= seconds(0.05));
}

#[test]
fn a_device_that_is_down_says_nothing_and_answers_nobody() {
    let mut net = connected();
    let interval = Some(seconds(5.0));
    let now = net.clock(0);
    net.nodes[0]
        .device
        .set_persistent_keepalive(now, 0, interval);
    net.nodes[0].device.set_up(now, false);
    net.run(1000);
    net.transcript.clear();
    net.send(1, 0);
    net.run(60_000);
    assert!(net.sent_by(0, INITIATION).is_empty() && net.sent_by(0, DATA).is_empty());
    assert!(!net.is_in_agreement(0, 1));

    let now = net.clock(0);
    net.nodes[0].device.set_up(now, true);
    net.run(1000);
    assert!(net.is_in_agreement(0, 1), "keepalives begin at once");
}
