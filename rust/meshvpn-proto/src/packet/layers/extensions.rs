//! IPv6 extension headers and the authentication header.

use std::borrow::Cow;

use etherparse::{IpNumber, ip_number};

use super::ip::protocol;
use super::{Build, Layer, Value, be16, be32};
use crate::packet::ip::Extension;

pub(super) fn layer(bytes: &[u8], extension: &Extension) -> Layer {
    let header = &bytes[extension.range.clone()];
    let build = match IpNumber(extension.protocol.0) {
        ip_number::IPV6_HOP_BY_HOP => options(
            Build::new("IPv6 Hop-by-Hop Options", "ipv6.hopopts"),
            header,
        ),
        ip_number::IPV6_DEST_OPTIONS => options(
            Build::new("IPv6 Destination Options", "ipv6.dstopts"),
            header,
        ),
        ip_number::IPV6_ROUTE => routing(header),
        ip_number::IPV6_FRAG => fragment(header),
        // All that remains of what the reader steps over.
        _ => authentication(header),
    };
    build.into_layer(extension.range.clone())
}

/// RFC 8200, 4.2: type, length, data; type 0 is a single byte of padding.
fn options(mut build: Build, header: &[u8]) -> Build {
    let (next, length) = match build.key {
        "ipv6.hopopts" => ("ipv6.hopopts.nxt", "ipv6.hopopts.len_oct"),
        _ => ("ipv6.dstopts.nxt", "ipv6.dstopts.len_oct"),
    };
    protocol(&mut build, next, "Next header", header[0]);
    build.length(length, "Length", header.len());
    let mut rest = &header[2..];
    loop {
        match *rest {
            [0, ref after @ ..] => {
                build
                    .number("ipv6.opt.type", "Option", 0u8)
                    .meaning(option_name(0));
                rest = after;
            }
            [kind, length, ref after @ ..] if usize::from(length) <= after.len() => {
                let (data, after) = after.split_at(usize::from(length));
                build
                    .number("ipv6.opt.type", "Option", kind)
                    .meaning(option_name(kind));
                if !data.is_empty() {
                    build.add("ipv6.opt.data", "Option data", Value::Bytes(data.to_vec()));
                }
                rest = after;
            }
            _ => return build,
        }
    }
}

fn option_name(kind: u8) -> Option<Cow<'static, str>> {
    let name = match kind {
        0 => "Pad1",
        1 => "PadN",
        4 => "Tunnel encapsulation limit",
        5 => "Router alert",
        7 => "CALIPSO",
        38 => "Quick start",
        99 | 35 => "RPL",
        194 => "Jumbo payload",
        201 => "Home address",
        _ => return None,
    };
    Some(Cow::Borrowed(name))
}

fn routing(header: &[u8]) -> Build {
    let mut build = Build::new("IPv6 Routing Header", "ipv6.routing");
    protocol(&mut build, "ipv6.routing.nxt", "Next header", header[0]);
    let name = match header[2] {
        0 => "source route (deprecated)",
        2 => "mobile IPv6",
        3 => "RPL source route",
        4 => "segment routing",
        _ => "unknown",
    };
    build
        .length("ipv6.routing.len_oct", "Length", header.len())
        .number("ipv6.routing.type", "Type", header[2])
        .meaning(Some(Cow::Borrowed(name)))
        .number("ipv6.routing.segleft", "Segments left", header[3]);
    build
}

fn fragment(header: &[u8]) -> Build {
    let mut build = Build::new("IPv6 Fragment Header", "ipv6.fraghdr");
    protocol(&mut build, "ipv6.fraghdr.nxt", "Next header", header[0]);
    let offset_and_flags = be16(header, 2);
    build
        .fragment_offset("ipv6.fraghdr.offset", offset_and_flags >> 3)
        .flag(
            "ipv6.fraghdr.more",
            "More fragments",
            offset_and_flags & 1 != 0,
        )
        .hex("ipv6.fraghdr.ident", "Identification", be32(header, 4), 8);
    build
}

/// RFC 4302, 2.
fn authentication(header: &[u8]) -> Build {
    let mut build = Build::new("Authentication Header", "ah");
    protocol(&mut build, "ah.next_header", "Next header", header[0]);
    build
        .number("ah.length", "Length (words less 2)", header[1])
        .hex("ah.spi", "Security parameters index", be32(header, 4), 8)
        .number("ah.sequence", "Sequence number", be32(header, 8))
        .add(
            "ah.icv",
            "Integrity check value",
            Value::Bytes(header[12..].to_vec()),
        );
    build
}
