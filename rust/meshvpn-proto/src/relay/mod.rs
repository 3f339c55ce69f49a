//! The relay: how packets reach a peer that cannot be reached directly.
//!
//! Nodes keep a connection to a relay and send it packets addressed by the peer's public key; the relay
//! hands each to the connection of that peer. What is in a packet it cannot read: it is sealed between the
//! nodes. The protocol is DERP version 2, as Tailscale publishes it in its Go package `derp`, so that
//! either side may be theirs.
//!
//! ```text
//! client                                    relay
//!    │  HTTP GET /derp, Upgrade: DERP         │   by whoever has the sockets
//!    │ ◄─────────────────────── ServerKey     │
//!    │ ClientInfo (NaCl box) ───────────────► │   the client has the private key: it could make the box
//!    │ ◄─────────── ServerInfo (NaCl box)     │   so has the relay
//!    │ SendPacket(to, …) ───────────────────► │
//!    │ ◄─────────────── RecvPacket(from, …)   │
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | the frames, as types |
//! | [`boxes`] | what is sealed in them at log-in |
//! | [`queue`] | frames that wait to be written: bounded, the oldest makes room |
//! | [`client`] | the client's half of a connection |
//! | [`server`] | the relay: log-in, and all clients together |
//! | [`numbers`] | peers by number, since a path has room for a number and not for a key |
//! | [`backoff`] | when to try again |
//!
//! No packet is copied more often than it must be: the relay turns a run of `SendPacket` frames into
//! `RecvPacket` frames where they lie, since both have the same length, and copies it once.

pub mod backoff;
pub mod boxes;
pub mod client;
pub mod frame;
pub mod numbers;
pub mod queue;
pub mod server;

use core::time::Duration;

/// The protocol version that both sides name at log-in.
pub const VERSION: u32 = 2;

/// How often a relay says that it is there; it adds up to [`KEEPALIVE_JITTER`] each time.
pub const KEEPALIVE: Duration = Duration::from_secs(60);
/// So that a relay with many clients does not speak to all of them at once.
pub const KEEPALIVE_JITTER: Duration = Duration::from_secs(5);
/// A client that hears nothing for so long takes the connection for dead: two keepalives.
pub const SILENCE: Duration = Duration::from_secs(120);
/// How long either side waits for the other's next message at log-in.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);
