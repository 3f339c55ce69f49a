//! What is known of a path, and how it is found out.
//!
//! | module | holds |
//! |---|---|
//! | [`candidate`] | addresses at which a node may be reached |
//! | [`agent`] | the paths to one peer: which there are, and which of them traffic takes |
//! | [`probe`] | the messages that peers exchange about the path between them |
//! | [`mtu`] | how long a datagram may be: found by probing, kept under watch |

pub mod agent;
pub mod candidate;
pub mod mtu;
pub mod probe;
mod round;
