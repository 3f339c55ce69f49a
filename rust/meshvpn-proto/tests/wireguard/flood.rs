//! A flood of handshakes: rejected cheaply, and known peers still get through.

use std::time::{Duration, Instant};

use meshvpn_proto::forward::DropReason;
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::noise::cookie::Stamper;
use meshvpn_proto::noise::messages::{COOKIE_REPLY_LEN, Initiation};
use meshvpn_proto::wireguard::Limits;

use crate::net::{FAIR, Net, Sent};

/// An initiation by nobody, with a mac1 that is right: what anyone can make who knows the public key.
fn junk(net: &Net, number: u64) -> Sent {
    let mut noise = [0; Initiation::NOISE_LEN];
    noise[..8].copy_from_slice(&number.to_le_bytes());
    noise[31] = 9;
    let mut initiation = Initiation::new(number as u32, &noise);
    Stamper::new(&net.key(1)).stamp(net.now, &mut initiation);
    Sent {
        at: net.now - net.start,
        from: format!("203.0.113.{}:{}", number % 250, 1000 + number % 5000)
            .parse()
            .unwrap(),
        to: net.nodes[1].endpoint,
        datagram: initiation.as_bytes().to_vec(),
    }
}

/// So many of those a second, for some milliseconds.
fn flood(net: &mut Net, per_second: u64, ms: u64) {
    for tick in 0..ms {
        for index in 0..per_second / 1000 {
            let sent = junk(net, tick * 1000 + index);
            net.deliver(&sent);
        }
        net.run(1);
    }
}

fn refused(net: &Net, reason: DropReason) -> u64 {
    net.nodes[1].refused.get(&reason).copied().unwrap_or(0)
}

#[test]
fn a_flood_is_answered_with_cookies_and_not_with_work() {
    let mut net = Net::pair(FAIR, 1);
    flood(&mut net, 20_000, 2000);
    let Limits {
        handshakes,
        cookies,
    } = Limits::default();
    // Those that cost a multiplication: the burst before it was noticed.
    let worked = refused(&net, DropReason::BadHandshake);
    assert!(
        worked <= u64::from(handshakes.burst + handshakes.per_second),
        "{worked}"
    );
    assert_eq!(refused(&net, DropReason::UnderLoad), 40_000 - worked);
    let answers = net.sent_by(1, 3);
    assert!(answers.len() as u64 <= u64::from(cookies.burst + 2 * cookies.per_second) + 1);
    assert!(answers.len() as u64 >= u64::from(cookies.per_second));
    assert!(
        answers
            .iter()
            .all(|sent| sent.datagram.len() == COOKIE_REPLY_LEN)
    );
}

#[test]
fn a_peer_gets_through_a_flood_by_its_cookie() {
    for first in [0, 1] {
        let mut net = Net::pair(FAIR, 1);
        flood(&mut net, 5000, 500);
        // Either side calls; the cookie for a response is as good.
        net.send(first, 1 - first);
        flood(&mut net, 5000, 200);
        assert!(!net.is_in_agreement(0, 1), "not without a cookie");
        let mut waited = 0;
        while !net.is_in_agreement(0, 1) && waited < 12_000 {
            flood(&mut net, 5000, 100);
            waited += 100;
        }
        assert!(waited <= 5400, "the next attempt has a cookie: {waited} ms");
        net.run(100);
        assert_eq!(net.nodes[1 - first].arrived.len(), 1);
    }
}

#[test]
fn a_peer_with_a_session_does_not_notice() {
    let mut net = Net::pair(FAIR, 1);
    net.flow(0, 1, 10);
    net.run(1000);
    flood(&mut net, 5000, 3000);
    assert!(net.nodes[1].arrived.len() >= 398);
}

/// A cookie admits an address, not everything that comes from there.
#[test]
fn one_address_is_served_only_so_often() {
    let mut net = Net::pair(FAIR, 1);
    flood(&mut net, 5000, 300);
    let mut stamper = Stamper::new(&net.key(1));
    let mut attack = |net: &mut Net, number: u64| {
        let mut sent = junk(net, number);
        sent.from = "203.0.113.99:7".parse().unwrap();
        let mut initiation = Initiation::parse(&sent.datagram).unwrap();
        stamper.stamp(net.now, &mut initiation);
        sent.datagram = initiation.as_bytes().to_vec();
        net.deliver(&sent);
        let to = sent.from;
        if let Some(reply) = net.transcript.iter().rev().find(|sent| sent.to == to) {
            let reply = meshvpn_proto::noise::messages::CookieReply::parse(&reply.datagram);
            stamper.take_cookie(net.now, &reply.unwrap());
        }
    };
    for number in 0..1000 {
        attack(&mut net, 1 << 40 | number);
        net.run(1);
        let sent = junk(&net, number);
        net.deliver(&sent);
    }
    let limited = refused(&net, DropReason::RateLimited);
    assert!(limited > 950, "{limited}");
    let worked = refused(&net, DropReason::BadHandshake);
    assert!(worked < 700, "{worked}");
}

#[test]
fn after_the_flood_no_cookie_is_needed() {
    let mut net = Net::pair(FAIR, 1);
    flood(&mut net, 5000, 500);
    net.run(2000);
    net.send(0, 1);
    net.run(10);
    assert!(net.is_in_agreement(0, 1));
}

/// Without the public key, nothing is even answered.
#[test]
fn a_wrong_mac1_costs_a_hash() {
    let mut net = Net::pair(FAIR, 1);
    let other = PrivateKey::new([50; 32]).public_key();
    for number in 0..5000 {
        let mut sent = junk(&net, number);
        let mut initiation = Initiation::parse(&sent.datagram).unwrap();
        Stamper::new(&other).stamp(net.now, &mut initiation);
        sent.datagram = initiation.as_bytes().to_vec();
        net.deliver(&sent);
    }
    assert_eq!(refused(&net, DropReason::BadMac1), 5000);
    assert_eq!(net.transcript, []);
}

/// Not a measurement, but what makes it cheap: hashes instead of multiplications.
#[test]
#[ignore = "measures this machine"]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement"
)]
fn what_a_refusal_costs() {
    let mut net = Net::pair(FAIR, 1);
    let sent: Vec<_> = (0..20_000).map(|number| junk(&net, number)).collect();
    let begin = Instant::now();
    sent.iter().for_each(|sent| net.deliver(sent));
    let each = begin.elapsed() / sent.len() as u32;
    println!("{each:?} a message");
    assert!(each < Duration::from_micros(100));
}
