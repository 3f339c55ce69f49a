//! A relay that goes and comes back.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use meshvpn_engine::relay::{RelayAddress, RelayEventKind};

use crate::ends::{Node, address, relay};

#[test]
fn nodes_come_back_to_a_relay_that_was_restarted() {
    let first = relay("127.0.0.1:0", None);
    let listen = first.local_address().to_string();
    let to = address(&first, None);
    let (a, b) = (Node::connect(1, to.clone()), Node::connect(2, to));
    a.wait_connected();
    b.wait_connected();
    first.close();
    assert!(matches!(
        a.next_event(),
        RelayEventKind::Disconnected { .. }
    ));
    assert!(!a.port.is_connected());
    let again = relay(&listen, None);
    a.wait_connected();
    b.wait_connected();
    b.path_to(1);
    a.port.send(&a.path_to(2), b"back", None);
    assert_eq!(b.receive().1, b"back");
    assert_eq!(again.statistics().logins, 2);
}

#[test]
fn a_relay_that_is_away_is_asked_less_and_less_often() {
    let vacant = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", vacant.local_addr().unwrap());
    drop(vacant);
    let node = Node::connect(1, RelayAddress::parse(&url, None).unwrap());
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let event = node.next_event();
        let RelayEventKind::Disconnected { retry_in, .. } = event else {
            panic!("{event:?}");
        };
        longest = longest.max(retry_in);
    }
    assert!(begun.elapsed() > Duration::from_millis(500));
    assert!(longest >= Duration::from_millis(800), "{longest:?}");
}
