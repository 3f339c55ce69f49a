//! WireGuard devices on a bad network in virtual time: hours pass in milliseconds, and the same seed gives
//! the same bytes.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

#[path = "../virtual_time/chance.rs"]
mod chance;
mod flood;
mod handshakes;
mod net;
mod node;
mod peers;
mod refusals;
mod roaming;
mod secrets;
mod seeds;
mod storms;
mod timers;
