//! The batch forwarder from end to end, in memory: what goes into one TUN must come out of the other.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

mod corrupt_is_never_signed;
mod craft;
mod drop_reasons;
mod hostile_input;
mod join_keeps_order;
mod pipe;
mod seeds;
mod send_runs;
mod split_then_join;
mod too_big;
mod traffic;
