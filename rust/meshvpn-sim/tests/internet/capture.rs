//! Captures of links hold what a sniffer on that interface would see.

use std::time::Duration;

use meshvpn_proto::packet::dissect;
use meshvpn_sim::machines::Mailbox;
use meshvpn_sim::{Conditions, Internet, Kind};

/// The packets of a capture with their interfaces. The writer is tested elsewhere, by foreign readers.
fn packets(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut packets = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let (kind, length) = (number(at), number(at + 4) as usize);
        if kind == 6 {
            let captured = number(at + 20) as usize;
            packets.push((number(at + 8), file[at + 28..at + 28 + captured].to_vec()));
        }
        at += length;
    }
    packets
}

#[test]
fn both_sides_of_a_router_show_the_translation_with_right_checksums() {
    let mut net = Internet::new(1);
    let server = net.public_host("server", 1, Conditions::default());
    let home = net.home("alice", Kind::FullCone, Conditions::latency_ms(5));
    let [inner, outer] = net.router_links(home.routers[0]);
    net.capture(inner);
    net.capture(outer);
    let server = Mailbox::attach(&mut net, server, 9);
    let alice = Mailbox::attach(&mut net, home.host, 5000);
    let to = net.socket_address(server, 0, true).unwrap();
    net.with_machine(alice, |socket: &mut Mailbox, _| {
        socket.send(to, b"hello", None)
    });
    net.run_for(Duration::from_secs(1));
    let packets = packets(net.pcapng());
    let summaries: Vec<_> = packets
        .iter()
        .map(|(interface, packet)| {
            let dissection = dissect(packet);
            assert_eq!(dissection.defects, []);
            let ip = dissection.ip.unwrap();
            (*interface, ip.source.to_string(), ip.hop_limit)
        })
        .collect();
    let mapped = net.nat(home.routers[0]).addresses()[0].to_string();
    assert_eq!(summaries, [(0, "192.168.1.2".into(), 64), (1, mapped, 63)]);
}
