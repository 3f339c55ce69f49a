//! What NATs do to our datagrams, and how to find it out.
//!
//! A NAT is told by two behaviours (RFC 4787). *Mapping*: for which destinations does one inner socket keep
//! one outer port? *Filtering*: who may send to that outer port? A STUN server says where a datagram came
//! from, which shows the mapping; one with two addresses and two ports (RFC 5780) can also answer from
//! elsewhere, which shows the filtering.
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | binding requests and responses (RFC 8489, RFC 5780) |
//! | [`client`] | asks servers, and asks again until they answer |
//! | [`server`] | answers, and cannot be used against others |
//! | [`discovery`] | asks the questions that tell a NAT's behaviour, and draws the conclusions |
//! | [`behavior`] | the behaviours by name |

pub mod behavior;
pub mod client;
pub mod discovery;
pub mod message;
pub mod server;

use crate::forward::Path;

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to, and from which socket.
    pub path: Path,
    /// Complete.
    pub datagram: Vec<u8>,
}
