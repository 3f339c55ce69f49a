//! Neighbour discovery (RFC 4861): solicitations, advertisements, redirects and their options.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::{Build, Value, be16, be32};
use crate::packet::icmp::v6;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;

/// The address that a message of type `kind` is about, and what it says of it.
pub(super) fn target(build: &mut Build, kind: u8, head: &[u8], target: Ipv6Addr) {
    let key = match kind {
        v6::NEIGHBOR_SOLICITATION => "icmpv6.nd.ns.target_address",
        v6::NEIGHBOR_ADVERTISEMENT => {
            build
                .flag("icmpv6.nd.na.flag.r", "Router", head[4] & 0x80 != 0)
                .flag("icmpv6.nd.na.flag.s", "Solicited", head[4] & 0x40 != 0)
                .flag("icmpv6.nd.na.flag.o", "Override", head[4] & 0x20 != 0);
            "icmpv6.nd.na.target_address"
        }
        _ => "icmpv6.nd.rd.target_address",
    };
    build.address(key, "Target", target);
}

/// What follows the first eight bytes, and the target, in messages of neighbour discovery.
pub(super) fn rest(build: &mut Build, kind: u8, message: &[u8]) {
    let (head, data) = message.split_at(8);
    let fixed = match kind {
        ROUTER_SOLICITATION => 0,
        ROUTER_ADVERTISEMENT => {
            build
                .number("icmpv6.nd.ra.cur_hop_limit", "Hop limit", head[4])
                .flag(
                    "icmpv6.nd.ra.flag.m",
                    "Managed addresses",
                    head[5] & 0x80 != 0,
                )
                .flag(
                    "icmpv6.nd.ra.flag.o",
                    "Other configuration",
                    head[5] & 0x40 != 0,
                )
                .number(
                    "icmpv6.nd.ra.router_lifetime",
                    "Router lifetime (s)",
                    be16(head, 6),
                )
                .number(
                    "icmpv6.nd.ra.reachable_time",
                    "Reachable time (ms)",
                    be32(data, 0),
                )
                .number(
                    "icmpv6.nd.ra.retrans_timer",
                    "Retransmit time (ms)",
                    be32(data, 4),
                );
            8
        }
        v6::NEIGHBOR_SOLICITATION | v6::NEIGHBOR_ADVERTISEMENT => 16,
        v6::REDIRECT => {
            if let Some(destination) = address(data, 16) {
                build.address(
                    "icmpv6.rd.na.destination_address",
                    "Destination",
                    destination,
                );
            }
            32
        }
        _ => return,
    };
    options(build, data.get(fixed..).unwrap_or(&[]));
}

/// RFC 4861, 4.6: type, length in units of eight bytes, data. Length zero ends the list.
fn options(build: &mut Build, mut list: &[u8]) {
    while let [kind, units, ..] = *list
        && units > 0
    {
        let Some((option, after)) = list.split_at_checked(usize::from(units) * 8) else {
            return;
        };
        list = after;
        build
            .number("icmpv6.opt.type", "Option", kind)
            .meaning(option_name(kind));
        match kind {
            1 | 2 => {
                let link = Value::Text(mac(&option[2..8]).into());
                build.add("icmpv6.opt.linkaddr", "Link-layer address", link);
            }
            3 if option.len() == 32 => prefix(build, option),
            5 => {
                build.number("icmpv6.opt.mtu", "MTU", be32(option, 4));
            }
            // RFC 8106: lifetime, then addresses.
            25 => {
                build.number("icmpv6.opt.rdnss.lifetime", "Lifetime (s)", be32(option, 4));
                for at in (8..option.len()).step_by(16) {
                    if let Some(server) = address(option, at) {
                        build.address("icmpv6.opt.rdnss", "DNS server", server);
                    }
                }
            }
            _ => {}
        }
    }
}

fn prefix(build: &mut Build, option: &[u8]) {
    build
        .number("icmpv6.opt.prefix.length", "Prefix length", option[2])
        .flag("icmpv6.opt.prefix.flag.l", "On link", option[3] & 0x80 != 0)
        .flag(
            "icmpv6.opt.prefix.flag.a",
            "Autonomous",
            option[3] & 0x40 != 0,
        )
        .number(
            "icmpv6.opt.prefix.valid_lifetime",
            "Valid (s)",
            be32(option, 4),
        )
        .number(
            "icmpv6.opt.prefix.preferred_lifetime",
            "Preferred (s)",
            be32(option, 8),
        );
    if let Some(prefix) = address(option, 16) {
        build.address("icmpv6.opt.prefix", "Prefix", prefix);
    }
}

fn option_name(kind: u8) -> Option<Cow<'static, str>> {
    let name = match kind {
        1 => "Source link-layer address",
        2 => "Target link-layer address",
        3 => "Prefix information",
        4 => "Redirected header",
        5 => "MTU",
        14 => "Nonce",
        24 => "Route information",
        25 => "Recursive DNS server",
        31 => "DNS search list",
        _ => return None,
    };
    Some(Cow::Borrowed(name))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    bytes
        .get(at..)?
        .first_chunk::<16>()
        .map(|octets| Ipv6Addr::from(*octets))
}

fn mac(octets: &[u8]) -> String {
    let digits: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    digits.join(":")
}
