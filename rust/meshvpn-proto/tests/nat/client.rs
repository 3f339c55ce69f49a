//! The client in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use meshvpn_proto::forward::Path;
use meshvpn_proto::nat::Transmit;
use meshvpn_proto::nat::client::{Client, Outcome, PATIENCE, Question};
use meshvpn_proto::nat::message::{Binding, Change, Message, Response};

use crate::chance::beginning;

const SEED: [u8; 32] = [7; 32];

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 3478))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What a server would answer to a request.
fn answer(request: &[u8], port: u16) -> Vec<u8> {
    let Some(Message::Request(request)) = Message::parse(request) else {
        panic!("a request");
    };
    let binding = Binding {
        mapped: SocketAddr::from(([203, 0, 113, 1], port)),
        origin: None,
        other: None,
    };
    Response {
        transaction: request.transaction,
        outcome: Ok(binding),
    }
    .encode(true)
}

fn way_back(socket: usize, from: SocketAddr) -> Path {
    Path {
        socket,
        source: None,
        destination: from,
    }
}

/// Lets time pass until `end`; returns what was sent, and when.
fn run(client: &mut Client, start: Instant, end: Duration) -> Vec<(Duration, Transmit)> {
    let mut sent = Vec::new();
    let mut now = start;
    loop {
        while let Some(transmit) = client.poll_transmit() {
            sent.push((now - start, transmit));
        }
        match client.poll_timeout() {
            Some((at, _)) if at - start <= end => now = at,
            _ => return sent,
        }
        client.handle_timeout(now);
    }
}

#[test]
fn a_request_is_repeated_at_doubling_intervals_and_then_given_up() {
    let start = beginning();
    let mut client = Client::new(SEED);
    let id = client.ask(start, Question::new(3, server(1)));
    let sent = run(&mut client, start, ms(60_000));
    let at: Vec<_> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [0, 100, 300, 700, 1500].map(ms));
    assert!(sent.iter().all(|(_, one)| *one == sent[0].1));
    assert_eq!(sent[0].1.path, way_back(3, server(1)));
    let event = client.poll_event().unwrap();
    assert_eq!((event.id, event.outcome), (id, Outcome::Unanswered));
    assert_eq!(client.poll_timeout(), None);
    assert_eq!(PATIENCE, ms(3000));
}

#[test]
fn several_servers_are_asked_at_once_and_each_answer_finds_its_question() {
    let start = beginning();
    let mut client = Client::new(SEED);
    let ids = [1, 2, 3].map(|number| client.ask(start, Question::new(0, server(number))));
    let sent = run(&mut client, start, ms(0));
    assert_eq!(sent.len(), 3);
    for (number, port) in [(2, 2222), (0, 1111)] {
        let (_, Transmit { path, datagram }) = &sent[number];
        let now = start + ms(40);
        assert!(client.handle_datagram(now, *path, &answer(datagram, port)));
        // The answer to the repeated request comes later, and is no news.
        assert!(!client.handle_datagram(now, *path, &answer(datagram, port)));
        let event = client.poll_event().unwrap();
        assert_eq!(event.id, ids[number]);
        let Outcome::Answered(answer) = event.outcome else {
            panic!("an answer");
        };
        assert_eq!(
            (answer.binding.mapped.port(), answer.round_trip),
            (port, ms(40))
        );
    }
    run(&mut client, start, ms(5000));
    let event = client.poll_event().unwrap();
    assert_eq!((event.id, event.outcome), (ids[1], Outcome::Unanswered));
    assert_eq!(client.poll_event(), None);
}

#[test]
fn only_the_server_that_was_asked_is_believed_and_only_on_the_socket_that_asked() {
    let start = beginning();
    let mut client = Client::new(SEED);
    client.ask(start, Question::new(5, server(1)));
    let request = client.poll_transmit().unwrap().datagram;
    let response = answer(&request, 1);
    assert!(!client.handle_datagram(start, way_back(5, server(2)), &response));
    assert!(!client.handle_datagram(start, way_back(4, server(1)), &response));
    // Our own request, come back to us, is no answer.
    assert!(!client.handle_datagram(start, way_back(5, server(1)), &request));
    let mut other = Client::new([8; 32]);
    other.ask(start, Question::new(5, server(1)));
    let foreign = answer(&other.poll_transmit().unwrap().datagram, 1);
    assert!(!client.handle_datagram(start, way_back(5, server(1)), &foreign));
    assert_eq!(client.poll_event(), None);
    assert!(client.handle_datagram(start, way_back(5, server(1)), &response));
}

#[test]
fn an_answer_from_elsewhere_is_taken_when_it_was_asked_for() {
    let start = beginning();
    let mut client = Client::new(SEED);
    client.ask(start, Question::new(0, server(1)).with_change(Change::BOTH));
    let request = client.poll_transmit().unwrap().datagram;
    assert!(client.handle_datagram(start, way_back(0, server(2)), &answer(&request, 1)));
    let Outcome::Answered(answer) = client.poll_event().unwrap().outcome else {
        panic!("an answer");
    };
    assert_eq!(answer.from, server(2));
}

#[test]
fn a_refusal_ends_the_question_with_its_reason() {
    let start = beginning();
    let mut client = Client::new(SEED);
    client.ask(start, Question::new(0, server(1)).with_change(Change::PORT));
    let request = client.poll_transmit().unwrap().datagram;
    let Some(Message::Request(request)) = Message::parse(&request) else {
        panic!("a request");
    };
    let refusal = Response::unknown_attributes(request.transaction, vec![3]).encode(true);
    assert!(client.handle_datagram(start, way_back(0, server(1)), &refusal));
    let Outcome::Refused(refusal) = client.poll_event().unwrap().outcome else {
        panic!("a refusal");
    };
    assert_eq!((refusal.code, &refusal.unknown[..]), (420, &[3][..]));
}

#[test]
fn one_seed_gives_one_course_of_bytes() {
    let requests = |seed| {
        let mut client = Client::new([seed; 32]);
        [0, 1].map(|_| {
            client.ask(beginning(), Question::new(0, server(1)));
            client.poll_transmit().unwrap().datagram
        })
    };
    assert_eq!(requests(1), requests(1));
    let [a, b] = requests(1);
    let [c, _] = requests(2);
    assert!(a != b && a != c);
}
