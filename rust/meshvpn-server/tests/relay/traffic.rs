//! Packets between clients.

use std::time::{Duration, Instant};

use meshvpn_proto::relay::frame::{Frame, GoneReason};

use crate::raw::{Raw, key, relay, wait_until};

#[test]
fn two_clients_talk() {
    let relay = relay();
    let address = relay.local_address();
    let (mut a, mut b) = (Raw::log_in(address, 1), Raw::log_in(address, 2));
    for content in [&b"hello"[..], b"", &[7; 65_536]] {
        a.send_packet(2, content);
        assert_eq!(b.receive_packet(), (key(1), content.to_vec()));
        b.send_packet(1, content);
        assert_eq!(a.receive_packet(), (key(2), content.to_vec()));
    }
    assert_eq!(relay.statistics().clients, 2);
    drop(b);
    let gone = Frame::PeerGone {
        peer: key(2),
        reason: GoneReason::Disconnected,
    };
    assert_eq!(a.receive(), Some(gone.to_bytes()));
    wait_until("one client is left", || relay.statistics().clients == 1);
}

#[test]
fn many_packets_arrive_in_order() {
    let relay = relay();
    let address = relay.local_address();
    let (mut a, mut b) = (Raw::log_in(address, 1), Raw::log_in(address, 2));
    for begin in (0..5000u32).step_by(100) {
        // As much as surely fits the queue: nothing may be dropped, however busy the machine is.
        for number in begin..begin + 100 {
            let content = [&number.to_be_bytes()[..], &[0; 1200]].concat();
            a.send_packet(2, &content);
        }
        for number in begin..begin + 100 {
            assert_eq!(b.receive_packet().1[..4], number.to_be_bytes());
        }
    }
    assert_eq!(relay.statistics().dropped_slow, 0);
}

#[test]
fn a_slow_client_does_not_hold_others_back() {
    let relay = relay();
    let address = relay.local_address();
    let (mut a, mut fast) = (Raw::log_in(address, 1), Raw::log_in(address, 3));
    // Never reads a byte.
    let slow = Raw::log_in(address, 2);
    let begun = Instant::now();
    for number in 0..20_000u32 {
        a.send_packet(2, &[0; 1200]);
        if number % 100 == 0 {
            a.send_packet(3, &number.to_be_bytes());
            assert_eq!(fast.receive_packet().1, number.to_be_bytes());
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    let statistics = relay.statistics();
    assert!(statistics.dropped_slow > 1000, "{statistics:?}");
    drop(slow);
    wait_until("the slow one is gone", || relay.statistics().clients == 2);
}

#[test]
fn the_end_is_announced_and_its_port_is_free() {
    let relay = relay();
    let address = relay.local_address();
    let mut a = Raw::log_in(address, 1);
    relay.close();
    let announced = a.receive().unwrap();
    let (announced, _) = Frame::split(&announced).unwrap().unwrap();
    assert!(matches!(announced, Frame::Restarting { .. }));
    assert_eq!(a.receive(), None);
    std::net::TcpListener::bind(address).unwrap();
    relay.close();
}
