//! From what a device is to the answer's text.

use core::fmt::{Result, Write};
use core::time::Duration;
use std::net::SocketAddr;

use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::route::Prefix;

use super::error::Errno;

/// What a device says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceStatus<'a> {
    /// Its identity, if it has one.
    pub private_key: Option<&'a PrivateKey>,
    /// The UDP port it listens on; 0 is none.
    pub listen_port: u16,
    /// The firewall mark of what it sends; 0 is none.
    pub fwmark: u32,
}

/// What a device says of one peer.
#[derive(Debug, Clone, Copy)]
pub struct PeerStatus<'a> {
    /// Who it is.
    pub public_key: PublicKey,
    /// The secret that both share.
    pub preshared_key: Option<&'a PresharedKey>,
    /// Where it was heard last, or is configured to be.
    pub endpoint: Option<SocketAddr>,
    /// When the last handshake ended: time since 1970 (UTC).
    pub last_handshake: Option<Duration>,
    /// Bytes received from it, of datagrams' contents.
    pub rx_bytes: u64,
    /// Bytes sent to it, of datagrams' contents.
    pub tx_bytes: u64,
    /// Seconds between keepalives; 0 is none.
    pub persistent_keepalive: u16,
}

/// Begins the answer to a `get`. What is written has the private key in it: `out` should wipe itself.
///
/// # Errors
///
/// Those of `out`, as for the functions below.
pub fn write_device(out: &mut impl Write, device: &DeviceStatus<'_>) -> Result {
    if let Some(key) = device.private_key {
        writeln!(out, "private_key={}", *key.to_hex())?;
    }
    if device.listen_port != 0 {
        writeln!(out, "listen_port={}", device.listen_port)?;
    }
    if device.fwmark != 0 {
        writeln!(out, "fwmark={}", device.fwmark)?;
    }
    Ok(())
}

/// Continues the answer to a `get` by one peer. There may be a pre-shared key in it.
pub fn write_peer(
    out: &mut impl Write,
    peer: &PeerStatus<'_>,
    allowed_ips: impl IntoIterator<Item = Prefix>,
) -> Result {
    writeln!(out, "public_key={}", peer.public_key.to_hex())?;
    if let Some(key) = peer.preshared_key {
        writeln!(out, "preshared_key={}", *key.to_hex())?;
    }
    writeln!(out, "protocol_version=1")?;
    if let Some(endpoint) = peer.endpoint {
        writeln!(out, "endpoint={endpoint}")?;
    }
    // Zero is how the protocol says "never".
    let handshake = peer.last_handshake.unwrap_or_default();
    writeln!(out, "last_handshake_time_sec={}", handshake.as_secs())?;
    writeln!(out, "last_handshake_time_nsec={}", handshake.subsec_nanos())?;
    writeln!(out, "tx_bytes={}", peer.tx_bytes)?;
    writeln!(out, "rx_bytes={}", peer.rx_bytes)?;
    writeln!(
        out,
        "persistent_keepalive_interval={}",
        peer.persistent_keepalive
    )?;
    allowed_ips
        .into_iter()
        .try_for_each(|prefix| writeln!(out, "allowed_ip={prefix}"))
}

/// Ends the answer to a `get`.
pub fn write_get_end(out: &mut impl Write, errno: Errno) -> Result {
    write!(out, "errno={}\n\n", errno.0)
}

/// The whole answer to a `set`. `wg` reads this number as the kernel would have returned it: negative. In
/// the answer to a `get` it takes none but positive ones.
pub fn write_set_answer(out: &mut impl Write, errno: Errno) -> Result {
    write!(out, "errno={}\n\n", -i64::from(errno.0))
}
