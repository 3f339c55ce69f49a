//! WireGuard's handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, and what WireGuard puts around it.
//!
//! | module | holds |
//! |---|---|
//! | [`messages`] | the three messages, byte for byte |
//! | [`identity`] | our static key, and what is computed with it once a peer |
//! | [`handshake`] | initiator and responder: a message a call, session keys at the end |
//! | [`ikpsk2`] | the Noise pattern beneath, with any prologue and payloads |
//! | [`layout`] | where each field of a message lies, for people |
//! | `ik` | the same without a pre-shared key, with any payloads: what the control channel begins with |
//! | [`reveal`] | hash and chaining key after each token, for learning and tests |
//! | [`cookie`] | mac1, mac2, and the cookies that a busy device asks for |
//! | [`tai64n`] | the timestamp that makes an old initiation worthless |
//! | `entropy` | ephemeral keys from a seed |
//! | `resolver`, `vault`, `primitives` | what snow computes with, and the secrets it must not keep |
//!
//! ```text
//! initiator                                       responder
//!     ── e, es, s, ss, {timestamp} ── mac1 ──►    knows who; forgets it all if the timestamp is old
//!     ◄── e, ee, se, psk, {} ──────── mac1 ───    has session keys
//! has session keys
//!     ── first data message ─────────────────►    may use them from now on
//! ```
//!
//! The Noise state machine is snow's. Snow copies chaining keys and pre-shared keys about and wipes
//! none of them, so it is given stand-ins: the true ones stay in a `vault` that does wipe, and our
//! primitives, through which each of them has to go, look them up there.
//!
//! Sources: WireGuard whitepaper, sections 5.4.2 to 5.4.7; Noise specification, revision 34.

pub mod cookie;
pub(crate) mod entropy;
pub mod handshake;
pub mod identity;
pub(crate) mod ik;
pub mod ikpsk2;
pub mod layout;
pub mod messages;
mod primitives;
mod resolver;
pub mod reveal;
pub mod tai64n;
#[cfg(test)]
mod tests;
mod vault;

/// WireGuard's name for this construction and its version: what Noise calls the prologue.
pub const PROLOGUE: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";
/// What Noise calls the construction.
pub const CONSTRUCTION: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
