//! Keys that people handle, as types: secrets are wiped on drop, compared in constant time, never shown.
//!
//! | type | what it is | written by people as |
//! |---|---|---|
//! | [`PrivateKey`] | a peer's identity, which it alone has (X25519) | base64, UAPI: hex |
//! | [`PublicKey`] | what others know that peer by; no secret | base64, UAPI: hex |
//! | [`PresharedKey`] | a secret that two peers share | base64, UAPI: hex |
//!
//! All three are 32 bytes: 44 characters of base64, the last of them `=`, or 64 of hex. Reading is
//! strict (no other alphabet, no blanks, no stray bits) and, like writing, takes the same time for every
//! key of the same length.

mod preshared;
mod text;
mod x25519;

#[cfg(test)]
mod tests;

pub use preshared::PresharedKey;
pub use text::{KeyDefect, KeyError, KeyKind};
pub use x25519::{PrivateKey, PublicKey};

/// Bytes of every key.
pub const KEY_LEN: usize = 32;
/// Characters of a key in base64.
pub const BASE64_LEN: usize = 44;
/// Characters of a key in hex.
pub const HEX_LEN: usize = 64;
