//! Whatever a client sends ends in an error for it, while others go on.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use meshvpn_proto::control::channel::{Channel, Initiator};
use meshvpn_proto::control::messages::{CoordinatorMessage, Incoming, Reason};
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::noise::identity::Identity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::nodes::{Node, PATIENCE, Server, Socket, auth_key, serve};
use crate::coordinator::request::NewKey;
use crate::coordinator::store::MemoryStore;

async fn open(server: &Server) -> Socket {
    let url = format!("ws://{}/control", server.address);
    connect_async(url).await.unwrap().0
}

async fn send(socket: &mut Socket, bytes: Vec<u8>) {
    let _ = socket.send(Message::Binary(bytes.into())).await;
}

/// What comes until the connection ends.
async fn rest(socket: &mut Socket) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await {
            Ok(Some(Ok(Message::Binary(bytes)))) => frames.push(bytes.to_vec()),
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return frames,
            Ok(Some(Ok(_))) => {}
            Err(_) => panic!("the connection has not ended"),
        }
    }
}

fn first(server: &Server, seed: u8) -> (Initiator, Vec<u8>) {
    let identity = Identity::open(PrivateKey::new([seed; 32])).into();
    let ephemeral = PrivateKey::new([seed + 100; 32]);
    Initiator::start(&identity, server.service.public_key(), ephemeral).unwrap()
}

async fn channel(server: &Server, seed: u8) -> (Socket, Channel) {
    let mut socket = open(server).await;
    let (initiator, message) = first(server, seed);
    send(&mut socket, message).await;
    let Some(Ok(Message::Binary(answer))) = socket.next().await else {
        panic!("no answer");
    };
    (socket, initiator.finish(&answer).unwrap().0)
}

#[tokio::test]
async fn bad_beginnings_end_in_a_reason() {
    let server = serve(MemoryStore::default()).await;
    let (_, good) = first(&server, 1);
    let mut changed = good.clone();
    changed[50] ^= 1;
    let newer = [b"mesh\0\x09\0\x08", &good[8..]].concat();
    for (bytes, reason) in [
        (
            b"GET /".to_vec(),
            "not a message of meshvpn's control protocol",
        ),
        (Vec::new(), "not a message of meshvpn's control protocol"),
        (changed, "not authentic"),
        (good[..60].to_vec(), "not authentic"),
        (newer, "update the older of the two"),
    ] {
        let mut socket = open(&server).await;
        send(&mut socket, bytes).await;
        let frames = rest(&mut socket).await;
        let text = String::from_utf8_lossy(&frames[0]).into_owned();
        assert!(text.contains(reason), "{text}");
    }
    for oversized in [
        Message::Binary(vec![0; 70_000].into()),
        Message::text("hello"),
    ] {
        let mut socket = open(&server).await;
        let _ = socket.send(oversized).await;
        assert!(rest(&mut socket).await.is_empty());
    }
}

#[tokio::test]
async fn a_replayed_beginning_gets_an_answer_that_nobody_can_use() {
    let server = serve(MemoryStore::default()).await;
    let (initiator, recorded) = first(&server, 1);
    let mut socket = open(&server).await;
    send(&mut socket, recorded.clone()).await;
    let Some(Ok(Message::Binary(answer))) = socket.next().await else {
        panic!("no answer");
    };
    let sealed = initiator.finish(&answer).unwrap().0.seal(b"{}");
    let mut replay = open(&server).await;
    send(&mut replay, recorded).await;
    assert!(matches!(replay.next().await, Some(Ok(Message::Binary(_)))));
    send(&mut replay, sealed[0].clone()).await;
    assert!(rest(&mut replay).await.is_empty());
    assert_eq!(server.service.figures().counters.joins, 0);
}

#[tokio::test]
async fn bad_messages_on_a_channel_end_in_a_refusal() {
    let server = serve(MemoryStore::default()).await;
    let long = format!("{{\"type\":\"{}\"}}", "x".repeat(300_000));
    for (message, reason) in [
        ("no JSON", "not a message of the control protocol"),
        (
            r#"{"type":"register","body":{}}"#,
            "missing field `node_key`",
        ),
        (r#"{"type":"update","body":{}}"#, "must be a registration"),
        (long.as_str(), "a message of more than 262144 bytes"),
    ] {
        let (mut socket, mut channel) = channel(&server, 1).await;
        for frame in channel.seal(message.as_bytes()) {
            send(&mut socket, frame).await;
        }
        let frames = rest(&mut socket).await;
        let message = channel.open(&frames[0]).unwrap().unwrap();
        let Ok(Incoming::Known(CoordinatorMessage::Refused(refusal))) =
            CoordinatorMessage::parse(&message)
        else {
            panic!("a refusal");
        };
        assert_eq!(refusal.reason, Reason::Protocol);
        assert!(refusal.text.contains(reason), "{}", refusal.text);
    }
}

#[tokio::test]
async fn a_crowd_of_half_open_and_slow_clients_keeps_nobody_out() {
    let server = serve(MemoryStore::default()).await;
    let mut crowd = Vec::new();
    for number in 0..100 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if number % 2 == 0 {
            stream
                .write_all(b"GET /control HTTP/1.1\r\nHost: x\r\n")
                .await
                .unwrap();
        }
        crowd.push(stream);
    }
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(open(&server).await);
    }
    let key = auth_key(&server.service, NewKey::default()).await;
    let mut node = Node::new(&server, 1, Some(&key));
    tokio::time::timeout(Duration::from_secs(5), node.up())
        .await
        .unwrap();
    // Who says nothing is cut off in the end.
    let mut end = [0; 1000];
    let mut half = crowd.swap_remove(0);
    tokio::time::timeout(PATIENCE, half.read(&mut end))
        .await
        .unwrap()
        .unwrap();
    assert!(rest(&mut silent[0]).await.is_empty());
}
