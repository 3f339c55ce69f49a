//! The lines of one peer.

use core::fmt;
use core::str::FromStr;
use std::net::SocketAddr;

use crate::config::Shown;
use crate::keys::{PresharedKey, PublicKey};
use crate::route::Prefix;

use super::MAX_ALLOWED_IPS;
use super::change::{AllowedIpChange, Change, PeerChange};
use super::error::RequestDefect;

const PEER_KEYS: [&str; 8] = [
    "remove",
    "update_only",
    "preshared_key",
    "endpoint",
    "persistent_keepalive_interval",
    "replace_allowed_ips",
    "allowed_ip",
    "protocol_version",
];

/// The number of a network interface, if there is one of that name.
pub(super) type ZoneIndex = Box<dyn Fn(&str) -> Option<u32> + Send>;

/// Reads the lines of peers, one request at a time.
pub(super) struct PeerLines {
    zone_index: ZoneIndex,
    allowed_ips: usize,
}

impl PeerLines {
    pub(super) fn new(zone_index: ZoneIndex) -> Self {
        Self {
            zone_index,
            allowed_ips: 0,
        }
    }

    /// The next request begins.
    pub(super) fn reset(&mut self) {
        self.allowed_ips = 0;
    }

    pub(super) fn begin(public_key: &str) -> Result<PeerChange, RequestDefect> {
        let key = "public_key";
        PublicKey::from_hex(public_key)
            .map(PeerChange::new)
            .map_err(|error| RequestDefect::Key { key, error })
    }

    pub(super) fn handle_line(
        &mut self,
        peer: Option<&mut PeerChange>,
        key: &str,
        value: &str,
    ) -> Result<(), RequestDefect> {
        let Some(key) = PEER_KEYS.into_iter().find(|known| *known == key) else {
            return Err(RequestDefect::UnknownKey(Shown::new(key)));
        };
        let Some(peer) = peer else {
            return Err(RequestDefect::BeforePeers(key));
        };
        match key {
            "remove" => peer.is_removed = truth(key, value)?,
            "update_only" => peer.is_update_only = truth(key, value)?,
            "preshared_key" => {
                peer.preshared_key = match secret(value) {
                    None => Change::Clear,
                    Some(value) => PresharedKey::from_hex(value)
                        .map(Change::Set)
                        .map_err(|error| RequestDefect::Key { key, error })?,
                };
            }
            "endpoint" => peer.endpoint = Some(self.endpoint(key, value)?),
            "persistent_keepalive_interval" => {
                let seconds = number(key, value, "seconds from 0 (off) to 65535")?;
                peer.persistent_keepalive = Some(seconds);
            }
            "replace_allowed_ips" => {
                peer.replaces_allowed_ips = truth(key, value)?;
                peer.allowed_ips.clear();
            }
            "allowed_ip" => {
                if self.allowed_ips == MAX_ALLOWED_IPS {
                    return Err(RequestDefect::TooManyAllowedIps);
                }
                self.allowed_ips += 1;
                peer.allowed_ips.push(allowed_ip(key, value)?);
            }
            _ => {
                // The protocol of WireGuard's messages, of which there is one.
                if value != "1" {
                    return Err(wrong(key, value, "1, the only version"));
                }
            }
        }
        Ok(())
    }

    fn endpoint(&self, key: &'static str, value: &str) -> Result<SocketAddr, RequestDefect> {
        let with_number = || {
            let (address, rest) = value.split_once('%')?;
            let (zone, port) = rest.split_once(']')?;
            let index = (self.zone_index)(zone)?;
            format!("{address}%{index}]{port}").parse().ok()
        };
        value.parse().ok().or_else(with_number).ok_or_else(|| {
            let expected = "an IP address and a port, as 192.0.2.1:51820 or [2001:db8::1]:51820";
            wrong(key, value, expected)
        })
    }
}

impl fmt::Debug for PeerLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerLines")
            .field("allowed_ips", &self.allowed_ips)
            .finish_non_exhaustive()
    }
}

/// `None` for the 64 zeros that take a secret away.
pub(super) fn secret(value: &str) -> Option<&str> {
    let is_zero = value.len() == 64 && value.bytes().all(|byte| byte == b'0');
    (!is_zero).then_some(value)
}

pub(super) fn number<T: FromStr>(
    key: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<T, RequestDefect> {
    // Rust's own parser takes "+1" too.
    let number = value.parse().ok();
    number
        .filter(|_| value.starts_with(|first: char| first.is_ascii_digit()))
        .ok_or_else(|| wrong(key, value, expected))
}

pub(super) fn truth(key: &'static str, value: &str) -> Result<bool, RequestDefect> {
    if value == "true" {
        return Ok(true);
    }
    Err(wrong(key, value, "true; leave the line out otherwise"))
}

fn allowed_ip(key: &'static str, value: &str) -> Result<AllowedIpChange, RequestDefect> {
    let (change, prefix): (fn(Prefix) -> AllowedIpChange, _) = match value.strip_prefix('-') {
        Some(prefix) => (AllowedIpChange::Remove, prefix),
        None => (AllowedIpChange::Add, value),
    };
    let expected = "an IP address with a prefix length, as 10.0.0.0/24 or fd00::/64";
    let prefix = prefix.parse().map_err(|_| wrong(key, value, expected))?;
    Ok(change(prefix))
}

fn wrong(key: &'static str, value: &str, expected: &'static str) -> RequestDefect {
    RequestDefect::Value {
        key,
        value: Shown::new(value),
        expected,
    }
}
