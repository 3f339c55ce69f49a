//! Nodes that move, with and without saying so.

use std::time::Duration;

use meshvpn_proto::path::agent::Route;

use crate::world::World;

/// How long after `since` the last packet was lost, or none was.
fn streaming(seed: u64) -> World {
    let mut world = World::pair(seed);
    world.flow(0, 1, 1000);
    world.time_until(3000, |world| world.is_direct(0, 1));
    world.run(3000 + seed * 37 % 250);
    world
}

/// Lets the stream end, and checks that less than a second of it was lost, and that there is a direct path.
fn conclude(mut world: World) {
    world.time_until(5000, |world| world.is_direct(0, 1));
    world.run(3000);
    assert!(world.is_direct(0, 1));
    world.end_flows();
    world.run(200);
    let lost = world.lost(1);
    assert!(lost < 1000, "{lost} packets lost");
}

#[test]
fn a_nat_that_forgets_on_the_senders_side_costs_less_than_a_second() {
    for seed in 0..10 {
        let mut world = streaming(seed);
        world.nats[0].reboot();
        world.run(3000);
        conclude(world);
    }
}

#[test]
fn a_nat_that_forgets_on_the_receivers_side_costs_less_than_a_second() {
    for seed in 0..10 {
        let mut world = streaming(seed);
        world.nats[1].reboot();
        world.run(3000);
        conclude(world);
    }
}

#[test]
fn a_node_that_moves_and_says_so_is_followed_at_once() {
    for (mover, seed) in [(0, 0), (1, 1), (0, 2), (1, 3)] {
        let mut world = streaming(seed);
        let before = world.route(0, 1);
        let nat = world.add_nat(false);
        world.hosts[mover].nat = Some(nat);
        world.hosts[mover]
            .address
            .set_ip([192, 168, nat as u8, 77].into());
        world.ask_stun(mover);
        let back = world.time_until(5000, |world| {
            let route = world.route(0, 1);
            matches!(route, Route::Direct(_)) && (mover == 0 || route != before)
        });
        assert!(back < Duration::from_secs(1), "{back:?}");
        conclude(world);
    }
}

#[test]
fn when_both_move_at_once_they_find_each_other_over_the_relay() {
    for seed in 0..5 {
        let mut world = streaming(seed);
        for mover in [0, 1] {
            let nat = world.add_nat(false);
            world.hosts[mover].nat = Some(nat);
            world.hosts[mover]
                .address
                .set_ip([192, 168, nat as u8, 77].into());
        }
        let before = world.route(0, 1);
        world.ask_stun(0);
        world.ask_stun(1);
        let back = world.time_until(5000, |world| {
            world.is_direct(0, 1) && world.route(0, 1) != before
        });
        assert!(back < Duration::from_secs(1), "{back:?}");
        conclude(world);
    }
}
