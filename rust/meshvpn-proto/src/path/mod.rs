//! What is known of a path, and how it is found out.
//!
//! | module | holds |
//! |---|---|
//! | [`candidate`] | addresses at which a node may be reached |
//! | [`probe`] | the messages that peers exchange about the path between them |
//! | [`mtu`] | how long a datagram may be: found by probing, kept under watch |

pub mod candidate;
pub mod mtu;
pub mod probe;
mod round;
