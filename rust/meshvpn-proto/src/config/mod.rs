//! Configuration as text: what people write in files, and what `wg` says to a running device.
//!
//! | module | reads and writes |
//! |---|---|
//! | [`wg_quick`] | files for `wg-quick` and `wg setconf` |
//! | [`uapi`] | the protocol of the socket `/var/run/wireguard/IFACE.sock` |
//!
//! Both are read whole and checked before anybody acts on a part of them. Their errors name the line and
//! the field, show the value unless it could be a secret, and say what would be right.

mod shown;
pub mod uapi;
pub mod wg_quick;

pub use shown::Shown;
