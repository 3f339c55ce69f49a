//! The server: who gets which answer from where, and who gets none.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use meshvpn_proto::forward::Path;
use meshvpn_proto::nat::Transmit;
use meshvpn_proto::nat::message::{Binding, Change, Message, Request, Response, TransactionId};
use meshvpn_proto::nat::server::{Addresses, BURST, RATE, Server};

use crate::chance::beginning;
use crate::vectors::{IPV4_RESPONSE, LONG_TERM_REQUEST, REQUEST};

const TRANSACTION: TransactionId = TransactionId([9; 12]);
const FOUR: [&str; 4] = [
    "192.0.2.1:3478",
    "192.0.2.1:3479",
    "192.0.2.2:3478",
    "192.0.2.2:3479",
];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn four() -> Server {
    let addresses = Addresses::Four {
        first: address(FOUR[0]),
        second: address(FOUR[3]),
    };
    Server::new(addresses, [1; 32])
}

fn came_by(socket: usize, from: &str) -> Path {
    Path {
        socket,
        source: None,
        destination: address(from),
    }
}

fn asked(server: &mut Server, path: Path, change: Change) -> Option<Transmit> {
    let request = Request::new(TRANSACTION, change).encode();
    server.handle_datagram(beginning(), path, &request);
    server.poll_transmit()
}

fn binding(transmit: &Transmit) -> Binding {
    let Some(Message::Response(response)) = Message::parse(&transmit.datagram) else {
        panic!("a response");
    };
    assert_eq!(response.transaction, TRANSACTION);
    response.outcome.unwrap()
}

#[test]
fn every_answer_leaves_from_where_it_was_asked_or_where_it_was_asked_to_leave_from() {
    let mut server = four();
    for asked_socket in 0..4 {
        for (change, flipped) in [
            (Change::NONE, 0),
            (Change::PORT, 1),
            (Change::BOTH, 3),
            (
                Change {
                    address: true,
                    port: false,
                },
                2,
            ),
        ] {
            let path = came_by(asked_socket, "198.51.100.7:5000");
            let answer = asked(&mut server, path, change).unwrap();
            let from = asked_socket ^ flipped;
            assert_eq!(answer.path.socket, from);
            assert_eq!(answer.path.destination, path.destination);
            let binding = binding(&answer);
            assert_eq!(binding.mapped, path.destination);
            assert_eq!(binding.origin, Some(address(FOUR[from])));
            assert_eq!(binding.other, Some(address(FOUR[asked_socket ^ 3])));
        }
    }
}

#[test]
fn an_answer_leaves_from_the_very_address_that_was_asked() {
    let mut server = Server::new(Addresses::One(None), [1; 32]);
    let path = Path {
        source: Some("192.0.2.77".parse().unwrap()),
        ..came_by(0, "[2001:db8::5]:5000")
    };
    let answer = asked(&mut server, path, Change::NONE).unwrap();
    assert_eq!(answer.path, path);
    let binding = binding(&answer);
    assert_eq!((binding.origin, binding.other), (None, None));
}

#[test]
fn what_the_server_does_not_know_is_refused_by_name() {
    let mut server = Server::new(Addresses::One(None), [1; 32]);
    let path = came_by(0, "198.51.100.7:5000");
    let refused = |server: &mut Server| {
        let answer = server.poll_transmit().unwrap();
        assert_eq!(answer.path, path);
        let Some(Message::Response(response)) = Message::parse(&answer.datagram) else {
            panic!("a response");
        };
        response.outcome.unwrap_err().unknown
    };
    server.handle_datagram(beginning(), path, &REQUEST);
    assert_eq!(refused(&mut server), [0x0024]);
    let change = Request::new(TRANSACTION, Change::PORT).encode();
    server.handle_datagram(beginning(), path, &change);
    assert_eq!(refused(&mut server), [0x0003]);
    // PADDING would make the answer longer than the question.
    let mut padding = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    padding.extend_from_slice(&[5; 12]);
    padding.extend_from_slice(&[0, 0x26, 0, 4, 0, 0, 0, 0]);
    server.handle_datagram(beginning(), path, &padding);
    assert_eq!(refused(&mut server), [0x0026]);
    assert_eq!(server.counters().refused, 3);
}

#[test]
fn nothing_but_a_whole_request_is_answered() {
    let mut server = four();
    let path = came_by(0, "198.51.100.7:5000");
    let request = Request::new(TRANSACTION, Change::NONE).encode();
    let refusal = Response::unknown_attributes(TRANSACTION, vec![1]).encode(true);
    let mut indication = LONG_TERM_REQUEST.to_vec();
    indication[1] = 0x11;
    for datagram in [
        &IPV4_RESPONSE[..],
        &refusal,
        &indication,
        &request[1..],
        b"",
    ] {
        server.handle_datagram(beginning(), path, datagram);
        assert_eq!(server.poll_transmit(), None);
    }
    // A forged source: the server itself, all hosts, nobody.
    for source in [
        FOUR[0],
        FOUR[3],
        "255.255.255.255:5",
        "224.0.0.1:5",
        "0.0.0.0:5",
        "198.51.100.7:0",
    ] {
        server.handle_datagram(beginning(), came_by(0, source), &request);
        assert_eq!(server.poll_transmit(), None, "{source}");
    }
    assert_eq!(server.counters().ignored, 11);
    server.handle_datagram(beginning(), path, &request);
    assert!(server.poll_transmit().is_some());
}

#[test]
fn one_address_gets_its_share_of_answers_and_others_theirs() {
    let mut server = four();
    let start = beginning();
    let request = Request::new(TRANSACTION, Change::NONE).encode();
    let answers = |server: &mut Server, at: Instant, host: &str, requests: u32| {
        for port in 0..requests {
            let path = came_by(0, &format!("{host}:{}", 1 + port % 60_000));
            server.handle_datagram(at, path, &request);
        }
        std::iter::from_fn(|| server.poll_transmit()).count() as u32
    };
    assert_eq!(answers(&mut server, start, "198.51.100.7", 5000), BURST);
    assert_eq!(answers(&mut server, start, "198.51.100.8", 10), 10);
    // Of an IPv6 network, any address counts.
    assert_eq!(answers(&mut server, start, "[2001:db8::1]", 5000), BURST);
    assert_eq!(answers(&mut server, start, "[2001:db8::2]", 10), 0);
    let later = start + Duration::from_secs(1);
    assert_eq!(answers(&mut server, later, "198.51.100.7", 5000), RATE);
    assert!(server.counters().limited > 10_000);
}

#[test]
fn an_answer_is_no_long_one() {
    let mut server = four();
    let request = Request::new(TRANSACTION, Change::NONE).encode();
    let answer = asked(&mut server, came_by(0, "198.51.100.7:5000"), Change::NONE).unwrap();
    // With IP and UDP headers, less than twice the question.
    assert!(answer.datagram.len() + 28 < 2 * (request.len() + 28));
}
