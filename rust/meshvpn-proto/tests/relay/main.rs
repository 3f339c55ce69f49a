//! The relay's protocol: its frames, its server against a model, and clients and server on connections in
//! virtual time.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

mod clients;
mod forwarding;
mod frames;
mod net;
mod seeds;
