//! Seeds for the fuzzer from the packets of these tests.

use std::path::{Path, PathBuf};

use meshvpn_proto::packet::{Dissection, dissect};

use crate::craft::*;
use crate::samples;

/// Names of seeds tell what is in them.
#[test]
#[ignore = "writes fuzz/corpus: run it after adding a kind of packet"]
fn write_seeds() {
    for (name, _, bytes) in samples::all() {
        write("packet_parse", name, &bytes);
        if !meets_rules_of_its_own(&dissect(&bytes)) {
            continue;
        }
        write(
            "packet_too_big",
            name,
            &[&1300u16.to_be_bytes()[..], &bytes].concat(),
        );
    }
    for (name, packet) in [
        ("UDP over v4", build!(v4().udp(1, 2), &[7; 1400])),
        ("UDP over v6", build!(v6().udp(1, 2), &[7; 1400])),
        ("ICMP error", icmp(3, 3, [0; 4], &[7; 1400])),
        (
            "later v6 fragment",
            fragments(&v6_raw(58, &[1; 3000]), 9, &[160]).remove(1),
        ),
    ] {
        write(
            "packet_too_big",
            name,
            &[&1300u16.to_be_bytes()[..], &packet].concat(),
        );
    }

    let old = fragments(&v4_raw(253, &[1; 100]), 0, &[2, 7]);
    let new = fragments(&v6_raw(253, &[1; 100]), 7, &[2, 7]);
    let overlap = fragments(&v4_raw(253, &[1; 100]), 0, &[3]).remove(1);
    for (name, seconds, pieces) in [
        ("in order", 0, vec![&old[0], &old[1], &old[2]]),
        ("v6 backwards", 1, vec![&new[2], &new[1], &new[0]]),
        (
            "mixed with a duplicate",
            0,
            vec![&new[1], &old[0], &new[1], &old[1], &new[0], &new[2]],
        ),
        ("overlap", 0, vec![&old[0], &old[1], &overlap, &old[2]]),
        ("too late", 20, vec![&old[0], &old[1], &old[2]]),
    ] {
        let records: Vec<u8> = pieces
            .into_iter()
            .flat_map(|piece| record(seconds, piece))
            .collect();
        write("packet_reassemble", name, &records);
    }
    let ping = build!(v4().icmpv4_echo_request(1, 2), b"data");
    let capture = [
        record(0, b"meshvpn"),
        record(1, b"mesh0"),
        record(2, &ping),
        record(
            3,
            b"PRESHARED_KEY = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        ),
        record(4, &ping),
    ];
    for length in 1..=5 {
        write(
            "pcapng",
            &format!("{length} blocks"),
            &capture[..length].concat(),
        );
    }
    write(
        "pcapng",
        "largest time",
        &[record(254, &ping), record(62, b"")].concat(),
    );
    write("pcapng", "cut", &capture.concat()[..20]);
}

/// Of packets without fragments and extension headers, the plain ones below stand for all.
fn meets_rules_of_its_own(dissection: &Dissection) -> bool {
    dissection
        .ip
        .as_ref()
        .is_some_and(|ip| ip.fragment.is_some() || !ip.extensions.is_empty())
}

/// An entry of the lists that some targets take: a byte, a length, the bytes.
fn record(first: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[first, length[0], length[1]], bytes].concat()
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let corpus: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    std::fs::create_dir_all(&corpus).unwrap();
    std::fs::write(corpus.join(name.replace(' ', "-")), bytes).unwrap();
}
