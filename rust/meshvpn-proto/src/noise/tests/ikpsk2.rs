//! The pattern beneath the handshake.

use std::sync::Arc;

use super::{Pair, bytes, cacophony, key};
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::noise::identity::Identity;
use crate::noise::ikpsk2::{HandshakeError, IkPsk2, LONGEST_MESSAGE, OVERHEADS, Secrets};
use crate::session::aead::{Aead, Portable, Seal, TAG_LEN};

#[test]
fn the_cacophony_vector_holds() {
    use cacophony::*;
    let identities = STATICS.map(|hex| Arc::new(Identity::open(PrivateKey::new(key(hex)))));
    let responder = PublicKey::new(key(RESPONDER));
    assert_eq!(*identities[1].public_key(), responder);
    let prologue = bytes(PROLOGUE);
    let mut sides = [
        IkPsk2::new(&identities[0], Some(responder), &prologue, Secrets::Hidden),
        IkPsk2::new(&identities[1], None, &prologue, Secrets::Hidden),
    ];
    for (side, ephemeral) in sides.iter_mut().zip(EPHEMERALS) {
        side.set_preshared(Some(&PresharedKey::new(key(PSK))));
        side.set_ephemeral(PrivateKey::new(key(ephemeral)));
    }
    for (number, (payload, message)) in MESSAGES[..2].iter().enumerate() {
        let (payload, message) = (bytes(payload), bytes(message));
        assert_eq!(sides[number].write(&payload).unwrap(), message);
        assert_eq!(sides[1 - number].read(&message).unwrap(), payload);
    }
    assert_eq!(sides[0].peer(), Some(responder));
    assert_eq!(sides[1].peer(), Some(*identities[0].public_key()));
    assert_eq!(sides[0].hash()[..], bytes(HASH));
    assert_eq!(sides[1].hash()[..], bytes(HASH));
    let keys = sides.each_mut().map(|side| side.split().unwrap());
    assert_eq!(keys.each_ref().map(|keys| *keys.send.expose()), {
        let [first, second] = keys.each_ref().map(|keys| *keys.receive.expose());
        [second, first]
    });
    for (number, (payload, message)) in MESSAGES[2..].iter().enumerate() {
        let plaintext = bytes(payload);
        let mut out = vec![0; plaintext.len() + TAG_LEN];
        Portable.seal(&mut [Seal {
            key: &keys[number % 2].send,
            counter: number as u64 / 2,
            plaintext: &plaintext,
            out: &mut out,
        }]);
        assert_eq!(out, bytes(message));
    }
}

/// Both sides, each with the ephemeral key for the message that it writes.
fn sides(pair: &Pair) -> [IkPsk2; 2] {
    let peer = *pair.responder.public_key();
    let initiator = IkPsk2::new(&pair.initiator, Some(peer), b"test", Secrets::Recorded);
    let responder = IkPsk2::new(&pair.responder, None, b"test", Secrets::Recorded);
    let mut sides = [initiator, responder];
    for (side, seed) in sides.iter_mut().zip([10, 20]) {
        side.set_ephemeral(PrivateKey::new([seed; 32]));
    }
    sides
}

#[test]
fn payloads_of_any_length_arrive_up_to_the_longest() {
    let pair = Pair::new();
    for len in [0, 1, 1000, LONGEST_MESSAGE - OVERHEADS[0]] {
        let [mut initiator, mut responder] = sides(&pair);
        let payload = vec![7; len];
        let message = initiator.write(&payload).unwrap();
        assert_eq!(message.len(), len + OVERHEADS[0]);
        assert_eq!(responder.read(&message).unwrap(), payload);
        let message = responder.write(&payload).unwrap();
        assert_eq!(message.len(), len + OVERHEADS[1]);
        assert_eq!(initiator.read(&message).unwrap(), payload);
        assert_eq!(initiator.hash(), responder.hash());
        assert_eq!(initiator.secrets(), responder.secrets());
    }
    let [mut initiator, _] = sides(&pair);
    let longer = vec![7; LONGEST_MESSAGE - OVERHEADS[0] + 1];
    assert_eq!(initiator.write(&longer), Err(HandshakeError::TooLong));
    assert!(initiator.write(&longer[1..]).is_ok(), "nothing was spoilt");
}

#[test]
fn messages_come_in_their_order_and_keys_once_at_the_end() {
    let pair = Pair::new();
    let early = Err(HandshakeError::OutOfOrder);
    let [mut initiator, mut responder] = sides(&pair);
    assert_eq!(initiator.read(&[0; 96]), early);
    assert_eq!(responder.write(b""), early);
    let message = initiator.write(b"").unwrap();
    assert_eq!(initiator.write(b""), early);
    let states = initiator.secrets();
    assert_eq!(states.len(), 8, "what was recorded is still there");
    responder.read(&message).unwrap();
    assert_eq!(responder.read(&message), early);
    assert_eq!(responder.split().unwrap_err(), HandshakeError::OutOfOrder);
    let message = responder.write(b"").unwrap();
    initiator.read(&message).unwrap();
    for side in [&mut initiator, &mut responder] {
        side.split().unwrap();
        assert_eq!(side.split().unwrap_err(), HandshakeError::OutOfOrder);
        assert_eq!(side.write(b""), early);
        assert_eq!(side.read(&message), early);
        assert_eq!(side.secrets().len(), 13);
    }
}

/// A responder that has refused messages, of strangers and others, still takes the right one.
#[test]
fn refused_messages_leave_no_trace() {
    let pair = Pair::new();
    let [mut initiator, mut responder] = sides(&pair);
    let message = initiator.write(b"hello").unwrap();
    let stranger = Arc::new(Identity::open(PrivateKey::new([3; 32])));
    let peer = *pair.responder.public_key();
    let mut theirs = IkPsk2::new(&stranger, Some(peer), b"test", Secrets::Hidden);
    theirs.set_ephemeral(PrivateKey::new([30; 32]));
    let theirs = theirs.write(b"hello").unwrap();
    assert_eq!(responder.read(&theirs), Err(HandshakeError::Stranger));
    for at in [0, 40, 90] {
        let mut changed = message.clone();
        changed[at] ^= 1;
        let refusal = Err(HandshakeError::NotAuthentic);
        assert_eq!(responder.read(&changed), refusal, "byte {at}");
    }
    for len in [0, 31, 79, 95] {
        let refusal = Err(HandshakeError::NotAuthentic);
        assert_eq!(responder.read(&message[..len]), refusal, "{len} bytes");
    }
    assert_eq!(responder.read(&message).unwrap(), b"hello");
    assert_eq!(responder.secrets(), initiator.secrets());
}

#[test]
fn another_prologue_is_noticed() {
    let pair = Pair::new();
    let [mut initiator, _] = sides(&pair);
    let message = initiator.write(b"").unwrap();
    let mut other = IkPsk2::new(&pair.responder, None, b"tset", Secrets::Hidden);
    assert_eq!(other.read(&message), Err(HandshakeError::NotAuthentic));
}
