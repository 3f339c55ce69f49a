//! The machines that decide, in virtual time: hours pass in milliseconds, and the same seed gives
//! the same course of events.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

mod chance;
mod narrow_path;
mod path_mtu;
mod restarts;
mod wire;
