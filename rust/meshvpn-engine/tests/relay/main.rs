//! Connections to a relay of ours: what passes, whom they believe, and that they come back.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

mod ends;
mod reconnecting;
mod throughput;
mod traffic;
mod trust;
