//! Peers move: whoever sends something authentic is answered where it came from.

use std::net::SocketAddr;

use meshvpn_proto::wireguard::Event;

use crate::net::{FAIR, Net};

fn elsewhere() -> SocketAddr {
    "198.51.100.7:4500".parse().unwrap()
}

fn believed(net: &Net) -> SocketAddr {
    let path = net.nodes[1].device.status(0).unwrap().path;
    path.unwrap().destination
}

fn connected() -> Net {
    let mut net = Net::pair(FAIR, 1);
    net.send(0, 1);
    net.run(1000);
    net
}

#[test]
fn data_from_elsewhere_moves_the_peer() {
    let mut net = connected();
    net.nodes[0].endpoint = elsewhere();
    net.send(0, 1);
    net.run(10);
    assert_eq!(believed(&net), elsewhere());
    net.send(1, 0);
    net.run(100);
    assert_eq!(net.nodes[0].arrived.len(), 1);
    let moves = net.nodes[1].events.iter();
    let moves = moves.filter(|(_, event)| matches!(event, Event::Moved { .. }));
    assert_eq!(moves.count(), 1);
}

#[test]
fn a_handshake_from_elsewhere_moves_the_peer() {
    let mut net = connected();
    net.run(200_000);
    net.nodes[0].endpoint = elsewhere();
    net.send(0, 1);
    net.run(10);
    assert_eq!(believed(&net), elsewhere());
    assert_eq!(net.nodes[1].arrived.len(), 2);
}

#[test]
fn what_proves_nothing_moves_nobody() {
    let mut net = connected();
    let before = believed(&net);
    let recorded = net.transcript.clone();
    for mut sent in recorded {
        // Everything once more, and changed, from elsewhere.
        sent.from = elsewhere();
        net.deliver(&sent);
        *sent.datagram.last_mut().unwrap() ^= 1;
        net.deliver(&sent);
    }
    net.run(100);
    assert_eq!(believed(&net), before);
    assert_eq!(
        net.nodes[0]
            .device
            .status(0)
            .unwrap()
            .path
            .unwrap()
            .destination,
        net.nodes[1].endpoint
    );
}

/// Whoever can see an initiation can make a cookie for it, since that is sealed with public values alone.
#[test]
fn a_cookie_moves_nobody() {
    use meshvpn_proto::noise::cookie::Checker;
    use meshvpn_proto::noise::messages::Initiation;

    let mut net = Net::pair(FAIR, 1);
    net.filter = |_| true;
    net.send(0, 1);
    let initiation = Initiation::parse(&net.transcript[0].datagram).unwrap();
    let here = net.nodes[0].endpoint;
    let mut checker = Checker::new(&net.key(1));
    let reply = checker.reply(net.now, &initiation, here, || [5; 32].into());
    let forged = crate::net::Sent {
        from: elsewhere(),
        to: here,
        datagram: reply.as_bytes().to_vec(),
        ..net.transcript[0].clone()
    };
    net.deliver(&forged);
    assert!(
        net.nodes[0].refused.is_empty(),
        "the cookie itself is taken"
    );
    let path = net.nodes[0].device.status(0).unwrap().path;
    assert_eq!(path.unwrap().destination, net.nodes[1].endpoint);
    // And does no harm: mac2 is not looked at without load.
    net.filter = |_| false;
    net.time_until(6000, |net| net.is_in_agreement(0, 1));
}

#[test]
fn both_may_move_one_after_the_other() {
    let mut net = connected();
    for round in 0..20u8 {
        let mover = usize::from(round % 2);
        net.nodes[mover]
            .endpoint
            .set_port(10_000 + u16::from(round));
        net.send(mover, 1 - mover);
        net.run(10);
        net.send(1 - mover, mover);
        net.run(10);
    }
    let arrived = net.nodes.iter().map(|node| node.arrived.len());
    assert_eq!(arrived.collect::<Vec<_>>(), [20, 21]);
}
