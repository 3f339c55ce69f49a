//! From the first packet over the relay to a direct path.

use std::time::Duration;

use meshvpn_proto::path::agent::{Reason, Route};

use crate::world::World;

#[test]
fn the_first_packet_takes_the_relay_and_no_packet_is_lost_on_the_way_to_a_direct_path() {
    for seed in 0..20 {
        let mut world = World::pair(seed);
        world.flow(0, 1, 1000);
        let first = world.time_until(500, |world| !world.hosts[1].arrived.is_empty());
        assert_eq!(world.route(0, 1), Route::Relayed);
        // A handshake of one round trip, and half a one for the packet.
        assert!(first <= world.relay_delay * 3, "{first:?}");
        let direct = world.time_until(3000, |world| world.is_direct(0, 1));
        assert!(direct < Duration::from_millis(500), "{direct:?}");
        world.run(5000);
        assert!(world.is_direct(1, 0), "both sides choose it");
        world.end_flows();
        world.run(200);
        assert_eq!(world.lost(1), 0);
        let (_, change) = world.hosts[0].changes(world.id(1))[1];
        assert!(matches!(change.reason, Reason::Answered { .. }), "{change}");
        assert_eq!(change.before, Route::Relayed);
    }
}

#[test]
fn loss_delays_a_direct_path_and_loses_only_what_the_path_loses() {
    for seed in 0..10 {
        let mut world = World::pair(seed);
        world.loss = 10;
        world.jitter = 5000;
        world.flow(0, 1, 100);
        let direct = world.time_until(3000, |world| world.is_direct(0, 1));
        assert!(direct < Duration::from_secs(2), "{direct:?}");
        world.run(20_000);
        world.end_flows();
        world.run(200);
        let lost = world.lost(1);
        assert!(lost < 300, "{lost} of 2,000");
        let changes = world.hosts[0].changes(world.id(1)).len();
        assert!(changes <= 8, "it flaps: {changes} changes");
    }
}

#[test]
fn a_symmetric_nat_is_met_by_learning_where_pings_come_from() {
    let mut world = World::new(1);
    let nat = world.add_nat(true);
    world.add_host(0, Some(nat));
    world.add_host(1, None);
    world.introduce();
    world.send(1, 0);
    world.time_until(3000, |world| world.is_direct(0, 1) && world.is_direct(1, 0));
    let status = world.hosts[1]
        .node
        .status(world.clock(), world.id(0))
        .unwrap();
    let Route::Direct(address) = status.path.route else {
        panic!("{status:?}")
    };
    let told = world.hosts[0].node.candidates();
    assert!(told.iter().all(|candidate| candidate.address != address));
}

#[test]
fn two_symmetric_nats_are_left_to_the_relay_which_says_why_within_the_budget() {
    let mut world = World::new(1);
    for number in 0..2 {
        let nat = world.add_nat(true);
        world.add_host(number, Some(nat));
    }
    world.introduce();
    world.flow(0, 1, 100);
    world.run(8000);
    world.end_flows();
    world.run(200);
    assert_eq!(world.lost(1), 0);
    for (own, peer) in [(0, 1), (1, 0)] {
        let status = world.hosts[own]
            .node
            .status(world.clock(), world.id(peer))
            .unwrap();
        assert_eq!(status.path.route, Route::Relayed);
        let Reason::NoAnswer { addresses, pings } = status.path.reason else {
            panic!("{}", status.path.reason)
        };
        assert!((2..=8).contains(&addresses), "{addresses} addresses");
        assert!(pings <= 9 * addresses && pings <= 100, "{pings} pings");
        let direct = world
            .sent_since(own, Duration::ZERO)
            .filter(|sent| !sent.is_relayed());
        let direct = direct.count();
        assert!(direct <= 100, "{direct} packets");
    }
}

#[test]
fn two_nodes_in_one_network_use_it() {
    let mut world = World::new(1);
    let nat = world.add_nat(false);
    world.add_host(0, Some(nat));
    world.add_host(1, Some(nat));
    world.introduce();
    world.flow(0, 1, 10);
    world.time_until(3000, |world| world.is_direct(0, 1));
    assert_eq!(world.route(0, 1), Route::Direct(world.hosts[1].address));
}

#[test]
fn without_a_relay_the_addresses_that_the_map_has_are_enough() {
    let mut world = World::new(1);
    world.is_relay_up = false;
    let nat = world.add_nat(false);
    world.add_host(0, None);
    world.add_host(1, Some(nat));
    world.introduce();
    world.flow(1, 0, 100);
    let first = world.time_until(1000, |world| !world.hosts[0].arrived.is_empty());
    assert!(first <= world.delay * 3, "{first:?}");
    world.run(3000);
    world.end_flows();
    world.run(200);
    assert_eq!(world.lost(0), 0);
}

#[test]
fn a_relay_that_comes_late_brings_the_first_packet_at_once() {
    let mut world = World::pair(1);
    world.set_relay(false);
    world.swallows = |_| true;
    world.send(0, 1);
    world.run(3000);
    assert!(world.hosts[1].arrived.is_empty());
    world.set_relay(true);
    let first = world.time_until(4000, |world| !world.hosts[1].arrived.is_empty());
    assert!(first <= world.relay_delay * 3, "{first:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let course = |seed| {
        let mut world = World::pair(seed);
        world.loss = 5;
        world.flow(0, 1, 50);
        world.flow(1, 0, 20);
        world.run(10_000);
        world.swallows = |_| true;
        world.run(3000);
        world.swallows = |_| false;
        world.run(3000);
        world.transcript
    };
    assert!(course(1) == course(1));
    assert!(course(1) != course(2));
}
