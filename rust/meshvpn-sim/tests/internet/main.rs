//! The simulated internet behaves as real ones do, and always the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

mod capture;
mod discovery;
mod faults;
mod nats;
mod puncher;
mod punching;
mod repeatable;
mod streams;
mod ways;
