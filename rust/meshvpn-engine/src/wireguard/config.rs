//! What a WireGuard device is made from, and what can be known of it.

use std::net::SocketAddr;
use std::time::Duration;

use meshvpn_proto::config::uapi::DeviceChange;
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::route::Prefix;

use crate::aead::Backend;
use crate::netlink::Cidr;
use crate::tun::check_name;
use crate::tunnel::TunnelError;

/// The MTU that fits every path of 1,500 bytes, over IPv6 too, and that other implementations have.
pub(super) const DEFAULT_MTU: u16 = 1420;
/// Smallest MTU that Linux allows for IPv4 (RFC 791), and largest of a TUN device.
const MTUS: std::ops::RangeInclusive<u16> = 68..=65_500;

/// A device to be started.
#[derive(Debug, Clone)]
pub struct WireGuardConfig {
    /// The device's name.
    pub name: String,
    /// The device's addresses.
    pub addresses: Vec<Cidr>,
    /// Networks to route through the device.
    pub routes: Vec<Cidr>,
    /// The device's MTU in bytes; 1,420 if not given.
    pub mtu: Option<u16>,
    /// Whether to bring the device up; else it is left to somebody else, as are addresses and routes.
    pub is_up: bool,
    /// The network namespace to live in; otherwise the calling thread's.
    pub netns: Option<String>,
    /// The AEAD implementation; otherwise the fastest one here.
    pub aead: Option<Backend>,
    /// Whether `wg` may read and change the device.
    pub has_uapi: bool,
    /// Keys, port, mark and peers to begin with.
    pub device: DeviceChange,
}

impl WireGuardConfig {
    /// Checks what can be checked before anything is created.
    pub(super) fn check(&self) -> Result<(), TunnelError> {
        check_name(&self.name)?;
        match self.mtu {
            Some(mtu) if !MTUS.contains(&mtu) => Err(TunnelError::Config {
                field: "mtu",
                message: format!("{mtu} is outside {}..={} bytes", MTUS.start(), MTUS.end()),
            }),
            _ => Ok(()),
        }
    }
}

/// Everything that can be said of a device at one moment, but its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSnapshot {
    /// What peers know it by; none before there is a private key.
    pub public_key: Option<PublicKey>,
    /// The UDP port that it listens on.
    pub listen_port: u16,
    /// The firewall mark of what it sends; 0 is none.
    pub mark: u32,
    /// The device's MTU in bytes.
    pub mtu: u16,
    /// Its peers, by key.
    pub peers: Vec<PeerSnapshot>,
}

/// What can be said of a peer at one moment, but its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSnapshot {
    /// Who it is.
    pub public_key: PublicKey,
    /// Whether handshakes with it have a pre-shared key mixed in.
    pub has_preshared_key: bool,
    /// Where it is.
    pub endpoint: Option<SocketAddr>,
    /// What it may send from, and gets.
    pub allowed_ips: Vec<Prefix>,
    /// When the last handshake succeeded, since 1970 (UTC).
    pub last_handshake: Option<Duration>,
    /// Bytes of UDP payload received, authentic ones.
    pub received_bytes: u64,
    /// Bytes of UDP payload sent.
    pub sent_bytes: u64,
    /// How often it hears from us even when there is nothing to say.
    pub persistent_keepalive: Option<Duration>,
    /// There is a session that packets can be sent with.
    pub has_session: bool,
}
