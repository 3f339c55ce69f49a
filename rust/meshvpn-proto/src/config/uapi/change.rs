//! What a `set` request asks for.

use std::net::SocketAddr;

use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::route::Prefix;

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is none any more.
    Clear,
    /// It becomes this.
    Set(T),
}

/// A `set` request. Applied in this order: the device, [`replaces_peers`](Self::replaces_peers), then
/// peer by peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceChange {
    /// The device's identity. A peer whose public key is that of the device itself goes away.
    pub private_key: Change<PrivateKey>,
    /// The UDP port; 0 lets the system choose.
    pub listen_port: Option<u16>,
    /// The firewall mark of what the socket sends; 0 is none.
    pub fwmark: Option<u32>,
    /// Peers that this request does not name go away; all of them, then the named ones come anew.
    pub replaces_peers: bool,
    /// Peers in the order of the request. One that is named twice is changed twice.
    pub peers: Vec<PeerChange>,
}

/// What becomes of one peer. A peer that is not known yet is added, unless this says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerChange {
    /// Which peer.
    pub public_key: PublicKey,
    /// It goes away; the other fields mean nothing then.
    pub is_removed: bool,
    /// Nothing happens when it is not known yet.
    pub is_update_only: bool,
    /// The secret that both share.
    pub preshared_key: Change<PresharedKey>,
    /// Where it is reached until it is heard from elsewhere.
    pub endpoint: Option<SocketAddr>,
    /// Seconds between keepalives; 0 is none.
    pub persistent_keepalive: Option<u16>,
    /// It loses the allowed IPs that it has, before those of this request.
    pub replaces_allowed_ips: bool,
    /// Allowed IPs in the order of the request.
    pub allowed_ips: Vec<AllowedIpChange>,
}

impl PeerChange {
    /// Adds the peer if it is not known, and changes nothing.
    pub fn new(public_key: PublicKey) -> Self {
        Self {
            public_key,
            is_removed: false,
            is_update_only: false,
            preshared_key: Change::Keep,
            endpoint: None,
            persistent_keepalive: None,
            replaces_allowed_ips: false,
            allowed_ips: Vec::new(),
        }
    }
}

/// What becomes of one allowed IP of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedIpChange {
    /// It belongs to this peer now, whoever had it.
    Add(Prefix),
    /// It goes away if this peer has it.
    Remove(Prefix),
}
