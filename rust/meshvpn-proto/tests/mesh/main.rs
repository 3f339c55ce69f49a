//! Nodes of a mesh in virtual time: relay, NATs, paths that die and heal. The same seed gives the same bytes.
//!
//! The network here is the least that makes the cases; the simulator has the rest.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input cannot be made has to fail"
)]

#[path = "../virtual_time/chance.rs"]
mod chance;
mod choice;
mod churn;
mod failures;
mod host;
mod idle;
mod maps;
mod moves;
mod nat;
mod upgrade;
mod wire;
mod world;
