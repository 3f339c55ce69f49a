//! What anyone may send: it ends their own connection, and nothing else.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::relay::boxes;
use meshvpn_proto::relay::frame::Frame;
use meshvpn_proto::relay::server::{Limits, Rate};
use meshvpn_server::listen::MOST_WAITING;
use meshvpn_server::relay::running::{RelayConfig, RunningRelay};

use crate::raw::{Raw, config, key, relay, wait_until};

#[test]
fn malformed_frames_end_their_client_only() {
    let relay = relay();
    let address = relay.local_address();
    let (mut a, mut b) = (Raw::log_in(address, 1), Raw::log_in(address, 2));
    for malformed in [
        &[0x04, 0xff, 0xff, 0xff, 0xff][..],
        &[0x04, 0, 0, 0, 3, 1, 2, 3],
        &[0x12, 0, 0, 0, 1, 1],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut bad = Raw::log_in(address, 3);
        bad.stream.write_all(malformed).unwrap();
        assert_eq!(bad.receive(), None, "{malformed:?}");
    }
    a.send_packet(2, b"still here");
    assert_eq!(b.receive_packet(), (key(1), b"still here".to_vec()));
}

#[test]
fn nobody_gets_in_without_the_private_key() {
    let relay = relay();
    let address = relay.local_address();
    let [own, relays] = [9, 200].map(|byte| PrivateKey::new([byte; 32]));
    let info = boxes::ClientInfo {
        version: 2,
        ..boxes::ClientInfo::default()
    };
    let sealed = boxes::seal(&info, &own, &relays.public_key(), [1; 24]);
    let mut changed = sealed.clone();
    changed[50] ^= 1;
    let old = boxes::ClientInfo::default();
    let old = boxes::seal(&old, &own, &relays.public_key(), [1; 24]);
    let [stranger, itself] = [key(1), own.public_key()];
    for frame in [
        Frame::ClientInfo {
            key: stranger,
            sealed: &sealed,
        },
        Frame::ClientInfo {
            key: itself,
            sealed: &changed,
        },
        Frame::ClientInfo {
            key: itself,
            sealed: &old,
        },
        Frame::SendPacket {
            destination: stranger,
            packet: b"before log-in",
        },
    ] {
        let mut raw = Raw::upgrade(address);
        raw.receive().expect("the relay's key");
        raw.send(&frame);
        assert_eq!(raw.receive(), None, "{frame:?}");
    }
    assert_eq!(relay.statistics().logins, 0);
}

#[test]
fn connections_that_say_nothing_are_bounded_and_clients_go_on() {
    let relay = relay();
    let address = relay.local_address();
    let (mut a, mut b) = (Raw::log_in(address, 1), Raw::log_in(address, 2));
    let silent: Vec<_> = (0..MOST_WAITING + 50)
        .map_while(|_| TcpStream::connect(address).ok())
        .collect();
    assert!(silent.len() > MOST_WAITING, "this machine allows too few");
    a.send_packet(2, b"through the crowd");
    assert_eq!(b.receive_packet().1, b"through the crowd");
    for stream in &silent {
        stream.shutdown(Shutdown::Both).unwrap();
    }
    drop(silent);
    // Room again as soon as they are gone, at the latest when their time is up.
    wait_until("another can come", || {
        std::panic::catch_unwind(|| drop(Raw::log_in(address, 3))).is_ok()
    });
}

#[test]
fn a_flood_of_pings_costs_its_sender_the_answers() {
    let relay = relay();
    let address = relay.local_address();
    let (mut a, mut b) = (Raw::log_in(address, 1), Raw::log_in(address, 2));
    let mut flood = Raw::log_in(address, 3);
    let pings = Frame::Ping([5; 8]).to_bytes().repeat(1000);
    // Nobody reads the pongs, so at some time no more is taken, and that must be this client's problem.
    let writer = std::thread::spawn(move || {
        for _ in 0..300 {
            flood.stream.write_all(&pings).unwrap();
        }
        flood
    });
    for _ in 0..50 {
        a.send_packet(2, b"meanwhile");
        assert_eq!(b.receive_packet().1, b"meanwhile");
    }
    let mut flood = writer.join().unwrap();
    assert_eq!(flood.receive(), Some(Frame::Pong([5; 8]).to_bytes()));
}

#[test]
fn a_client_cannot_send_faster_than_it_may() {
    let limits = Limits {
        rate: Some(Rate {
            bytes_per_second: 500_000,
            burst: 100_000,
        }),
        ..Limits::default()
    };
    let relay = RunningRelay::start(RelayConfig { limits, ..config() }).unwrap();
    let address = relay.local_address();
    let (mut a, mut b) = (Raw::log_in(address, 1), Raw::log_in(address, 2));
    let begun = std::time::Instant::now();
    let sender = std::thread::spawn(move || {
        for _ in 0..1600 {
            a.send_packet(2, &[0; 1000]);
        }
        a
    });
    for _ in 0..1600 {
        b.receive_packet();
    }
    let took = begun.elapsed().as_secs_f64();
    // What was read at once when the burst was used up, 192 KB at most, is paid for afterwards.
    assert!((2.5..10.0).contains(&took), "1659 KB in {took} s");
    drop(sender.join().unwrap());
}
