//! Addresses and numbers as Python writes them, made into the engine's types.

use core::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use meshvpn_engine::netlink::Cidr;
use meshvpn_proto::route::{Prefix, PrefixError};
use pyo3::PyResult;

use crate::errors::{ConfigError, config_error};

/// An IP address and UDP port: `192.0.2.1:7000` or `[2001:db8::1]:7000`.
pub(crate) fn socket_address(field: &str, text: &str) -> PyResult<SocketAddr> {
    text.parse().map_err(|_| {
        config_error(
            &format!("{field}: {text:?} is not an IP address and a UDP port"),
            "write 192.0.2.1:7000, or [2001:db8::1]:7000 for IPv6",
        )
    })
}

/// An IP address alone.
pub(crate) fn ip_address(field: &str, text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| {
        config_error(
            &format!("{field}: {text:?} is not an IP address"),
            "write 10.0.0.1 or fd00::1",
        )
    })
}

/// Networks, for a look-up: `10.9.0.0/16`; bits behind the prefix are cleared.
pub(crate) fn prefixes(field: &str, texts: &[String]) -> PyResult<Vec<Prefix>> {
    let parse = |text: &String| {
        text.parse().map_err(|error: PrefixError| {
            ConfigError::new_err(format!("{field}: {text:?}: {error}"))
        })
    };
    texts.iter().map(parse).collect()
}

/// Addresses of a device: `10.0.0.1/24`; without a prefix the address stands alone.
pub(crate) fn interfaces(field: &str, texts: &[String]) -> PyResult<Vec<Cidr>> {
    texts.iter().map(|text| cidr(field, text)).collect()
}

/// Networks: `10.9.0.0/16`, with no bit set behind the prefix.
pub(crate) fn networks(field: &str, texts: &[String]) -> PyResult<Vec<Cidr>> {
    texts
        .iter()
        .map(|text| {
            let network = cidr(field, text)?;
            if has_host_bits(&network) {
                return Err(config_error(
                    &format!("{field}: {text:?} has bits set behind its prefix"),
                    "give the network's own address, e.g. 10.9.0.0/16",
                ));
            }
            Ok(network)
        })
        .collect()
}

/// A number that may be left out, of a type whose largest value is `largest`.
pub(crate) fn number<T: TryFrom<i64> + Display>(
    field: &str,
    value: Option<i64>,
    largest: T,
) -> PyResult<Option<T>> {
    let checked = value.map(|value| {
        let outside = format!("{field}: {value} is outside 0..={largest}");
        T::try_from(value).map_err(|_| ConfigError::new_err(outside))
    });
    checked.transpose()
}

fn cidr(field: &str, text: &str) -> PyResult<Cidr> {
    let parsed = || {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|len| *len <= bits)?,
            None => bits,
        };
        Some(Cidr {
            address,
            prefix_len,
        })
    };
    parsed().ok_or_else(|| {
        config_error(
            &format!("{field}: {text:?} is not an IP address with a prefix length"),
            "write 10.0.0.1/24 or fd00::1/64",
        )
    })
}

fn has_host_bits(cidr: &Cidr) -> bool {
    let (bits, width) = match cidr.address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let host_bits = width - u32::from(cidr.prefix_len);
    let mask = 1u128
        .checked_shl(host_bits)
        .map_or(u128::MAX, |one| one - 1);
    bits & mask != 0
}
