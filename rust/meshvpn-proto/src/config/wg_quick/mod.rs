//! Configuration files as `wg-quick` and `wg setconf` take them, read and written.
//!
//! ```text
//! [Interface]
//! PrivateKey = …
//! Address = 10.0.0.1/24, fd00::1/64     # of the device; may be given several times
//! PostUp = ip rule add …                # commands: kept as text, never run from here
//!
//! [Peer]
//! PublicKey = …
//! AllowedIPs = 10.0.0.2/32, fd00::2/128
//! Endpoint = vpn.example.org:51820
//! ```
//!
//! [`Config::parse`] reads the same files to the same effect as those programs: keys and sections in any case,
//! comments from `#` to the end of the line, also behind a command; lists grow when they are
//! repeated, and of anything else the last one counts; several `[Interface]` sections are one. Where
//! those programs pass a value on and something later complains, this complains at once, by line and
//! field.
//!
//! [`Config::to_text`] writes a file that reads back the same, if no name was made that reads as something
//! else: a table `off`, a host `192.0.2.1`.
//!
//! Sources: wg(8), wg-quick(8).

mod error;
mod fields;
mod parse;
#[cfg(test)]
mod tests;
mod words;
mod write;

use core::net::IpAddr;

use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::route::Prefix;

pub use error::{ConfigDefect, ConfigError};
pub use fields::Field;
pub use words::{Command, Endpoint, Host, InterfaceAddress, Name};

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The device.
    pub interface: Interface,
    /// Peers in the order of the file. One that is there twice is changed by the second section.
    pub peers: Vec<Peer>,
}

/// The section `[Interface]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// The device's identity.
    pub private_key: Option<PrivateKey>,
    /// The UDP port; without one, or with 0, the system chooses.
    pub listen_port: Option<u16>,
    /// The firewall mark of what is sent; 0 is none, and without one `wg-quick` may choose.
    pub fwmark: Option<u32>,
    /// The device's addresses.
    pub addresses: Vec<InterfaceAddress>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Domains that names without a dot are looked up in.
    pub search_domains: Vec<Name>,
    /// The device's MTU in bytes.
    pub mtu: Option<u16>,
    /// Where routes go.
    pub table: Table,
    /// Commands for the four moments.
    pub hooks: Hooks,
    /// `wg-quick down` writes the device's state back into the file.
    pub saves_config: bool,
}

/// The routing table that routes to the allowed IPs go to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Table {
    /// The main one; a default route gets one of its own, with rules that lead there.
    #[default]
    Auto,
    /// None: no routes are made.
    Off,
    /// This one, by number or by a name of `/etc/iproute2/rt_tables`.
    Named(Name),
}

/// Commands of a file, in the order they were given. Nothing here runs them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Before the device has its addresses.
    pub pre_up: Vec<Command>,
    /// When the device is up.
    pub post_up: Vec<Command>,
    /// Before the device goes down.
    pub pre_down: Vec<Command>,
    /// When the device is gone.
    pub post_down: Vec<Command>,
}

impl Hooks {
    /// Whether there is no command at all.
    pub fn is_empty(&self) -> bool {
        let Self {
            pre_up,
            post_up,
            pre_down,
            post_down,
        } = self;
        [pre_up, post_up, pre_down, post_down]
            .into_iter()
            .all(Vec::is_empty)
    }
}

/// A section `[Peer]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub public_key: PublicKey,
    /// The secret that both share.
    pub preshared_key: Option<PresharedKey>,
    /// What is sent to it, and may come from it.
    pub allowed_ips: Vec<Prefix>,
    /// Where it is reached until it is heard from elsewhere.
    pub endpoint: Option<Endpoint>,
    /// Seconds between keepalives; 0 is none.
    pub persistent_keepalive: Option<u16>,
}

impl Peer {
    /// A peer of which only its key is known.
    pub fn new(public_key: PublicKey) -> Self {
        Self {
            public_key,
            preshared_key: None,
            allowed_ips: Vec::new(),
            endpoint: None,
            persistent_keepalive: None,
        }
    }
}
