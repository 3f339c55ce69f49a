//! tshark as the judge: it reads our pcapng and must see in it what our layers show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use meshvpn_proto::packet::{
    Checksum, Packet, Transport, Value, Version, dissect, echo_reply, icmp_error, pcapng,
};

use crate::craft::{build, v4, v6};
use crate::samples;

/// Keys that are ours alone: tshark nests quoted packets, counts as data only what no dissector
/// wants, and shows the rest as text.
const OURS: [&str; 12] = [
    "data.data",
    "data.len",
    "icmp.quote.dst",
    "icmp.quote.dstport",
    "icmp.quote.proto",
    "icmp.quote.src",
    "icmp.quote.srcport",
    "icmp.rest",
    "ip.opt.data",
    "ipv6.opt.data",
    "ipv6.opt.type",
    "tcp.options.sack_perm",
];

/// When the first packet of the capture was seen; the next ones follow at a nanosecond each.
const START: Duration = Duration::new(1_700_000_000, 123_456_789);

#[test]
fn tshark_sees_the_same_fields() {
    let packets: Vec<Packet> = samples::sound()
        .into_iter()
        .map(|(_, _, bytes)| Packet::new(bytes))
        .collect();
    let keys: BTreeSet<&str> = packets
        .iter()
        .flat_map(Packet::layers)
        .flat_map(|layer| layer.fields)
        .map(|field| field.key)
        .filter(|key| !OURS.contains(key))
        .collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let Some(rows) = tshark(&packets, &keys) else {
        return;
    };
    assert_eq!(rows.len(), packets.len());

    let mut differences = Vec::new();
    let mut compared = 0;
    for (row, (packet, (name, ..))) in rows.iter().zip(packets.iter().zip(samples::sound())) {
        for (key, ours) in values(packet) {
            let Some(place) = keys.iter().position(|known| *known == key) else {
                continue;
            };
            // Behind our values come those of a packet quoted in an ICMP error.
            let theirs: Vec<String> = row[place]
                .split(';')
                .take(ours.len())
                .map(plain_number)
                .collect();
            if theirs != ours {
                differences.push(format!("{name}: {key}: ours {ours:?}, tshark's {theirs:?}"));
            }
            compared += 1;
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(compared > 500, "only {compared} fields were compared");
}

#[test]
fn tshark_reads_names_times_and_directions() {
    let packets = [
        Packet::new(samples::sound().swap_remove(0).2),
        Packet::new(vec![0x45; 61]),
    ];
    let keys = [
        "frame.interface_name",
        "frame.time_epoch",
        "frame.packet_flags_direction",
        "frame.len",
    ];
    let Some(rows) = tshark(&packets, &keys) else {
        return;
    };
    let first = packets[0].bytes().len().to_string();
    assert_eq!(
        rows[0],
        ["mesh0", "1700000000.123456789", "0x00000001", &first]
    );
    assert_eq!(
        rows[1],
        ["mesh0", "1700000000.123456790", "0x00000002", "61"]
    );
}

/// Also on packets with a wrong one, and on those that are answers of ours.
#[test]
fn tshark_agrees_on_checksums() {
    let mut packets: Vec<Vec<u8>> = samples::all()
        .into_iter()
        .map(|(_, _, bytes)| bytes)
        .collect();
    let mut out = [0; icmp_error::TOO_BIG_ROOM];
    for packet in [
        build!(v4().udp(1, 2), &[7; 1401]),
        build!(v6().udp(1, 2), &[7; 1401]),
    ] {
        let source = dissect(&packet).ip.unwrap().destination;
        let length = icmp_error::too_big(&packet, 1300, source, &mut out).unwrap();
        packets.push(out[..length].to_vec());
    }
    let answers: Vec<Vec<u8>> = packets
        .iter()
        .filter_map(|packet| echo_reply(packet))
        .collect();
    assert_eq!(answers.len(), 2);
    let packets: Vec<Packet> = packets
        .into_iter()
        .chain(answers)
        .map(Packet::new)
        .collect();

    let keys = ["ip", "tcp", "udp", "icmp", "icmpv6"].map(|key| format!("{key}.checksum.status"));
    let keys = keys.each_ref().map(String::as_str);
    let Some(rows) = tshark(&packets, &keys) else {
        return;
    };
    let (mut correct, mut wrong) = (0, 0);
    for (row, packet) in rows.iter().zip(&packets) {
        let header = match packet.ip.as_ref().map(|ip| &ip.version) {
            Some(Version::V4 { checksum, .. }) => *checksum,
            _ => Checksum::Absent,
        };
        let place = match packet.transport {
            Transport::Tcp(_) => 1,
            Transport::Udp(_) => 2,
            Transport::Icmp(_) => 3,
            _ => 4,
        };
        for (ours, theirs) in [(header, &row[0]), (packet.checksum, &row[place])] {
            // The first value is the packet's own; others belong to quoted packets.
            let theirs = theirs.split(';').next().unwrap();
            match ours {
                // It does not look into a packet whose header contradicts itself.
                _ if theirs.is_empty() => continue,
                Checksum::Correct => assert_eq!(theirs, "1", "{}", packet.summary()),
                // 4 is "illegal": none in UDP over IPv6.
                Checksum::Wrong { .. } => {
                    assert!(matches!(theirs, "0" | "4"), "{}", packet.summary());
                }
                Checksum::Absent | Checksum::Unverified => continue,
            }
            correct += usize::from(theirs == "1");
            wrong += usize::from(theirs != "1");
        }
    }
    assert!(
        correct > 70 && wrong >= 3,
        "{correct} correct and {wrong} wrong checksums"
    );
}

/// Our values as tshark writes them, by key, in order.
fn values(packet: &Packet) -> BTreeMap<&'static str, Vec<String>> {
    let mut values: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for field in packet.layers().into_iter().flat_map(|layer| layer.fields) {
        let text = match field.value {
            Value::Number(number) | Value::Hex(number, _) => number.to_string(),
            Value::Flag(set) => u8::from(set).to_string(),
            other => other.to_string(),
        };
        values.entry(field.key).or_default().push(text);
    }
    values
}

/// Numbers without their base; newer versions of tshark write True and False for bits.
fn plain_number(text: &str) -> String {
    match (text, text.strip_prefix("0x")) {
        ("True", _) => "1".into(),
        ("False", _) => "0".into(),
        (_, Some(digits)) if u64::from_str_radix(digits, 16).is_ok() => {
            u64::from_str_radix(digits, 16).unwrap_or(0).to_string()
        }
        _ => text.into(),
    }
}

/// The fields `keys` of each packet as tshark sees them in our capture of the packets, which go
/// in and out in turns. `None`, with a word on it, where there is no tshark.
fn tshark(packets: &[Packet], keys: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut file = Vec::new();
    pcapng::section_header("meshvpn", &mut file);
    pcapng::interface("mesh0", &mut file);
    let directions = [pcapng::Direction::Inbound, pcapng::Direction::Outbound];
    for (number, packet) in (0..).zip(packets) {
        let time = START + Duration::from_nanos(number);
        let direction = directions[number as usize % 2];
        pcapng::packet(0, time, Some(direction), packet.bytes(), &mut file);
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.pcapng", keys[0]));
    std::fs::write(&path, file).unwrap();

    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(&path)
        .args(["-n", "-T", "fields", "-E", "separator=/t"]);
    command.args(["-E", "occurrence=a", "-E", "aggregator=;"]);
    for preference in [
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
        "ip.defragment:FALSE",
        "ipv6.defragment:FALSE",
        "tcp.relative_sequence_numbers:FALSE",
    ] {
        command.args(["-o", preference]);
    }
    command.args(keys.iter().flat_map(|key| ["-e", key]));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            #[expect(
                clippy::print_stderr,
                reason = "the only way to say why a test is skipped"
            )]
            {
                eprintln!("skipped: tshark does not start: {error}");
            }
            return None;
        }
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    Some(
        text.lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect(),
    )
}
