//! Seeds for the fuzzer: courses of events between two devices, and messages of theirs.

use std::path::Path;

use crate::net::{FAIR, Net};

/// Steps of the target `wireguard`: which device wants a session, time, delivery of the newest or an older
/// message, a change on the way, a restart.
const WANT: [u8; 2] = [4, 5];
const WAIT: u8 = 2;
const DELIVER: u8 = 8;
const CHANGE: u8 = 6;
const RESTART: u8 = 0;

#[test]
#[ignore = "writes fuzz/corpus: run it after changing what the targets read"]
fn write_seeds() {
    let [a, b] = WANT.map(|want| [want, 0]);
    let newest = [DELIVER, 0];
    let handshake = [a, newest, newest, newest].concat();
    let again = [&handshake[..], &[DELIVER, 1, DELIVER, 2, DELIVER, 3]].concat();
    let restart = [&handshake[..], &[RESTART, 0], &handshake].concat();
    let late = [&handshake[..], &[WAIT, 255].repeat(8), &b, &newest, &newest].concat();
    let give_up = [&a[..], &[WAIT, 60].repeat(18), &handshake].concat();
    let crossing = [
        &a[..],
        &b,
        &[DELIVER, 0, DELIVER, 2, DELIVER, 1],
        &newest,
        &newest,
    ]
    .concat();
    let changes: Vec<u8> = (0..8)
        .flat_map(|place| [CHANGE | place << 4, place])
        .collect();
    let changed = [&a[..], &changes, &newest, &changes, &newest, &newest].concat();
    for (name, steps) in [
        ("handshake", handshake),
        ("again", again),
        ("restart", restart),
        ("late", late),
        ("give-up", give_up),
        ("both-at-once", crossing),
        ("changed", changed),
    ] {
        write("wireguard", name, &steps);
    }
    let mut net = Net::pair(FAIR, 1);
    net.send(1, 0);
    net.run(100);
    for sent in &net.transcript {
        // The target's device must make nothing of them, and its keys are those of this pair.
        let mut datagram = sent.datagram.clone();
        let middle = datagram.len() / 2;
        datagram[middle] ^= 1;
        let name = format!("type-{}-of-{}", sent.kind(), datagram.len());
        write("handshake_message", &name, &datagram);
    }
    for (name, kind, len) in [
        ("cookie", 3, 64),
        ("too-short", 1, 147),
        ("too-long", 2, 93),
    ] {
        let mut datagram = vec![7; len];
        datagram[..4].copy_from_slice(&[kind, 0, 0, 0]);
        write("handshake_message", name, &datagram);
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    std::fs::create_dir_all(&corpus).unwrap();
    std::fs::write(corpus.join(name), bytes).unwrap();
}
