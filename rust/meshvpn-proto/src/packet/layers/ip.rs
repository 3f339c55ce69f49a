//! The fixed IP headers, with IPv4's options.

use std::borrow::Cow;

use super::{Build, Layer, Value, be16};
use crate::packet::ip::{Ip, Protocol, Version, ipv4_options};

pub(super) fn layer(header: &[u8], ip: &Ip) -> Layer {
    let build = match &ip.version {
        Version::V4 {
            identification,
            dont_fragment,
            checksum,
        } => {
            let mut build = Build::new("Internet Protocol Version 4", "ip");
            build
                .number("ip.version", "Version", 4u8)
                .length("ip.hdr_len", "Header length", header.len())
                .number("ip.dsfield.dscp", "Differentiated services", ip.dscp)
                .number("ip.dsfield.ecn", "Congestion notification", ip.ecn)
                .meaning(ecn_name(ip.ecn))
                .number("ip.len", "Total length", be16(header, 2))
                .hex("ip.id", "Identification", *identification, 4)
                .flag("ip.flags.rb", "Reserved bit", header[6] & 0x80 != 0)
                .flag("ip.flags.df", "Don't fragment", *dont_fragment)
                .flag("ip.flags.mf", "More fragments", header[6] & 0x20 != 0)
                .fragment_offset("ip.frag_offset", be16(header, 6) & 0x1fff)
                .number("ip.ttl", "Time to live", ip.hop_limit);
            protocol(&mut build, "ip.proto", "Protocol", header[9]);
            build
                .checksum("ip.checksum", be16(header, 10), *checksum)
                .address("ip.src", "Source", ip.source)
                .address("ip.dst", "Destination", ip.destination);
            options(&mut build, &header[20..]);
            build
        }
        Version::V6 { flow_label } => {
            let mut build = Build::new("Internet Protocol Version 6", "ipv6");
            build
                .number("ipv6.version", "Version", 6u8)
                .number("ipv6.tclass.dscp", "Differentiated services", ip.dscp)
                .number("ipv6.tclass.ecn", "Congestion notification", ip.ecn)
                .meaning(ecn_name(ip.ecn))
                .hex("ipv6.flow", "Flow label", *flow_label, 5)
                .number("ipv6.plen", "Payload length", be16(header, 4));
            protocol(&mut build, "ipv6.nxt", "Next header", header[6]);
            build
                .number("ipv6.hlim", "Hop limit", ip.hop_limit)
                .address("ipv6.src", "Source", ip.source)
                .address("ipv6.dst", "Destination", ip.destination);
            build
        }
    };
    build.into_layer(ip.header.clone())
}

/// A protocol number with its name.
pub(super) fn protocol(build: &mut Build, key: &'static str, label: &'static str, number: u8) {
    build
        .number(key, label, number)
        .meaning(Some(Protocol(number).to_string().into()));
}

fn ecn_name(ecn: u8) -> Option<Cow<'static, str>> {
    let name = match ecn {
        0 => "not capable",
        1 => "ECT(1)",
        2 => "ECT(0)",
        _ => "congestion experienced",
    };
    Some(Cow::Borrowed(name))
}

/// The options by name; a list that breaks off ends here as it does on the wire.
fn options(build: &mut Build, list: &[u8]) {
    for (kind, data) in ipv4_options(list).flatten() {
        let name = match kind {
            1 => "No operation",
            7 => "Record route",
            68 => "Timestamp",
            130 => "Security",
            131 => "Loose source route",
            136 => "Stream identifier",
            137 => "Strict source route",
            148 => "Router alert",
            _ => "Unknown",
        };
        build
            .number("ip.opt.type", "Option", kind)
            .meaning(Some(Cow::Borrowed(name)));
        if !data.is_empty() {
            build.add("ip.opt.data", "Option data", Value::Bytes(data.to_vec()));
        }
    }
}
