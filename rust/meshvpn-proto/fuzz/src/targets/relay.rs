//! The relay's frames, and both ends of its connections.

use std::time::{Duration, Instant};

use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::client::{Client, Event};
use meshvpn_proto::relay::frame::{Frame, HEADER_LEN, MAX_BODY};
use meshvpn_proto::relay::server::{ClientId, Limits, Login, Server};

use super::packet::start;

/// Any bytes as a frame: what is read can be written, and reads the same again.
pub fn frame(data: &[u8]) {
    let Ok(Some((frame, len))) = Frame::split(data) else {
        return;
    };
    assert!(len <= data.len().min(HEADER_LEN + MAX_BODY));
    let written = frame.to_bytes();
    assert_eq!(Frame::split(&written), Ok(Some((frame, written.len()))));
}

/// A client that is logged in hears anything, in pieces of any size.
pub fn client(data: &[u8]) {
    let mut now = start();
    let mut client = logged_in(now);
    let Some((piece, data)) = data.split_first() else {
        return;
    };
    let mut buffer = Vec::new();
    for piece in data.chunks(usize::from(*piece) + 1) {
        now += Duration::from_millis(10);
        buffer.extend_from_slice(piece);
        let mut rest = &buffer[..];
        loop {
            match client.next(now, &mut rest) {
                Ok(Some(Event::Ready { .. })) => panic!("it was ready before"),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
        let used = buffer.len() - rest.len();
        buffer.drain(..used);
        while client.poll_transmit().is_some() {}
        assert!(client.poll_timeout() > now);
    }
}

/// Four connections under three keys send anything, leave and come: what each is given to read are whole
/// frames, from peers that exist, and never more than its bounds.
///
/// The input: a list of (which connection, what to do, how many of the following bytes it is).
pub fn server(mut data: &[u8]) {
    let limits = Limits {
        connections_per_key: 2,
        queue_bytes: 0,
        ..Limits::default()
    };
    let now = start();
    let mut server = Server::new(limits, [1; 32]);
    let keys = [1, 1, 2, 3].map(|byte| PublicKey::new([byte; 32]));
    let mut ids: [Option<ClientId>; 4] = keys.map(|key| server.add(now, key).ok());
    let mut unread: [Vec<u8>; 4] = Default::default();
    while let Some((&[which, len], rest)) = data.split_first_chunk() {
        let place = usize::from(which & 3);
        let (sent, rest) = rest.split_at(usize::from(len).min(rest.len()));
        data = rest;
        if which >> 2 == 63 {
            if let Some(id) = ids[place] {
                server.remove(id);
            }
            ids[place] = server.add(now, keys[place]).ok();
            unread[place].clear();
        }
        let Some(id) = ids[place] else { continue };
        unread[place].extend_from_slice(sent);
        match server.handle_bytes(now, id, &mut unread[place]) {
            Ok(progress) => drop(unread[place].drain(..progress.consumed)),
            Err(_) => ids[place] = None,
        }
        for (id, _) in std::iter::from_fn(|| server.poll_closed()) {
            ids.iter_mut()
                .filter(|known| **known == Some(id))
                .for_each(|known| *known = None);
        }
        if which & 4 != 0 {
            read_all(&mut server, &ids, &keys);
        }
    }
    read_all(&mut server, &ids, &keys);
}

fn read_all(server: &mut Server, ids: &[Option<ClientId>], keys: &[PublicKey]) {
    for id in ids.iter().flatten() {
        let mut out = Vec::new();
        while server.take_output(*id, &mut out) {}
        assert!(out.len() < 200 << 10, "bounded");
        let mut rest = &out[..];
        while let Some((frame, len)) = Frame::split(rest).expect("the relay writes frames") {
            rest = &rest[len..];
            match frame {
                Frame::RecvPacket { source, .. } => assert!(keys.contains(&source)),
                Frame::PeerGone { .. } | Frame::Pong(_) | Frame::Health(_) => {}
                other => panic!("the relay says {other:?}"),
            }
        }
        assert!(rest.is_empty(), "whole frames");
    }
}

/// A client that has been through log-in.
fn logged_in(now: Instant) -> Client {
    let [client_key, relay_key] = [1, 2].map(|byte| PrivateKey::new([byte; 32]));
    let limits = Limits::default();
    let login = Login::new(relay_key);
    let mut client = Client::new(now, client_key, [3; 24]);
    let greeting = login.greeting();
    let event = client.next(now, &mut &greeting[..]).expect("a greeting");
    assert_eq!(event, None);
    let info = client.poll_transmit().expect("who it is");
    let hello = login.handle_bytes(&info).expect("valid").expect("whole");
    let answer = login.answer(&hello.key, &limits, [4; 24]);
    let event = client.next(now, &mut &answer[..]).expect("an answer");
    assert!(matches!(event, Some(Event::Ready { .. })));
    client
}
