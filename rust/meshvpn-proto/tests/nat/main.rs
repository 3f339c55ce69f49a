//! STUN: published messages, client and server in virtual time. What NATs do with them is tested in the
//! simulator.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

#[path = "../virtual_time/chance.rs"]
#[expect(dead_code, reason = "only time is needed here")]
mod chance;
mod client;
mod seeds;
mod server;
mod vectors;
