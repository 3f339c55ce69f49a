//! What must fail does, and is counted.

use std::time::Duration;

use meshvpn_proto::forward::DropReason;
use meshvpn_proto::keys::{PresharedKey, PrivateKey, PublicKey};

use crate::net::{FAIR, Net, Sent};

/// How often each node refused a message for this reason.
fn refused(net: &Net, reason: DropReason) -> [u64; 2] {
    [0, 1].map(|node| net.nodes[node].refused.get(&reason).copied().unwrap_or(0))
}

/// The one initiation that node 0 has sent.
fn initiation(net: &Net) -> Sent {
    net.sent_by(0, 1)[0].clone()
}

#[test]
fn a_stranger_is_refused() {
    let mut net = Net::new(2, FAIR, 1);
    let peer = net.acquaintance(1);
    net.meet(0, peer);
    let unrelated = net.acquaintance(0);
    let key = PrivateKey::new([77; 32]).public_key();
    net.meet(1, crate::node::Acquaintance { key, ..unrelated });
    net.send(0, 1);
    net.run(1000);
    assert_eq!(refused(&net, DropReason::UnknownPeer), [0, 1]);
    assert_eq!(net.sent_by(1, 2).len(), 0);
}

/// Who takes the peer to be somebody else seals for somebody else.
#[test]
fn a_wrong_static_key_is_refused() {
    let mut net = Net::new(2, FAIR, 1);
    let peer = net.acquaintance(1);
    let key = PrivateKey::new([77; 32]).public_key();
    net.meet(0, crate::node::Acquaintance { key, ..peer });
    let peer = net.acquaintance(0);
    net.meet(1, peer);
    net.send(0, 1);
    net.run(1000);
    assert_eq!(refused(&net, DropReason::BadMac1), [0, 1]);
}

#[test]
fn a_wrong_preshared_key_is_refused_by_the_initiator() {
    let mut net = Net::new(2, FAIR, 1);
    for (node, other, key) in [(0, 1, 8), (1, 0, 9)] {
        let peer = net.acquaintance(other);
        let preshared = Some(PresharedKey::new([key; 32]));
        net.meet(node, crate::node::Acquaintance { preshared, ..peer });
    }
    net.send(0, 1);
    net.run(1000);
    assert_eq!(refused(&net, DropReason::BadHandshake), [1, 0]);
    assert!(net.nodes[0].session(&net.key(1)).is_none());
    assert!(net.nodes[1].session(&net.key(0)).is_none());
}

#[test]
fn a_changed_message_is_refused() {
    let mut net = Net::pair(FAIR, 1);
    net.filter = |_| true;
    net.send(0, 1);
    let original = initiation(&net);
    for at in 0..148 {
        let mut changed = original.clone();
        changed.datagram[at] ^= 1;
        net.deliver(&changed);
    }
    // The last 16 bytes are mac2, which nobody reads while there is no load: those are initiations like the
    // original, of which one is new.
    assert_eq!(refused(&net, DropReason::BadMac1), [0, 144 - 16]);
    assert_eq!(refused(&net, DropReason::OldHandshake), [0, 15]);
    assert_eq!(net.sent_by(1, 2).len(), 1);
    // The type and the reserved bytes.
    assert_eq!(net.nodes[1].tally.dropped(DropReason::UnknownType), 1);
    assert_eq!(refused(&net, DropReason::UnknownType), [0, 3]);
}

#[test]
fn a_replayed_initiation_is_refused() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(1000);
    let before = net.nodes[1].session(&net.key(0)).unwrap().local_index;
    let replayed = initiation(&net);
    for _ in 0..3 {
        net.run(1000);
        net.deliver(&replayed);
    }
    assert_eq!(refused(&net, DropReason::OldHandshake), [0, 3]);
    assert_eq!(net.sent_by(1, 2).len(), 1, "and not answered");
    assert_eq!(
        net.nodes[1].session(&net.key(0)).unwrap().local_index,
        before
    );
}

/// Also after a restart of the initiator whose clock is behind what it was.
#[test]
fn an_old_timestamp_is_refused() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(10_000);
    net.nodes[0].clock_ahead = -3600;
    net.restart(0);
    net.send(0, 1);
    net.run(1000);
    assert_eq!(refused(&net, DropReason::OldHandshake), [0, 1]);
    assert!(net.nodes[0].session(&net.key(1)).is_none());
    // The other side can still call.
    net.flow(1, 0, 1000);
    net.time_until(21_000, |net| net.is_in_agreement(0, 1));
}

/// While it runs, a device is believed however its clock is set.
#[test]
fn a_clock_set_back_stops_no_rekey() {
    let mut net = Net::pair(FAIR, 1);
    net.flow(0, 1, 1000);
    for step in [100_000, -200_000, 0, -1_000_000_000, 5] {
        net.nodes[0].clock_ahead = step;
        net.run(125_000);
        assert!(net.is_in_agreement(0, 1), "clock {step}");
    }
    assert_eq!(net.nodes[1].arrived.len(), 625);
    assert_eq!(refused(&net, DropReason::OldHandshake), [0, 0]);
}

#[test]
fn a_response_or_cookie_that_answers_nothing_is_refused() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(1000);
    let response = net.sent_by(1, 2)[0].clone();
    net.deliver(&response);
    assert_eq!(refused(&net, DropReason::UnknownSession), [1, 0]);
    let mut cookie = response.clone();
    cookie.datagram = vec![0; 64];
    cookie.datagram[0] = 3;
    net.deliver(&cookie);
    assert_eq!(refused(&net, DropReason::UnknownSession), [2, 0]);
    cookie.datagram[4..8].copy_from_slice(&response.datagram[8..12]);
    net.deliver(&cookie);
    assert_eq!(refused(&net, DropReason::BadCookie), [1, 0]);
}

/// Data under a session of ours, replayed or changed, moves nothing.
#[test]
fn data_is_taken_once() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(1000);
    let sent: Vec<_> = net.sent_by(0, 4).into_iter().cloned().collect();
    for sent in &sent {
        net.deliver(sent);
        let mut changed = sent.clone();
        *changed.datagram.last_mut().unwrap() ^= 1;
        net.deliver(&changed);
    }
    assert_eq!(net.nodes[1].arrived.len(), 1);
    let tally = &net.nodes[1].tally;
    assert_eq!(tally.dropped(DropReason::Replayed), sent.len() as u64);
    assert_eq!(tally.dropped(DropReason::BadTag), sent.len() as u64);
}

/// A peer whose public key agrees with everyone on zero can neither call nor be called, and nothing is
/// left behind of trying.
#[test]
fn a_worthless_public_key_shakes_no_hands() {
    let mut net = Net::new(2, FAIR, 1);
    let peer = net.acquaintance(1);
    let key = PublicKey::new([0; 32]);
    net.meet(0, crate::node::Acquaintance { key, ..peer });
    net.send(0, 1);
    net.run(200_000);
    assert_eq!(net.transcript, []);
    assert_eq!(net.nodes[0].table.indices_in_use(), 0);
}

/// Initiations of one peer faster than any peer sends them: only some are read.
#[test]
fn a_peer_in_a_hurry_is_slowed_down() {
    let mut net = Net::pair(FAIR, 1);
    net.filter = |_| true;
    let mut initiations = Vec::new();
    for _ in 0..10 {
        net.send(0, 1);
        net.run(6000);
    }
    initiations.extend(net.sent_by(0, 1).into_iter().cloned());
    assert!(initiations.len() >= 10);
    let start = net.now;
    for sent in &initiations {
        net.deliver(sent);
        net.run(2);
    }
    let time = (net.now - start).as_millis() as usize;
    let read = net.sent_by(1, 2).len();
    assert!(read <= 1 + time / 20, "{read} in {time} ms");
    assert!(net.now - start < Duration::from_secs(1));
}
