//! Sessions: how two peers turn a secret into keys, and keys into datagrams.
//!
//! | module | holds |
//! |---|---|
//! | [`aead`] | the seam to ChaCha20-Poly1305 |
//! | [`transport`] | a session's keys and counters, and the data message |
//! | [`single`] | one data message at a time, sealed or opened |
//! | [`replay`] | the replay window |
//! | [`preshared`] | the handshake that needs nothing but a shared key |

pub mod aead;
pub mod preshared;
pub mod replay;
pub mod single;
pub mod transport;
