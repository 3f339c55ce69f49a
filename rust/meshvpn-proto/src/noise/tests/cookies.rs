//! MACs and cookies.

use std::time::Instant;

use super::Pair;
use crate::noise::cookie::{COOKIE_LIFETIME, Checker, Stamper};
use crate::noise::messages::{Authenticated, CookieReply};

#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
fn beginning() -> Instant {
    Instant::now()
}

fn random(seed: u8) -> impl FnMut() -> zeroize::Zeroizing<[u8; 32]> {
    let mut next = seed;
    move || {
        next += 1;
        zeroize::Zeroizing::new([next; 32])
    }
}

#[test]
fn a_cookie_proves_an_address_until_it_is_old() {
    let pair = Pair::new();
    let (_, mut initiation) = pair.begin(None, 10);
    let own = pair.responder.public_key();
    let (mut checker, mut stamper) = (Checker::new(own), Stamper::new(own));
    let now = beginning();
    let source = "192.0.2.1:1234".parse().unwrap();
    assert!(!checker.has_valid_mac1(&initiation));
    stamper.stamp(now, &mut initiation);
    assert!(checker.has_valid_mac1(&initiation));
    assert!(!checker.has_valid_mac2(now, &initiation, source));
    assert!(!Checker::new(pair.initiator.public_key()).has_valid_mac1(&initiation));

    let reply = checker.reply(now, &initiation, source, random(1));
    assert_eq!(reply.receiver(), initiation.sender());
    let mut forged = reply.as_bytes().to_vec();
    forged[40] ^= 1;
    assert!(!stamper.take_cookie(now, &CookieReply::parse(&forged).unwrap()));
    assert!(stamper.take_cookie(now, &reply));
    assert!(!stamper.take_cookie(now, &reply), "replayed");

    stamper.stamp(now, &mut initiation);
    assert!(checker.has_valid_mac2(now, &initiation, source));
    let mapped = "[::ffff:192.0.2.1]:1234".parse().unwrap();
    assert!(checker.has_valid_mac2(now, &initiation, mapped));
    for elsewhere in ["192.0.2.1:1235", "192.0.2.2:1234", "[2001:db8::1]:1234"] {
        let elsewhere = elsewhere.parse().unwrap();
        assert!(!checker.has_valid_mac2(now, &initiation, elsewhere));
    }
    let late = now + COOKIE_LIFETIME;
    assert!(!checker.has_valid_mac2(late, &initiation, source));
    stamper.stamp(late, &mut initiation);
    let (_, _, mac2) = initiation.parts();
    assert_eq!(*mac2, [0; 16], "an old cookie is not used");
}

#[test]
fn only_who_saw_the_message_can_send_a_cookie_for_it() {
    let pair = Pair::new();
    let own = pair.responder.public_key();
    let (mut checker, mut stamper) = (Checker::new(own), Stamper::new(own));
    let now = beginning();
    let source = "[2001:db8::1]:1234".parse().unwrap();
    let (_, mut first) = pair.begin(None, 10);
    stamper.stamp(now, &mut first);
    let reply = checker.reply(now, &first, source, random(1));
    let (_, mut second) = pair.begin(None, 11);
    stamper.stamp(now, &mut second);
    assert!(
        !stamper.take_cookie(now, &reply),
        "it answers the message before"
    );
    let reply = checker.reply(now, &second, source, random(7));
    assert!(stamper.take_cookie(now, &reply));
}
