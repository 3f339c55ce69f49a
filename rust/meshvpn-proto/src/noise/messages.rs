//! The handshake's messages, as they travel (whitepaper, sections 5.4.2, 5.4.3 and 5.4.7).
//!
//! ```text
//! initiation, 148 bytes
//! 0        1           4        8             40                     88            116    132    148
//! | 1      | 0  0  0   | sender | ephemeral   | static, sealed       | timestamp,  | mac1 | mac2 |
//! |        |           |        | (public)    | (32 + 16)            | sealed (28) |      |      |
//!
//! response, 92 bytes
//! 0        1           4        8          12            44              60     76     92
//! | 2      | 0  0  0   | sender | receiver | ephemeral   | nothing,      | mac1 | mac2 |
//! |        |           |        |          | (public)    | sealed (16)   |      |      |
//!
//! cookie reply, 64 bytes
//! 0        1           4          8             32                      64
//! | 3      | 0  0  0   | receiver | nonce       | cookie, sealed (32)   |
//! ```
//!
//! All numbers are little-endian. The part between the indices and mac1 is one Noise message.
//!
//! A value of these types has the right length, type and reserved bytes; whether it is authentic, only
//! the handshake can say.

use core::ops::Range;

/// First byte of an initiation.
pub const INITIATION: u8 = 1;
/// First byte of a response.
pub const RESPONSE: u8 = 2;
/// First byte of a cookie reply.
pub const COOKIE_REPLY: u8 = 3;

/// Bytes of an initiation.
pub const INITIATION_LEN: usize = 148;
/// Bytes of a response.
pub const RESPONSE_LEN: usize = 92;
/// Bytes of a cookie reply.
pub const COOKIE_REPLY_LEN: usize = 64;
/// Bytes of mac1 and of mac2.
pub const MAC_LEN: usize = 16;

const SENDER: usize = 4;
/// In a response; a cookie reply has it where the others have their sender.
const RECEIVER: usize = 8;
const INITIATION_NOISE: Range<usize> = 8..116;
const RESPONSE_NOISE: Range<usize> = 12..60;
const NONCE: Range<usize> = 8..32;
const SEALED_COOKIE: Range<usize> = 32..COOKIE_REPLY_LEN;

const _: () = {
    assert!(INITIATION_NOISE.end + 2 * MAC_LEN == INITIATION_LEN);
    assert!(RESPONSE_NOISE.end + 2 * MAC_LEN == RESPONSE_LEN);
    // Ephemeral, sealed static key, sealed timestamp of 12 bytes; ephemeral, sealed nothing.
    assert!(INITIATION_NOISE.end - INITIATION_NOISE.start == 32 + (32 + 16) + (12 + 16));
    assert!(RESPONSE_NOISE.end - RESPONSE_NOISE.start == 32 + 16);
};

macro_rules! message {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $len:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Takes a datagram; `None` when it is something else.
            pub fn parse(datagram: &[u8]) -> Option<Self> {
                let bytes: [u8; $len] = datagram.try_into().ok()?;
                (bytes[..4] == [$kind, 0, 0, 0]).then_some(Self(bytes))
            }

            /// The datagram.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            fn empty() -> Self {
                let mut bytes = [0; $len];
                bytes[0] = $kind;
                Self(bytes)
            }

            fn number(&self, at: usize) -> u32 {
                let [a, b, c, d] = [at, at + 1, at + 2, at + 3].map(|at| self.0[at]);
                u32::from_le_bytes([a, b, c, d])
            }

            fn field<const LEN: usize>(&self, at: usize) -> &[u8; LEN] {
                self.0[at..].first_chunk().expect("a field lies within its message")
            }
        }
    };
}

message! {
    /// "This is who I am, and when": the first message.
    Initiation, INITIATION, INITIATION_LEN
}
message! {
    /// "And these are our keys": the second message.
    Response, RESPONSE, RESPONSE_LEN
}
message! {
    /// "I am busy; show me that you are where you say": instead of a second message.
    CookieReply, COOKIE_REPLY, COOKIE_REPLY_LEN
}

impl Initiation {
    /// Bytes of the Noise message in it.
    pub const NOISE_LEN: usize = INITIATION_NOISE.end - INITIATION_NOISE.start;

    /// A message whose MACs are still zero.
    pub fn new(sender: u32, noise: &[u8; Self::NOISE_LEN]) -> Self {
        let mut message = Self::empty();
        message.0[SENDER..8].copy_from_slice(&sender.to_le_bytes());
        message.0[INITIATION_NOISE].copy_from_slice(noise);
        message
    }

    /// By this number the response names the handshake to the initiator.
    pub fn sender(&self) -> u32 {
        self.number(SENDER)
    }

    /// The Noise message.
    pub fn noise(&self) -> &[u8; Self::NOISE_LEN] {
        self.field(INITIATION_NOISE.start)
    }

    /// The initiator's ephemeral public key.
    pub fn ephemeral(&self) -> &[u8; 32] {
        self.field(8)
    }

    /// The initiator's static public key, sealed for the responder.
    pub fn sealed_static(&self) -> &[u8; 48] {
        self.field(40)
    }

    /// When it was made, sealed.
    pub fn sealed_timestamp(&self) -> &[u8; 28] {
        self.field(88)
    }
}

impl Response {
    /// Bytes of the Noise message in it.
    pub const NOISE_LEN: usize = RESPONSE_NOISE.end - RESPONSE_NOISE.start;

    /// A message whose MACs are still zero.
    pub fn new(sender: u32, receiver: u32, noise: &[u8; Self::NOISE_LEN]) -> Self {
        let mut message = Self::empty();
        message.0[SENDER..8].copy_from_slice(&sender.to_le_bytes());
        message.0[RECEIVER..12].copy_from_slice(&receiver.to_le_bytes());
        message.0[RESPONSE_NOISE].copy_from_slice(noise);
        message
    }

    /// By this number the initiator's data messages name the session to the responder.
    pub fn sender(&self) -> u32 {
        self.number(SENDER)
    }

    /// The initiator's number for the handshake, and for the session that comes of it.
    pub fn receiver(&self) -> u32 {
        self.number(RECEIVER)
    }

    /// The Noise message.
    pub fn noise(&self) -> &[u8; Self::NOISE_LEN] {
        self.field(RESPONSE_NOISE.start)
    }

    /// The responder's ephemeral public key.
    pub fn ephemeral(&self) -> &[u8; 32] {
        self.field(12)
    }

    /// Nothing, sealed: proof that the responder has the same keys.
    pub fn sealed_nothing(&self) -> &[u8; 16] {
        self.field(44)
    }
}

impl CookieReply {
    /// A cookie, sealed, for the sender of the message that was numbered `receiver`.
    pub fn new(receiver: u32, nonce: &[u8; 24], sealed: &[u8; 32]) -> Self {
        let mut message = Self::empty();
        message.0[SENDER..8].copy_from_slice(&receiver.to_le_bytes());
        message.0[NONCE].copy_from_slice(nonce);
        message.0[SEALED_COOKIE].copy_from_slice(sealed);
        message
    }

    /// The number of the handshake that it answers.
    pub fn receiver(&self) -> u32 {
        self.number(SENDER)
    }

    /// The XChaCha20-Poly1305 nonce: random.
    pub fn nonce(&self) -> &[u8; 24] {
        self.field(NONCE.start)
    }

    /// The cookie of 16 bytes, sealed.
    pub fn sealed_cookie(&self) -> &[u8; 32] {
        self.field(SEALED_COOKIE.start)
    }
}

/// A message that ends with mac1 and mac2.
pub trait Authenticated {
    /// The whole message.
    fn bytes(&self) -> &[u8];

    /// The whole message, for [`cookie`](super::cookie) to write the MACs at its end.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// The sender's number for its handshake.
    fn sender(&self) -> u32;

    /// What mac1 authenticates, mac1, and mac2.
    fn parts(&self) -> (&[u8], &[u8; MAC_LEN], &[u8; MAC_LEN]) {
        let (rest, mac2) = split_mac(self.bytes());
        let (body, mac1) = split_mac(rest);
        (body, mac1, mac2)
    }
}

fn split_mac(bytes: &[u8]) -> (&[u8], &[u8; MAC_LEN]) {
    bytes
        .split_last_chunk()
        .expect("messages are longer than their MACs")
}

impl Authenticated for Initiation {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn sender(&self) -> u32 {
        Self::sender(self)
    }
}

impl Authenticated for Response {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn sender(&self) -> u32 {
        Self::sender(self)
    }
}
