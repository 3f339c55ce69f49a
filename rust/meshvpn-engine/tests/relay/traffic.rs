//! What passes.

use meshvpn_engine::relay::RelayEventKind;
use meshvpn_engine::udp::SendOutcome;
use meshvpn_proto::forward::Path;
use meshvpn_proto::relay::frame::GoneReason;

use crate::ends::{Node, PLACE, address, certificate, key, relay};

#[test]
fn a_run_of_packets_arrives_one_by_one_and_names_the_way_back() {
    for certificate in [None, Some(certificate())] {
        let relay = relay("127.0.0.1:0", certificate.as_ref());
        let to = address(&relay, certificate.as_ref());
        let (a, b) = (Node::connect(1, to.clone()), Node::connect(2, to));
        a.wait_connected();
        b.wait_connected();
        let back = b.path_to(1);
        let run: Vec<u8> = (0..10u8).flat_map(|number| [number; 1000]).collect();
        let outcome = a.port.send(&a.path_to(2), &run[..9500], Some(1000));
        let sent = SendOutcome {
            sent: 10,
            ..SendOutcome::default()
        };
        assert_eq!(outcome, sent);
        for number in 0..10 {
            let len = if number == 9 { 500 } else { 1000 };
            assert_eq!(b.receive(), (back, vec![number; len]));
        }
        b.port.send(&back, b"answer", None);
        assert_eq!(a.receive().1, b"answer");
    }
}

#[test]
fn packets_wait_for_the_first_connection() {
    let relay = relay("127.0.0.1:0", None);
    let b = Node::connect(2, address(&relay, None));
    b.path_to(1);
    b.wait_connected();
    let a = Node::connect(1, address(&relay, None));
    a.port.send(&a.path_to(2), b"at once", None);
    assert_eq!(b.receive().1, b"at once");
}

#[test]
fn strangers_are_not_heard_and_numbers_that_nobody_has_are_not_sent_to() {
    let relay = relay("127.0.0.1:0", None);
    let (a, b) = (
        Node::connect(1, address(&relay, None)),
        Node::connect(2, address(&relay, None)),
    );
    a.wait_connected();
    b.wait_connected();
    a.port.send(&a.path_to(2), b"from a stranger", None);
    let nobody = Path::relayed(PLACE, 77);
    assert_eq!(a.port.send(&nobody, b"x", None), SendOutcome::failed(1));
    let c = Node::connect(3, address(&relay, None));
    b.path_to(3);
    c.port.send(&c.path_to(2), b"from a friend", None);
    assert_eq!(b.receive().1, b"from a friend");
}

#[test]
fn who_is_not_there_is_told() {
    let relay = relay("127.0.0.1:0", None);
    let a = Node::connect(1, address(&relay, None));
    a.wait_connected();
    a.port.send(&a.path_to(2), b"anyone?", None);
    let event = a.next_event();
    let RelayEventKind::PeerGone { number, reason } = event else {
        panic!("{event:?}");
    };
    assert_eq!(a.relays.peers().key(number), Some(key(2)));
    assert_eq!(reason, GoneReason::NotHere);
}

#[test]
fn a_home_is_known_to_its_relay_also_after_it_has_moved() {
    let (one, two) = (relay("127.0.0.1:0", None), relay("127.0.0.1:0", None));
    let node = Node::connect(1, address(&one, None));
    node.relays.set_home(Some(PLACE));
    node.relays.connect(PLACE + 1, address(&two, None));
    let homes = || [&one, &two].map(|relay| relay.statistics().home_clients);
    wait_for([1, 0], homes);
    node.relays.set_home(Some(PLACE + 1));
    wait_for([0, 1], homes);
    node.relays.disconnect(PLACE + 1);
    wait_for([0, 0], homes);
}

fn wait_for(expected: [u64; 2], homes: impl Fn() -> [u64; 2]) {
    let deadline = std::time::Instant::now() + crate::ends::PATIENCE;
    while homes() != expected {
        assert!(std::time::Instant::now() < deadline, "{:?}", homes());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn distances_are_measured() {
    let certificate = certificate();
    let relay = relay("127.0.0.1:0", Some(&certificate));
    let to = address(&relay, Some(&certificate));
    let node = Node::connect(1, to.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let measured = runtime.block_on(node.relays.measure(to)).unwrap();
    assert!(measured.as_millis() < 1000, "{measured:?}");
}
