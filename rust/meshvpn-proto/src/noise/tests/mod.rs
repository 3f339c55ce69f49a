//! Published vectors, and what must fail.

mod cacophony;
mod cookies;
mod ikpsk2;

use std::sync::Arc;
use std::time::Duration;

use super::handshake::{HandshakeError, Initiator, Responder, SessionKeys};
use super::identity::Identity;
use super::messages::{Authenticated, Initiation, Response};
use super::reveal::{Token, TokenState};
use super::tai64n::Tai64n;
use crate::keys::{PresharedKey, PrivateKey, PublicKey};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn key(hex: &str) -> [u8; 32] {
    bytes(hex).try_into().unwrap()
}

/// Two identities that know each other.
struct Pair {
    initiator: Arc<Identity>,
    responder: Arc<Identity>,
}

impl Pair {
    fn new() -> Self {
        let [initiator, responder] = [1, 2].map(|seed| Identity::new(PrivateKey::new([seed; 32])));
        initiator.learn(*responder.public_key());
        responder.learn(*initiator.public_key());
        Self {
            initiator: Arc::new(initiator),
            responder: Arc::new(responder),
        }
    }

    fn begin(&self, preshared: Option<&PresharedKey>, seed: u8) -> (Initiator, Initiation) {
        let ephemeral = PrivateKey::new([seed; 32]);
        let peer = *self.responder.public_key();
        let mut initiator = Initiator::new(&self.initiator, peer, preshared, ephemeral).unwrap();
        let initiation = initiator.initiate(5, &stamp()).unwrap();
        (initiator, initiation)
    }

    fn answer(
        &self,
        initiation: &Initiation,
        preshared: Option<&PresharedKey>,
        seed: u8,
    ) -> (Response, SessionKeys) {
        let mut responder = Responder::read(&self.responder, initiation).unwrap();
        assert_eq!(responder.initiator(), self.initiator.public_key());
        assert_eq!(responder.timestamp(), &stamp());
        let ephemeral = PrivateKey::new([seed; 32]);
        responder.answer(6, preshared, ephemeral).unwrap()
    }
}

fn stamp() -> Tai64n {
    Tai64n::after(None, Duration::from_secs(1_000_000))
}

fn shown(keys: &SessionKeys) -> [[u8; 32]; 2] {
    [&keys.send, &keys.receive].map(|key| *key.expose())
}

#[test]
fn both_sides_get_the_same_keys_and_other_ones_each_time() {
    let pair = Pair::new();
    let mut seen = Vec::new();
    for preshared in [None, Some(PresharedKey::new([9; 32]))] {
        for seeds in [[10, 20], [10, 21], [11, 20]] {
            let (mut initiator, initiation) = pair.begin(preshared.as_ref(), seeds[0]);
            let (response, theirs) = pair.answer(&initiation, preshared.as_ref(), seeds[1]);
            assert_eq!(
                (initiation.sender(), response.sender(), response.receiver()),
                (5, 6, 5)
            );
            let [send, receive] = shown(&initiator.finish(&response).unwrap());
            assert_eq!(shown(&theirs), [receive, send]);
            assert!(!seen.contains(&send) && !seen.contains(&receive) && send != receive);
            seen.extend([send, receive]);
        }
    }
}

#[test]
fn an_initiation_is_read_by_nobody_else() {
    let pair = Pair::new();
    let (_, initiation) = pair.begin(None, 10);
    let other = Arc::new(Identity::open(PrivateKey::new([3; 32])));
    let error = Responder::read(&other, &initiation).unwrap_err();
    assert_eq!(error, HandshakeError::NotAuthentic);
}

#[test]
fn a_stranger_is_refused_unless_all_are_welcome() {
    let pair = Pair::new();
    pair.responder.forget(pair.initiator.public_key());
    let (_, initiation) = pair.begin(None, 10);
    let error = Responder::read(&pair.responder, &initiation).unwrap_err();
    assert_eq!(error, HandshakeError::Stranger);
    let open = Arc::new(Identity::open(pair.responder.private_key().clone()));
    let responder = Responder::read(&open, &initiation).unwrap();
    assert_eq!(responder.initiator(), pair.initiator.public_key());
}

#[test]
fn nobody_initiates_to_a_peer_that_it_does_not_know() {
    let pair = Pair::new();
    let peer = PrivateKey::new([3; 32]).public_key();
    let mut initiator =
        Initiator::new(&pair.initiator, peer, None, PrivateKey::new([4; 32])).unwrap();
    let error = initiator.initiate(5, &stamp()).unwrap_err();
    assert_eq!(error, HandshakeError::Stranger);
}

#[test]
fn a_public_key_that_agrees_on_zero_is_refused() {
    let pair = Pair::new();
    let worthless = PublicKey::new([0; 32]);
    pair.initiator.learn(worthless);
    let ephemeral = PrivateKey::new([4; 32]);
    let mut initiator = Initiator::new(&pair.initiator, worthless, None, ephemeral).unwrap();
    let error = initiator.initiate(5, &stamp()).unwrap_err();
    assert_eq!(error, HandshakeError::NotAuthentic);
}

#[test]
fn any_changed_bit_is_noticed() {
    let pair = Pair::new();
    let (mut initiator, initiation) = pair.begin(None, 10);
    for at in 8..116 {
        let mut changed = initiation.clone();
        changed.bytes_mut()[at] ^= 1;
        assert!(
            Responder::read(&pair.responder, &changed).is_err(),
            "byte {at}"
        );
    }
    let (response, theirs) = pair.answer(&initiation, None, 20);
    for at in 12..60 {
        let mut changed = response.clone();
        changed.bytes_mut()[at] ^= 0x80 >> (at % 8);
        // X25519 ignores the highest bit of a public key; the hash does not.
        assert!(initiator.finish(&changed).is_err(), "byte {at}");
    }
    // After all those, the right one is still taken.
    let [send, receive] = shown(&initiator.finish(&response).unwrap());
    assert_eq!(shown(&theirs), [receive, send]);
    assert!(initiator.finish(&response).is_err(), "once is enough");
}

#[test]
fn a_wrong_preshared_key_is_noticed_by_the_initiator() {
    let pair = Pair::new();
    let keys = [
        None,
        Some(PresharedKey::new([8; 32])),
        Some(PresharedKey::new([9; 32])),
    ];
    for (mine, theirs) in [(0, 1), (1, 0), (1, 2)] {
        let (mut initiator, initiation) = pair.begin(keys[mine].as_ref(), 10);
        let (response, _) = pair.answer(&initiation, keys[theirs].as_ref(), 20);
        let error = initiator.finish(&response).unwrap_err();
        assert_eq!(error, HandshakeError::NotAuthentic);
    }
}

#[test]
fn keys_are_given_only_at_the_end_and_messages_only_once() {
    let pair = Pair::new();
    let (mut initiator, initiation) = pair.begin(None, 10);
    assert_eq!(
        initiator.initiate(5, &stamp()).unwrap_err(),
        HandshakeError::OutOfOrder
    );
    let mut responder = Responder::read(&pair.responder, &initiation).unwrap();
    responder
        .answer(6, None, PrivateKey::new([20; 32]))
        .unwrap();
    let again = responder.answer(6, None, PrivateKey::new([21; 32]));
    assert_eq!(again.unwrap_err(), HandshakeError::OutOfOrder);
}

/// What both sides saw is the same, ends in the keys, and is not spoilt by a wrong response.
#[test]
fn secrets_are_revealed_on_request() {
    let pair = Pair::new();
    let preshared = PresharedKey::new([9; 32]);
    let peer = *pair.responder.public_key();
    let ephemeral = PrivateKey::new([10; 32]);
    let mut initiator =
        Initiator::reveal_secrets(&pair.initiator, peer, Some(&preshared), ephemeral).unwrap();
    let initiation = initiator.initiate(5, &stamp()).unwrap();
    let mut responder = Responder::reveal_secrets(&pair.responder, &initiation).unwrap();
    assert_eq!(initiator.secrets(), responder.secrets());
    assert_eq!(initiator.secrets().len(), 8);
    let ephemeral = PrivateKey::new([20; 32]);
    let (response, keys) = responder.answer(6, Some(&preshared), ephemeral).unwrap();
    let mut wrong = response.clone();
    wrong.bytes_mut()[50] ^= 1;
    assert!(initiator.finish(&wrong).is_err());
    initiator.finish(&response).unwrap();
    let states = initiator.secrets();
    assert_eq!(states, responder.secrets());
    let tokens: Vec<_> = states.iter().map(|state| state.token).collect();
    use Token::*;
    let expected = [
        Name,
        Prologue,
        ResponderStatic,
        E,
        Es,
        S,
        Ss,
        Payload,
        E,
        Ee,
        Se,
        Psk,
        Payload,
    ];
    assert_eq!(tokens, expected);
    // Whitepaper, section 5.4.2: C := HASH(construction), H := HASH(C || identifier) …
    let name = "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36";
    let prologue = "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3";
    assert_eq!(states[0].hash, key(name));
    assert_eq!(*states[0].chaining_key, key(name));
    assert_eq!(states[1].hash, key(prologue));
    // … and in section 5.4.5: the keys are KDF2(C, nothing).
    let last: &TokenState = states.last().unwrap();
    let [to_responder, to_initiator, _] = super::primitives::kdf(&last.chaining_key, &[]);
    assert_eq!(shown(&keys), [*to_initiator, *to_responder]);
    assert_eq!(format!("{:?}", states[11]), "TokenState(psk, secret)");

    let (silent, _) = pair.begin(None, 10);
    assert!(silent.secrets().is_empty());
}

#[test]
fn messages_read_back() {
    let pair = Pair::new();
    let (_, initiation) = pair.begin(None, 10);
    assert_eq!(
        Initiation::parse(initiation.as_bytes()),
        Some(initiation.clone())
    );
    let fields = [
        &initiation.as_bytes()[..8],
        initiation.ephemeral(),
        initiation.sealed_static(),
        initiation.sealed_timestamp(),
        &[0; 32],
    ];
    assert_eq!(fields.concat(), initiation.as_bytes());
    let (response, _) = pair.answer(&initiation, None, 20);
    let fields = [
        &response.as_bytes()[..12],
        response.ephemeral(),
        response.sealed_nothing(),
        &[0; 32],
    ];
    assert_eq!(fields.concat(), response.as_bytes());
    for wrong in [
        &initiation.as_bytes()[..147],
        &[&initiation.as_bytes()[..], &[0]].concat(),
    ] {
        assert_eq!(Initiation::parse(wrong), None);
    }
    let mut reserved = initiation.clone();
    reserved.bytes_mut()[2] = 1;
    assert_eq!(Initiation::parse(reserved.as_bytes()), None);
    assert_eq!(Response::parse(initiation.as_bytes()), None);
}
