//! mac1, mac2 and cookies: what keeps a flood of handshakes cheap (whitepaper, sections 5.3 and 5.4.4).
//!
//! Every handshake message ends with two MACs. *mac1* is keyed with the receiver's public key: whoever
//! does not know that is not even answered. *mac2* is zero, until the receiver is under load: then it
//! answers with a *cookie*, a MAC over the sender's address and port under a secret that changes every
//! two minutes, and does no work for the sender until a message carries a mac2 made with it. So only
//! who receives at its address gets that far, and the receiver had to remember nothing.
//!
//! The cookie travels sealed under the responder's public key, with the mac1 of the message that it
//! answers as additional data: only who saw that message can make a sender believe in a cookie.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::time::Instant;

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::messages::{Authenticated, CookieReply, MAC_LEN};
use super::primitives::{Secret, hash, mac};
use crate::keys::PublicKey;

/// How long a cookie secret is used, and so the longest that a cookie is good for.
pub const COOKIE_LIFETIME: Duration = Duration::from_secs(120);
/// A cookie is not used in its last seconds: the message with it has to arrive in time.
const COOKIE_MARGIN: Duration = Duration::from_secs(5);

const MAC1_LABEL: &[u8] = b"mac1----";
const COOKIE_LABEL: &[u8] = b"cookie--";
const NO_MAC: [u8; MAC_LEN] = [0; MAC_LEN];

/// The two keys that follow from a receiver's public key, and are as public as that.
#[derive(Debug, Clone)]
pub struct ReceiverKeys {
    mac1: [u8; 32],
    cookie: [u8; 32],
}

impl ReceiverKeys {
    /// For messages to the owner of this public key.
    pub fn new(receiver: &PublicKey) -> Self {
        Self {
            mac1: hash(&[MAC1_LABEL, receiver.as_bytes()]),
            cookie: hash(&[COOKIE_LABEL, receiver.as_bytes()]),
        }
    }

    /// Whether the sender knew the receiver's public key.
    pub fn has_valid_mac1(&self, message: &(impl Authenticated + ?Sized)) -> bool {
        let (body, mac1, _) = message.parts();
        mac(&self.mac1, &[body]).ct_eq(mac1).into()
    }

    /// Writes mac1; then mac2, which is zero without a cookie. Returns mac1.
    pub fn stamp(
        &self,
        cookie: Option<&Cookie>,
        message: &mut (impl Authenticated + ?Sized),
    ) -> [u8; MAC_LEN] {
        let (body, ..) = message.parts();
        let mac1 = mac(&self.mac1, &[body]);
        let mac2 = cookie.map_or(NO_MAC, |cookie| mac(&*cookie.0, &[body, &mac1]));
        let bytes = message.bytes_mut();
        let macs = bytes.len() - 2 * MAC_LEN;
        bytes[macs..macs + MAC_LEN].copy_from_slice(&mac1);
        bytes[macs + MAC_LEN..].copy_from_slice(&mac2);
        mac1
    }

    /// The receiver's answer: a cookie, sealed for the sender of `message`. `nonce` must be random.
    pub fn seal(
        &self,
        cookie: &Cookie,
        nonce: &[u8; 24],
        message: &(impl Authenticated + ?Sized),
    ) -> CookieReply {
        let mut sealed = [0; MAC_LEN * 2];
        let (text, room) = sealed.split_at_mut(MAC_LEN);
        text.copy_from_slice(&*cookie.0);
        let (_, mac1, _) = message.parts();
        let tag = XChaCha20Poly1305::new((&self.cookie).into())
            .encrypt_in_place_detached(XNonce::from_slice(nonce), mac1, text)
            .expect("a cookie is far below the cipher's limit of 256 GiB");
        room.copy_from_slice(&tag);
        CookieReply::new(message.sender(), nonce, &sealed)
    }

    /// The cookie that answers the message with this mac1; `None` when the reply does not.
    pub fn open(&self, reply: &CookieReply, mac1: &[u8; MAC_LEN]) -> Option<Cookie> {
        let (sealed, tag) = reply.sealed_cookie().split_at(MAC_LEN);
        let mut cookie = Zeroizing::new(NO_MAC);
        cookie.copy_from_slice(sealed);
        XChaCha20Poly1305::new((&self.cookie).into())
            .decrypt_in_place_detached(
                XNonce::from_slice(reply.nonce()),
                mac1,
                &mut *cookie,
                Tag::from_slice(tag),
            )
            .is_ok()
            .then_some(Cookie(cookie))
    }
}

/// 16 bytes that say: you receive at this address. Wiped on drop; never shown.
#[derive(Clone)]
pub struct Cookie(Zeroizing<[u8; MAC_LEN]>);

impl Cookie {
    /// Takes the cookie's bytes. The caller wipes its own copy.
    pub fn new(bytes: [u8; MAC_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What a receiver with this secret gives to who sends from `source`.
    pub fn for_source(secret: &[u8; 32], source: SocketAddr) -> Self {
        let port = source.port().to_be_bytes();
        // A socket for both versions shows IPv4 as mapped addresses; another one may see the next message.
        Self::new(match source.ip().to_canonical() {
            IpAddr::V4(address) => mac(secret, &[&address.octets(), &port]),
            IpAddr::V6(address) => mac(secret, &[&address.octets(), &port]),
        })
    }

    /// The raw cookie.
    pub fn expose(&self) -> &[u8; MAC_LEN] {
        &self.0
    }

    /// Whether the sender has this cookie.
    pub fn has_valid_mac2(&self, message: &(impl Authenticated + ?Sized)) -> bool {
        let (body, mac1, mac2) = message.parts();
        mac(&*self.0, &[body, mac1]).ct_eq(mac2).into()
    }
}

impl core::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Cookie(secret)")
    }
}

/// The receiver's side: checks MACs and hands out cookies.
pub struct Checker {
    keys: ReceiverKeys,
    secret: Option<(Secret, Instant)>,
}

impl Checker {
    /// For messages to the owner of this public key.
    pub fn new(own: &PublicKey) -> Self {
        Self {
            keys: ReceiverKeys::new(own),
            secret: None,
        }
    }

    /// Whether the sender knew our public key.
    pub fn has_valid_mac1(&self, message: &impl Authenticated) -> bool {
        self.keys.has_valid_mac1(message)
    }

    /// Whether the sender receives at `source`: it used a cookie that we gave out for that address.
    pub fn has_valid_mac2(
        &self,
        now: Instant,
        message: &impl Authenticated,
        source: SocketAddr,
    ) -> bool {
        let secret = self.secret.as_ref();
        let secret = secret.filter(|(_, made)| is_fresh(now, *made));
        secret.is_some_and(|(secret, _)| Cookie::for_source(secret, source).has_valid_mac2(message))
    }

    /// A cookie for the sender of `message`. `random` is called for the nonce, and now and then for a new
    /// secret.
    pub fn reply(
        &mut self,
        now: Instant,
        message: &impl Authenticated,
        source: SocketAddr,
        mut random: impl FnMut() -> Zeroizing<[u8; 32]>,
    ) -> CookieReply {
        let current = self.secret.take().filter(|(_, made)| is_fresh(now, *made));
        let (secret, made) = current.unwrap_or_else(|| (random(), now));
        let cookie = Cookie::for_source(&secret, source);
        self.secret = Some((secret, made));
        let random = random();
        let nonce = random.first_chunk().expect("24 bytes of 32");
        self.keys.seal(&cookie, nonce, message)
    }
}

impl core::fmt::Debug for Checker {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Checker(secret)")
    }
}

/// The sender's side: writes the MACs of messages to one peer, with its cookie when it sent one.
#[derive(Debug)]
pub struct Stamper {
    keys: ReceiverKeys,
    cookie: Option<(Cookie, Instant)>,
    /// Of the last message: what a cookie reply must refer to.
    last_mac1: Option<[u8; MAC_LEN]>,
}

impl Stamper {
    /// For messages to the owner of this public key.
    pub fn new(receiver: &PublicKey) -> Self {
        Self {
            keys: ReceiverKeys::new(receiver),
            cookie: None,
            last_mac1: None,
        }
    }

    /// Writes both MACs.
    pub fn stamp(&mut self, now: Instant, message: &mut impl Authenticated) {
        self.cookie.take_if(|(_, received)| {
            now.saturating_duration_since(*received) >= COOKIE_LIFETIME - COOKIE_MARGIN
        });
        let cookie = self.cookie.as_ref().map(|(cookie, _)| cookie);
        self.last_mac1 = Some(self.keys.stamp(cookie, message));
    }

    /// Takes a cookie that answers our last message; false when it does not.
    pub fn take_cookie(&mut self, now: Instant, reply: &CookieReply) -> bool {
        let mac1 = self.last_mac1.as_ref();
        let Some(cookie) = mac1.and_then(|mac1| self.keys.open(reply, mac1)) else {
            return false;
        };
        self.cookie = Some((cookie, now));
        // One cookie a message: whoever recorded the reply cannot bring it back later.
        self.last_mac1 = None;
        true
    }
}

fn is_fresh(now: Instant, made: Instant) -> bool {
    now.saturating_duration_since(made) < COOKIE_LIFETIME
}
