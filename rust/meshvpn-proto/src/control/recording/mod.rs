//! A conversation recorded with version 1 of the protocol, which every later version must still understand.
//!
//! `v1.txt` has a frame a line: who sent it, and its bytes in hex. It was made with the keys below. Never
//! make it anew: a change that this test does not survive is one that needs a new version of the protocol.

use std::sync::Arc;

use super::channel::{Initiator, accept};
use super::delta::Delta;
use super::map::NodeId;
use super::messages::{CoordinatorMessage, Incoming, NodeMessage, Reason};
use super::signature::{Kind, Signer};
use super::view::View;
use crate::keys::{PrivateKey, PublicKey};
use crate::noise::identity::Identity;

const RECORDING: &str = include_str!("v1.txt");
/// What the program called itself then.
const SOFTWARE: &str = "meshvpn 0.1.0";
const MACHINE: u8 = 1;
const COORDINATOR: u8 = 2;
const NODE_EPHEMERAL: u8 = 3;
const COORDINATOR_EPHEMERAL: u8 = 4;
const SIGNER: [u8; 32] = [5; 32];

fn frames(from: &str) -> Vec<Vec<u8>> {
    let lines = RECORDING.lines().filter_map(|line| line.split_once(' '));
    let frames = lines.filter(|(sender, _)| *sender == from);
    frames
        .map(|(_, hex)| base16ct::lower::decode_vec(hex).unwrap())
        .collect()
}

fn identity(seed: u8) -> Arc<Identity> {
    Arc::new(Identity::open(PrivateKey::new([seed; 32])))
}

#[test]
fn a_coordinator_of_today_understands_a_node_of_version_1() {
    let frames = frames("node");
    let ephemeral = PrivateKey::new([COORDINATOR_EPHEMERAL; 32]);
    let mut accepted = accept(&identity(COORDINATOR), ephemeral, &frames[0]).unwrap();
    assert_eq!(accepted.version, 1);
    assert_eq!(accepted.machine_key, *identity(MACHINE).public_key());
    let messages = frames[1..].iter().map(|frame| {
        let message = accepted.channel.open(frame).unwrap().unwrap();
        NodeMessage::parse(&message).unwrap()
    });
    let messages: Vec<_> = messages.collect();
    let [
        NodeMessage::Register(register),
        NodeMessage::Update(update),
        NodeMessage::Rotate(rotate),
        NodeMessage::Signal { to, candidates },
        NodeMessage::Map,
        NodeMessage::Ping(7),
        NodeMessage::Leave,
    ] = &messages[..]
    else {
        panic!("{messages:?}");
    };
    assert!(register.auth_key.is_some());
    assert_eq!(
        (register.name.as_str(), register.routes.len()),
        ("laptop", 1)
    );
    assert_eq!(
        (register.host.os.as_str(), register.resume),
        ("Linux 6.12", Some(3))
    );
    assert_eq!(update.candidates.as_ref().map(Vec::len), Some(2));
    assert_eq!(update.home_relay, Some(None));
    assert_eq!(rotate.node_key, PublicKey::new([8; 32]));
    assert_eq!((*to, candidates.len()), (NodeId(2), 1));
}

#[test]
fn a_node_of_today_understands_a_coordinator_of_version_1() {
    let frames = frames("coordinator");
    let coordinator = *identity(COORDINATOR).public_key();
    let ephemeral = PrivateKey::new([NODE_EPHEMERAL; 32]);
    let started = Initiator::start_as(SOFTWARE, &identity(MACHINE), coordinator, ephemeral);
    let (mut channel, version) = started.unwrap().0.finish(&frames[0]).unwrap();
    assert_eq!(version, 1);
    let messages = frames[1..].iter().map(|frame| {
        let message = channel.open(frame).unwrap().unwrap();
        match CoordinatorMessage::parse(&message).unwrap() {
            Incoming::Known(message) => message,
            Incoming::Unknown(kind) => panic!("{kind}"),
        }
    });
    let messages: Vec<_> = messages.collect();
    let [
        CoordinatorMessage::Pending(_),
        CoordinatorMessage::Registered(registered),
        CoordinatorMessage::Map(map),
        CoordinatorMessage::Delta(delta),
        CoordinatorMessage::Signal { from, .. },
        CoordinatorMessage::Pong(7),
        CoordinatorMessage::Refused(refusal),
    ] = &messages[..]
    else {
        panic!("{messages:?}");
    };
    let key = Signer::new(&SIGNER).map_key();
    assert_eq!((registered.map_key, registered.node), (key, NodeId(1)));
    let view: View = map.open(Kind::View, &key).unwrap();
    assert_eq!(
        (view.version, view.nodes.len(), view.relays.len()),
        (4, 2, 1)
    );
    assert!(view.allow_all && view.nodes[&NodeId(2)].is_static);
    let delta: Delta = delta.open(Kind::Delta, &key).unwrap();
    let mut map = view.into_map(NodeId(1));
    assert!(delta.apply(&mut map, NodeId(1)));
    assert_eq!((map.version, map.peers.len()), (6, 1));
    assert_eq!(map.peers[&NodeId(3)].name, "phone");
    assert_eq!(*from, NodeId(3));
    assert_eq!(
        (refusal.reason, refusal.retry_after),
        (Reason::TooManyAttempts, Some(30))
    );
}
