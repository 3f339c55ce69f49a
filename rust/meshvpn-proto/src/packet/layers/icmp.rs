//! ICMP and ICMPv6 messages.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::{Build, Value, be16, be32, neighbor};
use crate::packet::{Body, Dissection, Icmp};

pub(super) fn v4(icmp: &Icmp, head: &[u8], dissection: &Dissection) -> Build {
    let mut build = Build::new("Internet Control Message Protocol", "icmp");
    build
        .number("icmp.type", "Type", icmp.kind)
        .meaning(icmp.name.map(Cow::Borrowed))
        .number("icmp.code", "Code", icmp.code)
        .meaning(icmp.code_name.map(Cow::Borrowed))
        .checksum("icmp.checksum", icmp.checksum, dissection.checksum);
    match icmp.body {
        Body::Query {
            identifier,
            sequence,
        } => {
            build.number("icmp.ident", "Identifier", identifier).number(
                "icmp.seq",
                "Sequence number",
                sequence,
            );
        }
        Body::Mtu(mtu) => {
            build.number("icmp.mtu", "MTU of next hop", mtu);
        }
        Body::Gateway(gateway) => {
            build.address("icmp.redir_gw", "Gateway", gateway);
        }
        Body::Pointer(pointer) => {
            build.number("icmp.pointer", "Pointer", pointer);
        }
        _ if head[4..8] != [0; 4] => {
            build.add(
                "icmp.rest",
                "Rest of header",
                Value::Bytes(head[4..8].to_vec()),
            );
        }
        _ => {}
    }
    // RFC 792: three times in milliseconds since midnight UT.
    if let (13 | 14, Some(times)) = (icmp.kind, head[8..].first_chunk::<12>()) {
        build
            .number(
                "icmp.originate_timestamp",
                "Originate time (ms)",
                be32(times, 0),
            )
            .number(
                "icmp.receive_timestamp",
                "Receive time (ms)",
                be32(times, 4),
            )
            .number(
                "icmp.transmit_timestamp",
                "Transmit time (ms)",
                be32(times, 8),
            );
    }
    quote(&mut build, icmp);
    build
}

pub(super) fn v6(icmp: &Icmp, head: &[u8], dissection: &Dissection) -> Build {
    let mut build = Build::new("Internet Control Message Protocol v6", "icmpv6");
    build
        .number("icmpv6.type", "Type", icmp.kind)
        .meaning(icmp.name.map(Cow::Borrowed))
        .number("icmpv6.code", "Code", icmp.code)
        .meaning(icmp.code_name.map(Cow::Borrowed))
        .checksum("icmpv6.checksum", icmp.checksum, dissection.checksum);
    match icmp.body {
        Body::Query {
            identifier,
            sequence,
        } => {
            build
                .hex("icmpv6.echo.identifier", "Identifier", identifier, 4)
                .number("icmpv6.echo.sequence_number", "Sequence number", sequence);
        }
        Body::Mtu(mtu) => {
            build.number("icmpv6.mtu", "MTU of next hop", mtu);
        }
        Body::Pointer(pointer) => {
            build.number("icmpv6.pointer", "Pointer", pointer);
        }
        Body::Group(group) => {
            build
                .number(
                    "icmpv6.mld.maximum_response_delay",
                    "Response delay (ms)",
                    be16(head, 4),
                )
                .address("icmpv6.mld.multicast_address", "Multicast group", group);
        }
        Body::Records(count) => {
            build.number("icmpv6.mldr.nb_mcast_records", "Records", count);
            records(&mut build, &head[8..]);
        }
        Body::Target(target) => neighbor::target(&mut build, icmp.kind, head, target),
        _ => {}
    }
    neighbor::rest(&mut build, icmp.kind, head);
    quote(&mut build, icmp);
    build
}

/// RFC 3810, 5.2: type, length of auxiliary data in words, number of sources, group, sources.
fn records(build: &mut Build, mut data: &[u8]) {
    while let Some((fixed, after)) = data.split_first_chunk::<20>() {
        let group = Ipv6Addr::from(fixed[4..].first_chunk().copied().unwrap_or([0; 16]));
        build
            .number("icmpv6.mldr.mar.record_type", "Record type", fixed[0])
            .meaning(record_type(fixed[0]))
            .address(
                "icmpv6.mldr.mar.multicast_address",
                "Multicast group",
                group,
            );
        let rest = usize::from(be16(fixed, 2)) * 16 + usize::from(fixed[1]) * 4;
        data = after.get(rest..).unwrap_or(&[]);
    }
}

fn record_type(kind: u8) -> Option<Cow<'static, str>> {
    let name = match kind {
        1 => "includes sources",
        2 => "excludes sources",
        3 => "changed to include",
        4 => "changed to exclude",
        5 => "allow new sources",
        6 => "block old sources",
        _ => return None,
    };
    Some(Cow::Borrowed(name))
}

/// What the quoted packet was. These keys are ours: a dissector would nest the packet.
fn quote(build: &mut Build, icmp: &Icmp) {
    let Some(quote) = icmp.quote else { return };
    build
        .address("icmp.quote.src", "Quoted source", quote.source)
        .address("icmp.quote.dst", "Quoted destination", quote.destination)
        .number("icmp.quote.proto", "Quoted protocol", quote.protocol.0)
        .meaning(Some(quote.protocol.to_string().into()));
    if let Some((from, to)) = quote.ports {
        build
            .number("icmp.quote.srcport", "Quoted source port", from)
            .number("icmp.quote.dstport", "Quoted destination port", to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listener_records_end_where_the_data_ends() {
        let mut record = vec![4, 0, 0xff, 0xff];
        record.extend(Ipv6Addr::LOCALHOST.octets());
        let mut build = Build::new("", "");
        records(&mut build, &record);
        assert_eq!(build.fields.len(), 2);
    }
}
