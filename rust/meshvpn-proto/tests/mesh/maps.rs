//! What a new map changes, and what it leaves alone.

use meshvpn_proto::control::map::{Map, NodeId};
use meshvpn_proto::forward::DropReason;
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::node::Event;
use meshvpn_proto::path::agent::Route;

use crate::world::{Sent, World};

fn change(world: &mut World, host: usize, change: impl FnOnce(&mut Map)) {
    let mut map = world.hosts[host].node.map().clone();
    map.version += 1;
    change(&mut map);
    let now = world.clock();
    world.hosts[host].node.apply_map(now, map);
    world.drain(host);
}

fn three() -> World {
    let mut world = World::new(1);
    for number in 0..3 {
        world.add_host(number, None);
    }
    world.introduce();
    for peer in [1, 2] {
        world.send(0, peer);
    }
    world.run(1000);
    world
}

#[test]
fn nothing_passes_before_the_map_allows_it_but_pings() {
    let mut world = World::pair(1);
    for host in [0, 1] {
        change(&mut world, host, |map| map.allow_all = false);
    }
    world.send(0, 1);
    world.run(1000);
    assert_eq!(world.hosts[0].dropped(DropReason::Denied), 1);
    // The receiver does not rely on the sender.
    change(&mut world, 0, |map| map.allow_all = true);
    world.send(0, 1);
    world.run(1000);
    assert_eq!(world.hosts[1].dropped(DropReason::Denied), 1);
    assert!(world.hosts[1].arrived.is_empty());
    let (now, peer) = (world.clock(), world.id(1));
    assert!(world.hosts[0].node.ping(now, peer, 5));
    world.drain(0);
    world.run(1000);
    let events = &world.hosts[0].events;
    assert!(
        events
            .iter()
            .any(|(_, event)| matches!(event, Event::Pong { id: 5, .. }))
    );
    change(&mut world, 1, |map| map.allow_all = true);
    world.send(0, 1);
    world.run(1000);
    assert_eq!(world.hosts[1].arrived.len(), 1);
}

#[test]
fn a_peer_that_goes_disturbs_no_other() {
    let mut world = three();
    let status = |world: &World| {
        let status = world.hosts[0]
            .node
            .status(world.clock(), NodeId(1))
            .unwrap();
        (status.slot, status.last_handshake, status.path.route)
    };
    let before = status(&world);
    change(&mut world, 0, |map| drop(map.peers.remove(&NodeId(2))));
    assert!(
        world.hosts[0]
            .node
            .status(world.clock(), NodeId(2))
            .is_none()
    );
    assert_eq!(world.hosts[0].node.named("node-2"), None);
    world.send(0, 2);
    world.send(0, 1);
    world.run(1000);
    assert_eq!(status(&world), before);
    assert_eq!(world.hosts[1].arrived.len(), 2);
    assert_eq!(world.hosts[2].arrived.len(), 1);
    assert_eq!(world.hosts[0].dropped(DropReason::NoRoute), 1);
}

#[test]
fn a_peer_with_a_new_key_is_the_same_peer_elsewhere() {
    let mut world = three();
    let key = PrivateKey::new([99; 32]);
    let public = key.public_key();
    world.hosts[1].key = key.clone();
    let now = world.clock();
    world.hosts[1].node.set_private_key(now, key);
    for host in [0, 2] {
        change(&mut world, host, |map| {
            map.peers.get_mut(&NodeId(1)).unwrap().key = public;
        });
    }
    let asked = world.hosts[0]
        .events
        .iter()
        .rev()
        .find_map(|(_, event)| match event {
            Event::Relay { peer, key, .. } if *peer == NodeId(1) => Some(*key),
            _ => None,
        });
    assert_eq!(asked, Some(public), "its address on the relay is another");
    world.send(0, 1);
    world.send(1, 2);
    world.run(2000);
    assert_eq!(world.hosts[1].arrived.len(), 2);
    assert_eq!(world.hosts[2].arrived.len(), 2);
}

#[test]
fn a_static_peer_gets_no_probes_and_roams() {
    let mut world = World::new(1);
    for number in 0..2 {
        world.add_host(number, None);
    }
    world.introduce();
    for host in [0, 1] {
        change(&mut world, host, |map| {
            map.peers
                .values_mut()
                .for_each(|peer| peer.is_static = true);
        });
    }
    world.flow(0, 1, 50);
    world.flow(1, 0, 50);
    world.run(5000);
    world.hosts[1].address.set_ip([203, 0, 113, 77].into());
    world.run(5000);
    world.end_flows();
    world.run(200);
    let moved = world.hosts[1].address;
    let route = world.route(0, 1);
    assert_eq!(route, Route::Direct(moved));
    assert!(world.lost(1) < world.hosts[0].arrived.len() as u64 + 5);
    // Handshakes, keepalives and packets: nothing else, and nothing over the relay.
    let is_known = |sent: &&Sent| matches!(sent.datagram.len(), 148 | 92 | 32 | 64);
    assert!(
        world
            .transcript
            .iter()
            .all(|sent| !sent.is_relayed() && is_known(&sent))
    );
    let (now, other) = (world.clock(), world.id(1));
    assert!(!world.hosts[0].node.ping(now, other, 1));
}

#[test]
fn names_and_addresses_find_nodes() {
    let mut world = three();
    change(&mut world, 0, |map| {
        let node = map.peers.get_mut(&NodeId(1)).unwrap();
        node.routes = vec!["10.0.0.0/8".parse().unwrap(), "0.0.0.0/0".parse().unwrap()];
    });
    let node = &mut world.hosts[0].node;
    for name in [
        "node-1",
        "NODE-1",
        "node-1.mesh.internal",
        "Node-1.Mesh.Internal.",
    ] {
        assert_eq!(node.named(name), Some(NodeId(1)), "{name}");
    }
    for name in ["node-9", "mesh.internal", "node-1.example", "node-1.", ""] {
        let expected = (name == "node-1.").then_some(NodeId(1));
        assert_eq!(node.named(name), expected, "{name}");
    }
    assert_eq!(
        node.resolve("node-0"),
        ["100.64.0.1".parse::<core::net::IpAddr>().unwrap()]
    );
    assert_eq!(node.whois("100.64.0.2".parse().unwrap()), Some(NodeId(1)));
    assert_eq!(node.next_hop("10.1.2.3".parse().unwrap()), Some(NodeId(1)));
    assert_eq!(
        node.next_hop("192.0.2.1".parse().unwrap()),
        None,
        "an exit node has to be chosen"
    );
    node.set_exit_node(Some(NodeId(1)));
    assert_eq!(node.next_hop("192.0.2.1".parse().unwrap()), Some(NodeId(1)));
    node.set_exit_node(None);
    assert_eq!(node.next_hop("192.0.2.1".parse().unwrap()), None);
}
