//! Machines that are often needed.
//!
//! | type | is |
//! |---|---|
//! | [`StunServer`] | a STUN server with two addresses and two ports |
//! | [`DiscoveryMachine`] | a host that finds out what its NAT does |
//! | [`Mailbox`] | a plain socket, used from outside |

mod discovery;
mod mailbox;
mod stun;

pub use discovery::DiscoveryMachine;
pub use mailbox::{Mailbox, Received};
pub use stun::StunServer;
