use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::keys::{PrivateKey, PublicKey};
use crate::noise::identity::Identity;

fn identity(seed: u8) -> Arc<Identity> {
    Arc::new(Identity::open(PrivateKey::new([seed; 32])))
}

fn pair() -> (Channel, Accepted) {
    let (node, coordinator) = (identity(1), identity(2));
    let (initiator, first) =
        Initiator::start(&node, *coordinator.public_key(), PrivateKey::new([3; 32])).unwrap();
    let accepted = accept(&coordinator, PrivateKey::new([4; 32]), &first).unwrap();
    let (channel, version) = initiator.finish(&accepted.answer).unwrap();
    assert_eq!(
        (version, accepted.version),
        (NEWEST_VERSION, NEWEST_VERSION)
    );
    assert_eq!(accepted.machine_key, *node.public_key());
    assert!(accepted.software.starts_with("meshvpn "));
    (channel, accepted)
}

fn carry(from: &mut Channel, to: &mut Channel, message: &[u8]) -> Result<Vec<u8>, ChannelError> {
    let mut whole = None;
    for frame in from.seal(message) {
        assert!(frame.len() <= LONGEST_FRAME && whole.is_none());
        whole = to.open(&frame)?;
    }
    Ok(whole.expect("the last piece completes it"))
}

#[test]
fn messages_of_every_length_arrive_whole() {
    let (mut node, mut accepted) = pair();
    for len in [0, 1, 65_518, 65_519, 131_036, 131_037, 200_000] {
        let message: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        assert_eq!(
            carry(&mut node, &mut accepted.channel, &message).as_ref(),
            Ok(&message)
        );
        assert_eq!(
            carry(&mut accepted.channel, &mut node, &message),
            Ok(message)
        );
    }
}

#[test]
fn a_node_cannot_fill_the_coordinators_memory() {
    let (mut node, mut accepted) = pair();
    let message = vec![0; LONGEST_FROM_NODE + 1];
    let error = carry(&mut node, &mut accepted.channel, &message);
    assert_eq!(error, Err(ChannelError::MessageTooLong(LONGEST_FROM_NODE)));
    let frame = vec![0; LONGEST_FRAME + 1];
    let error = accepted.channel.open(&frame);
    assert_eq!(error, Err(ChannelError::FrameTooLong(LONGEST_FRAME + 1)));
}

#[test]
fn what_is_lost_repeated_or_changed_is_noticed() {
    let (mut node, mut accepted) = pair();
    let frames: Vec<_> = (0..3).flat_map(|number| node.seal(&[number])).collect();
    assert_eq!(accepted.channel.open(&frames[0]), Ok(Some(vec![0])));
    for wrong in [&frames[0], &frames[2]] {
        let error = accepted.channel.open(wrong);
        assert_eq!(error, Err(ChannelError::NotAuthentic));
    }
    let mut changed = frames[1].clone();
    changed[0] ^= 1;
    assert_eq!(
        accepted.channel.open(&changed),
        Err(ChannelError::NotAuthentic)
    );
    assert_eq!(accepted.channel.open(&[]), Err(ChannelError::NotAuthentic));
}

#[test]
fn another_coordinator_cannot_answer() {
    let (node, coordinator, other) = (identity(1), identity(2), identity(5));
    let start =
        || Initiator::start(&node, *coordinator.public_key(), PrivateKey::new([3; 32])).unwrap();
    let (initiator, first) = start();
    let (error, answer) = accept(&other, PrivateKey::new([4; 32]), &first).unwrap_err();
    assert_eq!(error, ChannelError::NotAuthentic);
    let error = initiator.finish(&answer).unwrap_err();
    assert!(matches!(error, ChannelError::Refused(text) if text.contains("not authentic")));
    // An answer to another beginning is none to this one.
    let (initiator, _) = start();
    let elsewhere = Initiator::start(&node, *coordinator.public_key(), PrivateKey::new([6; 32]));
    let accepted = accept(
        &coordinator,
        PrivateKey::new([4; 32]),
        &elsewhere.unwrap().1,
    )
    .unwrap();
    let error = initiator.finish(&accepted.answer).unwrap_err();
    assert_eq!(error, ChannelError::NotAuthentic);
}

#[test]
fn versions_that_do_not_meet_are_told_so() {
    let (node, coordinator) = (identity(1), identity(2));
    let (_, first) =
        Initiator::start(&node, *coordinator.public_key(), PrivateKey::new([3; 32])).unwrap();
    for (newest, oldest) in [(0u16, 0u16), (9, 8)] {
        let mut first = first.clone();
        first[4..6].copy_from_slice(&newest.to_be_bytes());
        first[6..8].copy_from_slice(&oldest.to_be_bytes());
        let (error, answer) = accept(&coordinator, PrivateKey::new([4; 32]), &first).unwrap_err();
        assert_eq!(error, ChannelError::Version { oldest, newest });
        assert!(String::from_utf8_lossy(&answer).contains("update the older"));
    }
    // A node that speaks newer versions as well is understood, but nobody on the way can claim that it does.
    let mut first = first;
    first[5] = 9;
    let (error, _) = accept(&coordinator, PrivateKey::new([4; 32]), &first).unwrap_err();
    assert_eq!(error, ChannelError::NotAuthentic);
}

#[test]
fn a_refusal_from_anyone_is_fit_for_a_log_line() {
    let node = identity(1);
    let coordinator = *identity(2).public_key();
    let (initiator, _) = Initiator::start(&node, coordinator, PrivateKey::new([3; 32])).unwrap();
    let answer = [b"mesh\0\0\0\0".as_slice(), b"no\n\x1b[31m", &[0xff; 9000]].concat();
    let ChannelError::Refused(text) = initiator.finish(&answer).unwrap_err() else {
        panic!("a refusal");
    };
    assert!(text.starts_with("no[31m") && text.chars().count() == 300);
}

#[test]
fn a_worthless_key_is_refused() {
    let error = Initiator::start(
        &identity(1),
        PublicKey::new([0; 32]),
        PrivateKey::new([3; 32]),
    );
    assert_eq!(error.unwrap_err(), ChannelError::NotAuthentic);
}

proptest! {
    #[test]
    fn no_bytes_confuse_either_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let ephemeral = PrivateKey::new([4; 32]);
        prop_assert!(accept(&identity(2), ephemeral.clone(), &bytes).is_err());
        let framed = [&b"mesh\0\x01\0\x01"[..], &bytes].concat();
        prop_assert!(accept(&identity(2), ephemeral.clone(), &framed).is_err());
        let coordinator = *identity(2).public_key();
        let (initiator, _) = Initiator::start(&identity(1), coordinator, ephemeral).unwrap();
        prop_assert!(initiator.finish(&framed).is_err());
    }
}
