//! Many peers: allowed IPs decide, slots come and go while threads read.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};

use meshvpn_proto::forward::{DropReason, IpView, Peers, SharedPeers};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::route::Prefix;
use meshvpn_proto::wireguard::{Limits, WireGuard};

use crate::net::{FAIR, Net};
use crate::node::path;

#[test]
fn a_hub_carries_packets_for_each_of_its_peers() {
    let mut net = Net::new(9, FAIR, 1);
    for spoke in 1..9 {
        net.introduce(0, spoke, None);
        net.flow(0, spoke, 500);
        net.flow(spoke, 0, 700);
    }
    net.run(150_000);
    for spoke in 1..9 {
        assert!(net.is_in_agreement(0, spoke));
        assert_eq!(net.nodes[spoke].arrived.len(), 300);
    }
    assert_eq!(net.nodes[0].arrived.len(), 8 * 215);
}

/// A source in another peer's allowed IPs is dropped, even where one's own hold it too, less closely.
#[test]
fn a_peer_may_not_speak_for_another() {
    let mut net = Net::new(3, FAIR, 1);
    net.introduce(0, 1, None);
    net.introduce(0, 2, None);
    let everything: Prefix = "10.0.0.0/8".parse().unwrap();
    let hub = &mut net.nodes[0].device;
    hub.edit_allowed_ips(|allowed| allowed.insert(everything, 0));
    net.send(1, 0);
    net.run(100);
    let inner = |last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
    for (source, may) in [(2, true), (200, true), (3, false), (1, true)] {
        let before = net.nodes[0].arrived.len();
        let now = net.clock(1);
        let (from, to) = (inner(source), inner(1));
        for (to, datagram) in net.nodes[1].send_from(now, from, to, 7) {
            assert_eq!(to, net.nodes[0].endpoint);
            let source = net.nodes[1].endpoint;
            net.nodes[0].receive(now, source, &datagram);
        }
        assert_eq!(net.nodes[0].arrived.len() > before, may, "{from}");
    }
    assert_eq!(net.nodes[0].tally.dropped(DropReason::SourceNotAllowed), 1);
}

#[test]
fn nobody_gets_what_nobody_owns() {
    let mut net = Net::new(3, FAIR, 1);
    net.introduce(0, 1, None);
    net.send(0, 2);
    assert_eq!(net.nodes[0].tally.dropped(DropReason::NoRoute), 1);
    let peer = net.acquaintance(2);
    net.meet(
        0,
        crate::node::Acquaintance {
            endpoint: None,
            ..peer
        },
    );
    net.send(0, 2);
    assert_eq!(net.nodes[0].tally.dropped(DropReason::NoEndpoint), 1);
    assert_eq!(net.transcript, []);
}

#[test]
fn a_removed_peer_is_gone() {
    let mut net = Net::new(2, FAIR, 1);
    net.introduce(0, 1, None);
    net.send(0, 1);
    net.run(100);
    let (now, key) = (net.clock(0), net.key(1));
    assert!(net.nodes[0].device.remove_peer(now, &key));
    assert!(!net.nodes[0].device.remove_peer(now, &key));
    let node = &net.nodes[0];
    assert_eq!(
        (node.table.indices_in_use(), node.device.poll_timeout()),
        (0, None)
    );
    assert_eq!(node.device.peers().count(), 0);
    net.send(1, 0);
    net.run(100);
    assert_eq!(net.nodes[0].tally.dropped(DropReason::UnknownSession), 1);
    net.run(16_000);
    assert_eq!(net.nodes[0].refused[&DropReason::UnknownPeer], 1);
    // Added again, it begins anew.
    let peer = net.acquaintance(1);
    net.meet(0, peer);
    net.send(0, 1);
    net.run(100);
    assert_eq!(net.nodes[1].arrived.len(), 2);
}

#[test]
fn another_private_key_ends_all_sessions() {
    let mut net = Net::new(2, FAIR, 1);
    net.introduce(0, 1, None);
    net.send(0, 1);
    net.run(100);
    let now = net.clock(0);
    let device = &mut net.nodes[0].device;
    let same = device.private_key().cloned();
    device.set_private_key(now, same);
    assert!(net.is_in_agreement(0, 1));
    let device = &mut net.nodes[0].device;
    device.set_private_key(now, Some(PrivateKey::new([99; 32])));
    assert_eq!(net.nodes[0].table.indices_in_use(), 0);
    net.send(0, 1);
    net.run(100);
    assert_eq!(net.nodes[1].refused[&DropReason::UnknownPeer], 1);
    let device = &mut net.nodes[0].device;
    device.set_private_key(now, None);
    assert_eq!(device.public_key(), None);
    net.send(0, 1);
    // Nobody is their own peer.
    let (device, peer) = (&mut net.nodes[0].device, PrivateKey::new([2; 32]));
    assert_eq!(device.peers().count(), 1);
    device.set_private_key(now, Some(peer));
    assert_eq!(device.peers().count(), 0);
}

/// The threads that forward look up, note and mark while the machine adds and removes.
#[test]
fn peers_come_and_go_while_threads_read() {
    let net = Net::new(1, FAIR, 1);
    let now = net.clock(0);
    let mut device = WireGuard::new(Limits::default(), [1; 32]);
    let table = device.table();
    let key = |number: u32| {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        PublicKey::new(bytes)
    };
    let address = |number: u32| Ipv4Addr::from(0x0a00_0000 + number);
    let fixed = device.add_peer(now, key(0), 1452).unwrap();
    device.edit_allowed_ips(|allowed| allowed.insert(Prefix::host(address(0).into()), fixed));
    device.set_endpoint(now, fixed, path("192.0.2.1:1".parse().unwrap()));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (table, is_over) = (&table, &is_over);
            scope.spawn(move || {
                let mut packet = [0; 20];
                (packet[0], packet[3]) = (0x45, 20);
                let mut number = thread;
                while !is_over.load(Ordering::Relaxed) {
                    number = (number + 1) % 3000;
                    packet[16..20].copy_from_slice(&address(number).octets());
                    let view = IpView::parse(&packet).unwrap();
                    let batch = table.batch();
                    if let Ok(slot) = batch.route(&view, &packet) {
                        if batch.slot(slot).noted.sent_data() {
                            batch.mark_active(slot);
                        }
                        assert!(number != 0 || batch.slot(slot).path.load().is_some());
                    } else {
                        assert_ne!(number, 0, "the fixed peer is always there");
                    }
                }
            });
        }
        for number in 1..3000 {
            let slot = device.add_peer(now, key(number), 1452).unwrap();
            device.edit_allowed_ips(|allowed| {
                allowed.insert(Prefix::host(address(number).into()), slot)
            });
            if number % 3 == 0 {
                assert!(device.remove_peer(now, &key(number - 1)));
            }
            if number % 100 == 0 {
                device.handle_activity(now);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(device.peers().count(), 3000 - 999);
    assert_eq!(device.slot_of(&key(0)), Some(fixed));
}

/// A slot is used again, but not while a batch may still name it.
#[test]
fn slots_are_used_again_after_a_while() {
    let mut net = Net::new(1, FAIR, 1);
    let mut device = WireGuard::new(Limits::default(), [1; 32]);
    let key = |byte| PublicKey::new([byte; 32]);
    let first = device.add_peer(net.clock(0), key(1), 1452).unwrap();
    device.remove_peer(net.clock(0), &key(1));
    net.run(59_000);
    let second = device.add_peer(net.clock(0), key(2), 1452).unwrap();
    assert_ne!(first, second);
    net.run(2_000);
    assert_eq!(device.add_peer(net.clock(0), key(3), 1452), Some(first));
    assert_eq!(
        device.add_peer(net.clock(0), key(3), 1452),
        Some(first),
        "it is there already"
    );
}
