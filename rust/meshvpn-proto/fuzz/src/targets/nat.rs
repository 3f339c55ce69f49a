//! STUN: messages, and both halves that take them.

use std::net::SocketAddr;
use std::time::Instant;

use meshvpn_proto::forward::Path;
use meshvpn_proto::nat::client::{Client, Question};
use meshvpn_proto::nat::message::{Message, Response, is_stun};
use meshvpn_proto::nat::server::{Addresses, Server};

/// Any datagram is a message that reads back as the same, or none; a client that asked something else makes
/// nothing of it; a server gives at most one short answer, and none to an answer.
pub fn stun(data: &[u8]) {
    let message = Message::parse(data);
    assert!(message.is_none() || is_stun(data));
    match &message {
        Some(Message::Request(request)) if request.unknown.is_empty() => {
            assert_eq!(Message::parse(&request.encode()).as_ref(), message.as_ref());
        }
        Some(Message::Response(response)) => {
            let again = Message::parse(&response.encode(true));
            let Some(Message::Response(Response { outcome, .. })) = again else {
                panic!("a response");
            };
            match (&response.outcome, outcome) {
                (Ok(binding), Ok(again)) => assert_eq!(*binding, again),
                (Err(refusal), Err(again)) => assert_eq!(refusal.code, again.code),
                _ => panic!("an answer turned into a refusal"),
            }
        }
        _ => {}
    }
    let now = start();
    let path = Path {
        socket: 0,
        source: None,
        destination: SocketAddr::from(([198, 51, 100, 7], 5000)),
    };
    let mut client = Client::new([1; 32]);
    client.ask(now, Question::new(0, path.destination));
    assert!(!client.handle_datagram(now, path, data));
    let addresses = Addresses::Four {
        first: SocketAddr::from(([192, 0, 2, 1], 3478)),
        second: SocketAddr::from(([192, 0, 2, 2], 3479)),
    };
    let mut server = Server::new(addresses, [1; 32]);
    server.handle_datagram(now, path, data);
    let answer = server.poll_transmit();
    assert_eq!(
        answer.is_some(),
        matches!(message, Some(Message::Request(_)))
    );
    if let Some(answer) = answer {
        assert!(answer.datagram.len() <= 100 && answer.path.socket < 4);
        assert!(matches!(
            Message::parse(&answer.datagram),
            Some(Message::Response(_))
        ));
        assert_eq!(answer.path.destination.ip(), path.destination.ip());
    }
    assert_eq!(server.poll_transmit(), None);
}

#[expect(
    clippy::disallowed_methods,
    reason = "instants cannot be made up, and only differences matter"
)]
fn start() -> Instant {
    Instant::now()
}
