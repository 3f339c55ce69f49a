//! A relay on real sockets, and clients that speak to it frame by frame.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

mod attacks;
mod pages;
mod raw;
mod traffic;
mod verification;
