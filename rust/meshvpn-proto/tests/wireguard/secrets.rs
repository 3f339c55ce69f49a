//! What is told to whoever records traffic to read it later: keys only on request, those of every handshake
//! then, and sessions that begin anew because of it.

use std::time::Duration;

use meshvpn_proto::keys::{PresharedKey, PublicKey};
use meshvpn_proto::noise::messages::{Initiation, Response};
use meshvpn_proto::peer::timers::{REKEY_JITTER, REKEY_TIMEOUT};
use meshvpn_proto::wireguard::Event;

use crate::net::{FAIR, Net};

const INITIATION: u8 = 1;
const RESPONSE: u8 = 2;

/// Ephemeral keys that `node` has told, as others see them, with the pre-shared keys of their handshakes.
fn told(net: &Net, node: usize) -> Vec<(PublicKey, Option<PresharedKey>)> {
    let events = net.nodes[node].events.iter();
    events
        .filter_map(|(_, event)| match event {
            Event::EphemeralKey {
                slot: 0,
                peer,
                key,
                preshared_key,
            } => {
                assert_eq!(*peer, net.key(1 - node));
                Some((key.public_key(), preshared_key.clone()))
            }
            _ => None,
        })
        .collect()
}

/// Ephemeral keys in the handshake messages that `node` has sent.
fn seen(net: &Net, node: usize) -> Vec<PublicKey> {
    let from = net.nodes[node].endpoint;
    let sent = net.transcript.iter().filter(|sent| sent.from == from);
    sent.filter_map(|sent| match sent.kind() {
        INITIATION => Some(*Initiation::parse(&sent.datagram).unwrap().ephemeral()),
        RESPONSE => Some(*Response::parse(&sent.datagram).unwrap().ephemeral()),
        _ => None,
    })
    .map(PublicKey::new)
    .collect()
}

fn renew(net: &mut Net, node: usize) -> usize {
    let now = net.clock(node);
    net.nodes[node].device.renew_sessions(now)
}

#[test]
fn keys_are_told_of_every_handshake_and_only_on_request() {
    for (revealing, psk) in [
        (0, None),
        (1, None),
        (0, Some(PresharedKey::new([9; 32]))),
        (1, Some(PresharedKey::new([9; 32]))),
    ] {
        let mut net = Net::new(2, FAIR, 1);
        net.introduce(0, 1, psk.clone());
        net.nodes[revealing].device.reveal_secrets(true);
        net.flow(0, 1, 1000);
        net.run(200_000);
        let expected = seen(&net, revealing);
        assert_eq!(expected.len(), 2, "a first handshake and a second");
        let expected: Vec<_> = expected.into_iter().map(|key| (key, psk.clone())).collect();
        assert_eq!(told(&net, revealing), expected);
        assert!(told(&net, 1 - revealing).is_empty());

        net.nodes[revealing].device.reveal_secrets(false);
        net.run(200_000);
        assert!(seen(&net, revealing).len() > 2);
        assert_eq!(told(&net, revealing).len(), 2);
    }
}

#[test]
fn an_old_session_is_renewed_at_once_by_either_side() {
    for renewing in [0, 1] {
        let mut net = Net::pair(FAIR, 1);
        net.send(0, 1);
        net.run(20_000);
        let before = net.nodes[0].session(&net.key(1)).unwrap();
        net.transcript.clear();
        assert_eq!(renew(&mut net, renewing), 1);
        net.run(20);
        assert_eq!(net.sent_by(renewing, INITIATION).len(), 1);
        assert!(net.is_in_agreement(0, 1));
        let after = net.nodes[0].session(&net.key(1)).unwrap();
        assert_ne!(before.local_index, after.local_index);
        net.run(30_000);
        assert_eq!(
            net.sent_by(renewing, INITIATION).len(),
            1,
            "and that is all"
        );
    }
}

/// Nobody is asked for handshakes faster than the protocol allows; and who has just agreed on a session must
/// not take the new one for a part of the same agreement, whoever has the smaller key.
#[test]
fn a_young_session_is_renewed_when_the_protocol_allows_it() {
    for (first, renewing) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut net = Net::pair(FAIR, 1);
        net.send(first, 1 - first);
        net.run(1000);
        assert_eq!(renew(&mut net, renewing), 1);
        net.flow(0, 1, 100);
        net.flow(1, 0, 100);
        let before = [0, 1].map(|node| net.nodes[node].session(&net.key(1 - node)).unwrap());
        let waited = net.time_until(6000, |net| {
            let now = [0, 1].map(|node| net.nodes[node].session(&net.key(1 - node)).unwrap());
            let is_new = |node: usize| now[node].local_index != before[node].local_index;
            is_new(0) && is_new(1)
        });
        let sent = net.transcript.iter();
        let sent = sent.filter(|sent| sent.from == net.nodes[renewing].endpoint);
        let messages: Vec<_> = sent
            .filter(|sent| sent.kind() < 3)
            .map(|sent| sent.at)
            .collect();
        assert_eq!(messages.len(), 2, "one of each handshake");
        assert_eq!(messages[1] - messages[0], REKEY_TIMEOUT + REKEY_JITTER);
        assert!(waited > Duration::from_secs(4), "{waited:?}");
        net.run(1000);
        assert!(net.is_in_agreement(0, 1));
        net.end_flows();
        net.run(100);
        for node in [0, 1] {
            let sent = net.sent_by(1 - node, 4).into_iter();
            let data = sent.filter(|sent| !sent.is_keepalive()).count();
            assert_eq!(net.nodes[node].arrived.len(), data, "nothing is lost");
        }
    }
}

#[test]
fn a_handshake_that_comes_first_does_for_both() {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(1000);
    assert_eq!(renew(&mut net, 0), 1);
    // Just before that is due, the other side forgets everything and begins by itself.
    net.run(4100);
    net.restart(1);
    net.send(1, 0);
    net.run(20_000);
    assert_eq!(net.sent_by(0, INITIATION).len(), 1, "the very first one");
    assert_eq!(net.sent_by(1, INITIATION).len(), 1);
}

#[test]
fn without_a_session_there_is_nothing_to_renew() {
    let mut net = Net::pair(FAIR, 1);
    net.run(1000);
    assert_eq!(renew(&mut net, 0), 0);
    net.run(20_000);
    assert_eq!(net.transcript, []);
}

/// Each handshake keeps the thread busy for a while, which also has others to serve.
#[test]
fn many_sessions_are_renewed_one_after_the_other() {
    let mut net = Net::new(6, FAIR, 1);
    for peer in 1..6 {
        net.introduce(0, peer, None);
        net.send(0, peer);
    }
    net.run(20_000);
    net.transcript.clear();
    assert_eq!(renew(&mut net, 0), 5);
    net.run(1000);
    let mut times: Vec<_> = net
        .sent_by(0, INITIATION)
        .iter()
        .map(|sent| sent.at)
        .collect();
    times.dedup();
    assert_eq!(times.len(), 5);
    assert!((1..6).all(|peer| net.is_in_agreement(0, peer)));
}
