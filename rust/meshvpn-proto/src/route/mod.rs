//! Allowed IPs: which peer a packet goes to, and may come from.
//!
//! A peer owns prefixes. The owner of the *longest* prefix that holds a packet's destination gets it,
//! and a packet that arrives from a peer must have a source that the same look-up gives to that peer
//! ("cryptokey routing": WireGuard whitepaper, section 2).
//!
//! ```text
//!  AllowedIps          for the thread that configures: who owns what, both ways
//!      │ snapshot()    a constant time, whatever the size
//!  PrefixTable         for the threads that forward: look-up alone, never changes under them
//! ```
//!
//! [`table`] says how look-up stays flat and why a change among 100,000 prefixes is cheap.

mod allowed_ips;
mod node;
mod prefix;
mod sparse;
pub mod table;

pub use allowed_ips::AllowedIps;
pub(crate) use prefix::split_prefix;
pub use prefix::{Prefix, PrefixError};
pub use table::PrefixTable;
