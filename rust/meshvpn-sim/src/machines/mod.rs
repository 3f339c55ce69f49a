//! Machines that are often needed.
//!
//! | type | is |
//! |---|---|
//! | [`StunServer`] | a STUN server with two addresses and two ports |
//! | [`DiscoveryMachine`] | a host that finds out what its NAT does |
//! | [`MeshNode`] | a node of the mesh |
//! | [`RelayHost`], [`CoordinatorHost`] | a relay, and a coordinator |
//! | [`Mailbox`] | a plain socket, used from outside |

mod coordinator;
mod discovery;
mod mailbox;
pub mod node;
mod pieces;
mod relay;
mod stun;

pub use coordinator::{CoordinatorHost, PORT as COORDINATOR_PORT};
pub use discovery::DiscoveryMachine;
pub use mailbox::{Mailbox, Received};
pub use node::MeshNode;
pub use relay::{PORT as RELAY_PORT, RelayHost};
pub use stun::StunServer;
