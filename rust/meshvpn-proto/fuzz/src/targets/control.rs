//! The control protocol: channel, messages, and a node that hears anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meshvpn_proto::control::channel::{Channel, Initiator, accept};
use meshvpn_proto::control::client::{Client, Config, Event};
use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::control::messages::{
    CoordinatorMessage, HostInfo, Incoming, NodeMessage, Register, Registered,
};
use meshvpn_proto::control::signature::{Kind, Signer};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;

use super::packet::start;

/// No bytes begin a channel, answer a beginning or come through an open channel without the keys; what is
/// sent to whoever tries has a bounded length.
///
/// The input is what arrives.
pub fn channel(data: &[u8]) {
    let (machine, coordinator) = identities();
    if let Err((error, answer)) = accept(&coordinator, ephemeral(4), data) {
        assert!(answer.len() < 600 && !error.to_string().is_empty());
    }
    let begin = || Initiator::start(&machine, *coordinator.public_key(), ephemeral(3));
    let (initiator, first) = begin().expect("a key that is worth something");
    assert!(initiator.finish(data).is_err());
    let (initiator, _) = begin().expect("a key that is worth something");
    let mut accepted = accept(&coordinator, ephemeral(4), &first).expect("a node's first message");
    let (mut channel, _) = initiator.finish(&accepted.answer).expect("its answer");
    assert!(channel.open(data).is_err() && accepted.channel.open(data).is_err());
}

/// Any bytes are a message that reads back from its own JSON, or an error.
///
/// The input is the message.
pub fn message(data: &[u8]) {
    if let Ok(message) = NodeMessage::parse(data) {
        let json = message.to_json();
        let again = NodeMessage::parse(&json).expect("what was written is read");
        assert_eq!(again.to_json(), json);
    }
    if let Ok(Incoming::Known(message)) = CoordinatorMessage::parse(data) {
        let again = CoordinatorMessage::parse(&message.to_json());
        assert_eq!(again, Ok(Incoming::Known(message)));
    }
}

/// Whatever a coordinator says and whenever the connection ends, a node goes on: it always has a time to
/// be woken at, says a bounded number of things, and its map changes only by what the mesh has signed.
///
/// The input is a course of events: a byte that says which, one of length where there is text, the text.
pub fn client(data: &[u8]) {
    let (machine, coordinator) = identities();
    let signer = Signer::new(&[5; 32]);
    let mut now = start();
    let mut client = Client::new(now, config(&machine, &coordinator), [7; 32]);
    let mut channel: Option<Channel> = None;
    let mut left = data;
    while let Some((what, rest)) = left.split_first() {
        left = rest;
        let mut text = || {
            let (length, rest) = left.split_first().unwrap_or((&0, &[]));
            let (text, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            left = rest;
            text
        };
        let version = client.map().version;
        match what % 8 {
            0 => {
                now = client.poll_timeout().0.max(now);
                client.handle_timeout(now);
            }
            1 => client.handle_connected(now),
            2 => client.handle_disconnected(now, "the fuzzer's reason"),
            3 => client.handle_message(now, text()),
            4 => hear(&mut client, &mut channel, now, text()),
            5 => {
                let signed = signer.sign(Kind::View, &String::from_utf8_lossy(text()));
                let message = CoordinatorMessage::Map(signed).to_json();
                hear(&mut client, &mut channel, now, &message);
            }
            6 => {
                let signed = signer.sign(Kind::Delta, &String::from_utf8_lossy(text()));
                let message = CoordinatorMessage::Delta(signed).to_json();
                hear(&mut client, &mut channel, now, &message);
            }
            _ => {
                let message = CoordinatorMessage::Registered(Registered {
                    node: NodeId(1),
                    name: "a".to_owned(),
                    map_key: signer.map_key(),
                });
                hear(&mut client, &mut channel, now, &message.to_json());
            }
        }
        if what % 8 < 5 {
            assert_eq!(client.map().version, version);
        }
        let mut said = 0;
        while let Some(frame) = client.poll_transmit() {
            said += 1;
            // The first message of a connection; all others are sealed.
            if frame.starts_with(b"mesh")
                && let Ok(accepted) = accept(&coordinator, ephemeral(4), &frame)
            {
                client.handle_message(now, &accepted.answer);
                channel = Some(accepted.channel);
            }
        }
        while let Some(event) = client.poll_event() {
            said += 1;
            if event == Event::Close {
                channel = None;
            }
        }
        assert!(said <= 8);
        assert!(client.poll_timeout().0 <= now + Duration::from_secs(6_000_000_000));
    }
}

fn hear(client: &mut Client, channel: &mut Option<Channel>, now: Instant, message: &[u8]) {
    for frame in channel.iter_mut().flat_map(|channel| channel.seal(message)) {
        client.handle_message(now, &frame);
    }
}

fn config(machine: &Arc<Identity>, coordinator: &Identity) -> Config {
    Config {
        machine: Arc::clone(machine),
        coordinator: *coordinator.public_key(),
        register: Register {
            auth_key: None,
            name: String::new(),
            node_key: PublicKey::new([9; 32]),
            host: HostInfo::default(),
            routes: Vec::new(),
            candidates: Vec::new(),
            home_relay: None,
            resume: None,
        },
        map_key: None,
        cached: None,
    }
}

fn identities() -> (Arc<Identity>, Arc<Identity>) {
    let identity = |seed| Arc::new(Identity::open(ephemeral(seed)));
    (identity(1), identity(2))
}

fn ephemeral(seed: u8) -> PrivateKey {
    PrivateKey::new([seed; 32])
}
