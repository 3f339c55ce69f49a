//! Whom a node believes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use meshvpn_engine::relay::{
    ConnectionError, DialError, Proxy, RelayAddress, RelayEventKind, RelaySettings,
};

use crate::ends::{Node, address, certificate, relay};

fn failure(node: &Node) -> ConnectionError {
    match node.next_event() {
        RelayEventKind::Disconnected { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_pinned_certificate_is_accepted() {
    let (right, wrong) = (certificate(), certificate());
    let relay = relay("127.0.0.1:0", Some(&right));
    let node = Node::connect(1, address(&relay, Some(&wrong)));
    let error = failure(&node);
    assert!(
        matches!(error, ConnectionError::Dial(DialError::WrongCertificate)),
        "{error}"
    );
    assert_eq!(relay.statistics().logins, 0);
    Node::connect(1, address(&relay, Some(&right))).wait_connected();
}

#[test]
fn without_a_pin_nobody_is_believed_for_whom_no_authority_vouches() {
    let own = certificate();
    let relay = relay("127.0.0.1:0", Some(&own));
    let url = format!("https://{}", relay.local_address());
    let node = Node::connect(1, RelayAddress::parse(&url, None).unwrap());
    let error = failure(&node).to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn what_is_no_relay_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = ["HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"];
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let node = Node::connect(1, RelayAddress::parse(&url, None).unwrap());
    let error = failure(&node);
    assert!(
        matches!(error, ConnectionError::Dial(DialError::Refused(404))),
        "{error}"
    );
    let error = failure(&node);
    assert!(matches!(error, ConnectionError::Dial(_)), "{error}");
}

/// Makes one connection to whom it is asked for, if the password is right.
fn proxy(listener: TcpListener) {
    let (mut client, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target: SocketAddr = head.split(' ').nth(1).unwrap().parse().unwrap();
    // user:secret
    if !head.contains("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n") {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        return client.write_all(refusal.as_bytes()).unwrap();
    }
    let mut relay = TcpStream::connect(target).unwrap();
    let established = "HTTP/1.1 200 Connection established\r\n\r\n";
    client.write_all(established.as_bytes()).unwrap();
    let (mut to_client, mut from_relay) = (client.try_clone().unwrap(), relay.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from_relay, &mut to_client));
    let _ = std::io::copy(&mut client, &mut relay);
}

#[test]
fn a_proxy_leads_to_the_relay_and_its_refusal_is_told() {
    let own = certificate();
    let relay = relay("127.0.0.1:0", Some(&own));
    for (password, is_right) in [("wrong", false), ("secret", true)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://user:{password}@{}", listener.local_addr().unwrap());
        std::thread::spawn(move || proxy(listener));
        let settings = RelaySettings {
            proxy: Some(Proxy::parse(&url).unwrap()),
            ..RelaySettings::default()
        };
        let node = Node::connect_with(1, address(&relay, Some(&own)), settings);
        if is_right {
            node.wait_connected();
        } else {
            let error = failure(&node).to_string();
            assert_eq!(error, "the proxy answers 407 to CONNECT");
        }
    }
}
