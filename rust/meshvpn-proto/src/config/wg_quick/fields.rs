//! The fields' names, and what may stand behind them.

use core::fmt;

/// Every field of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "the names are those of the files, and `expected` describes them"
)]
pub enum Field {
    PrivateKey,
    ListenPort,
    FwMark,
    Address,
    Dns,
    Mtu,
    Table,
    PreUp,
    PostUp,
    PreDown,
    PostDown,
    SaveConfig,
    PublicKey,
    PresharedKey,
    AllowedIps,
    Endpoint,
    PersistentKeepalive,
}

impl Field {
    /// The fields of `[Interface]`.
    pub(super) const INTERFACE: [Self; 12] = [
        Self::PrivateKey,
        Self::ListenPort,
        Self::FwMark,
        Self::Address,
        Self::Dns,
        Self::Mtu,
        Self::Table,
        Self::PreUp,
        Self::PostUp,
        Self::PreDown,
        Self::PostDown,
        Self::SaveConfig,
    ];

    /// The fields of `[Peer]`.
    pub(super) const PEER: [Self; 5] = [
        Self::PublicKey,
        Self::PresharedKey,
        Self::AllowedIps,
        Self::Endpoint,
        Self::PersistentKeepalive,
    ];

    /// The name as it is usually written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "PrivateKey",
            Self::ListenPort => "ListenPort",
            Self::FwMark => "FwMark",
            Self::Address => "Address",
            Self::Dns => "DNS",
            Self::Mtu => "MTU",
            Self::Table => "Table",
            Self::PreUp => "PreUp",
            Self::PostUp => "PostUp",
            Self::PreDown => "PreDown",
            Self::PostDown => "PostDown",
            Self::SaveConfig => "SaveConfig",
            Self::PublicKey => "PublicKey",
            Self::PresharedKey => "PresharedKey",
            Self::AllowedIps => "AllowedIPs",
            Self::Endpoint => "Endpoint",
            Self::PersistentKeepalive => "PersistentKeepalive",
        }
    }

    /// What a value must be.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::PrivateKey | Self::PublicKey | Self::PresharedKey => "a key in base64",
            Self::ListenPort => "a UDP port from 0 to 65535",
            Self::FwMark => "off, or a number of 32 bits",
            Self::Address => "an IP address with a prefix length",
            Self::Dns => "an IP address or a domain",
            Self::Mtu => "a number of bytes from 68 to 65535",
            Self::Table => "auto, off, or the number or name of a routing table",
            Self::PreUp | Self::PostUp | Self::PreDown | Self::PostDown => "a command",
            Self::SaveConfig => "true or false",
            Self::AllowedIps => "a network",
            Self::Endpoint => "a host and a UDP port",
            Self::PersistentKeepalive => "off, or seconds from 0 to 65535",
        }
    }

    /// How to write it, by an example.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::PrivateKey => "make one with: meshvpn genkey",
            Self::PublicKey => "make it from the peer's private key with: meshvpn pubkey",
            Self::PresharedKey => "make one with: meshvpn genpsk",
            Self::ListenPort => "write 51820, or leave it out for any port",
            Self::FwMark => "write 51820 or 0xca6c, or leave it out",
            Self::Address => "write 10.0.0.1/24 or fd00::1/64, with commas between several",
            Self::Dns => {
                "write 192.0.2.53, 2001:db8::53 or example.org, with commas between several"
            }
            Self::Mtu => "write 1420, or leave it out to have it found",
            Self::Table => "leave it out for auto",
            Self::PreUp | Self::PostUp | Self::PreDown | Self::PostDown => {
                "write the command on the same line, or leave the line out"
            }
            Self::SaveConfig => "leave it out for false",
            Self::AllowedIps => "write 10.0.0.0/24 or fd00::/64, with commas between several",
            Self::Endpoint => "write 192.0.2.1:51820, [2001:db8::1]:51820 or vpn.example.org:51820",
            Self::PersistentKeepalive => "write 25, or leave it out",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
