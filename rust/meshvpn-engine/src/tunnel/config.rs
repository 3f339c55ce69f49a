//! What a tunnel is made from, and what can be wrong with it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use meshvpn_proto::tunnel::{Framing, Outer};

use crate::aead::{Backend, Unavailable};
use crate::netlink::{Cidr, NetlinkError};
use crate::tun::{OpenError, check_name};

/// Largest MTU of a TUN device.
const MAX_MTU: u16 = 65_500;
/// Smallest MTU that Linux allows for IPv4 (RFC 791).
const MIN_MTU: u16 = 68;

/// A tunnel to be started.
#[derive(Debug, Clone)]
pub struct TunnelConfig {
    /// The device's name.
    pub name: String,
    /// The local UDP address.
    pub local: SocketAddr,
    /// The peer's UDP address.
    pub remote: SocketAddr,
    /// How packets are framed.
    pub framing: Framing,
    /// The device's addresses.
    pub addresses: Vec<Cidr>,
    /// Networks to route through the device.
    pub routes: Vec<Cidr>,
    /// A fixed device MTU in bytes; otherwise it follows from the path.
    pub mtu: Option<u16>,
    /// The network namespace to live in; otherwise the calling thread's.
    pub netns: Option<String>,
    /// A firewall mark for everything that the socket sends.
    pub mark: Option<u32>,
    /// The AEAD implementation; otherwise the fastest one here.
    pub aead: Option<Backend>,
}

impl TunnelConfig {
    pub(super) fn outer(&self) -> Outer {
        Outer::towards(self.remote.ip())
    }

    pub(super) fn is_ipv6_capable(&self) -> bool {
        self.addresses
            .iter()
            .chain(&self.routes)
            .any(|cidr| cidr.address.is_ipv6())
    }

    /// Checks what can be checked before anything is created.
    pub(super) fn check(&self) -> Result<(), TunnelError> {
        let fail = |field, message: String| Err(TunnelError::Config { field, message });
        check_name(&self.name)?;
        if self.local.is_ipv4() != self.remote.is_ipv4() {
            let (local, remote) = (self.local, self.remote);
            return fail(
                "local",
                format!("{local} and remote {remote} differ in IP version"),
            );
        }
        if is_group(self.local.ip()) {
            return fail("local", format!("{} is no host's address", self.local));
        }
        let remote = self.remote;
        if remote.port() == 0 || remote.ip().is_unspecified() || is_group(remote.ip()) {
            return fail("remote", format!("{remote} is no peer's address"));
        }
        if remote == self.local {
            return fail("remote", format!("{remote} is the tunnel's own address"));
        }
        if let Some(cidr) = self
            .addresses
            .iter()
            .find(|cidr| cidr.address.is_unspecified())
        {
            return fail("address", format!("{cidr} is no host's address"));
        }
        match self.mtu {
            Some(mtu) if !(MIN_MTU..=MAX_MTU).contains(&mtu) => fail(
                "mtu",
                format!("{mtu} is outside {MIN_MTU}..={MAX_MTU} bytes"),
            ),
            Some(mtu) if mtu < 1280 && self.is_ipv6_capable() => fail(
                "mtu",
                format!("{mtu} is below the 1280 bytes that IPv6 addresses need"),
            ),
            _ => Ok(()),
        }
    }
}

/// Whether an address stands for several hosts.
fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == Ipv4Addr::BROADCAST
}

/// Why a tunnel could not be started. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// A value cannot be used.
    #[error("{field}: {message}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// Its value, and what is wrong with it.
        message: String,
    },
    /// The namespace could not be entered.
    #[error("cannot enter network namespace {name:?}: {source}")]
    Netns {
        /// Its name or path.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The AEAD implementation asked for is not to be had here.
    #[error(transparent)]
    Aead(#[from] Unavailable),
    /// The device could not be created.
    #[error(transparent)]
    Device(#[from] OpenError),
    /// The device could not be set up.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The local address could not be had.
    #[error("cannot bind UDP socket to {local}: {source}")]
    Bind {
        /// The address.
        local: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// `wg` could not be let in.
    #[error("cannot create the UAPI socket: {source}")]
    Uapi {
        /// What the system said.
        source: io::Error,
    },
    /// There is no way to the peer.
    #[error("no route from {local} to {remote}: {source}")]
    Unreachable {
        /// The local address.
        local: SocketAddr,
        /// The peer's address.
        remote: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The tunnel's own datagrams would go through the tunnel.
    #[error("a route through the tunnel leads to its own remote {remote}")]
    Loop {
        /// The peer's address.
        remote: SocketAddr,
    },
    /// The process is out of threads, descriptors or randomness.
    #[error("the system refuses: {0}")]
    System(#[source] io::Error),
}

impl TunnelError {
    /// The kernel's error number, where one is behind it.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Config { .. }
            | Self::Loop { .. }
            | Self::Aead(_)
            | Self::Device(OpenError::Name(_)) => None,
            Self::Device(OpenError::Kernel { source, .. })
            | Self::Netns { source, .. }
            | Self::Bind { source, .. }
            | Self::Uapi { source }
            | Self::Unreachable { source, .. }
            | Self::System(source) => source.raw_os_error(),
            Self::Netlink(error) => error.source.raw_os_error(),
        }
    }
}
