//! WireGuard's handshake by hand, for `meshvpn.noise`.
//!
//! | module | holds |
//! |---|---|
//! | [`handshake`] | initiator and responder, and the Noise pattern beneath them |
//! | [`messages`] | what bytes are a message, and where its fields lie |
//! | [`cookie`] | mac1, mac2 and cookies |
//! | [`tai64n`] | timestamps |
//! | [`transport`] | data messages, one at a time |

pub(crate) mod cookie;
pub(crate) mod handshake;
pub(crate) mod messages;
pub(crate) mod tai64n;
pub(crate) mod transport;
