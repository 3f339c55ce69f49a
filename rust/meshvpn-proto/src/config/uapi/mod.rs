//! The protocol by which `wg` and other programs configure a running WireGuard device.
//!
//! A stream socket, lines of text, an empty line after each request and each answer:
//!
//! ```text
//!  get=1                          set=1
//!                                 private_key=…          device first
//!                                 listen_port=51820
//!  private_key=…                  replace_peers=true
//!  listen_port=51820              public_key=…           begins a peer
//!  public_key=…                   endpoint=192.0.2.1:51820
//!  endpoint=192.0.2.1:51820       replace_allowed_ips=true
//!  …                              allowed_ip=10.0.0.0/24
//!  errno=0
//!                                 errno=0
//! ```
//!
//! Keys are hex, numbers decimal. [`Requests`] reads the left side of a connection and [`write_device`],
//! [`write_peer`], [`write_get_end`] and [`write_set_answer`] write the right one.
//!
//! A request is read to its end before anybody sees any of it, so a line that is wrong changes nothing.
//! What is kept meanwhile is its typed form, 20 bytes for an allowed IP instead of up to 55 of text, and of the
//! text one line at most; [`MAX_PEERS`] and [`MAX_ALLOWED_IPS`] bound it.
//!
//! Source: <https://www.wireguard.com/xplatform/>; where that is silent, what `wg` 1.0 sends and
//! understands.

mod answer;
mod change;
mod error;
mod peer_line;
mod requests;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;

pub use answer::{
    DeviceStatus, PeerStatus, write_device, write_get_end, write_peer, write_set_answer,
};
pub use change::{AllowedIpChange, Change, DeviceChange, PeerChange};
pub use error::{Errno, RequestDefect, RequestError};
pub use requests::{Request, Requests};

/// Most peers that one request may name.
pub const MAX_PEERS: usize = 1 << 18;
/// Most allowed IPs that one request may name, of all peers together: 20 MB.
pub const MAX_ALLOWED_IPS: usize = 1 << 20;
/// Longest line in bytes. The longest that has a meaning is a pre-shared key's: 78 bytes.
pub const MAX_LINE: usize = 512;
