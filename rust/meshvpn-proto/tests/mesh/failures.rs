//! Paths that die, heal, or only seem to work.

use std::time::Duration;

use meshvpn_proto::path::agent::{Reason, Route};

use crate::world::World;

/// Two nodes with a direct path, and 1,000 packets a second on it.
fn streaming(seed: u64) -> World {
    let mut world = World::pair(seed);
    world.flow(0, 1, 1000);
    world.time_until(3000, |world| world.is_direct(0, 1));
    // Any moment between two pings.
    world.run(3000 + seed * 37 % 250);
    world
}

#[test]
#[expect(clippy::print_stdout, reason = "figures that people ask for")]
fn a_direct_path_that_dies_costs_less_than_a_second_and_one_that_heals_is_used_again_within_two() {
    let mut worst = (0, Duration::ZERO);
    for seed in 0..8 {
        let mut world = streaming(seed);
        world.swallows = |_| true;
        // Shorter and longer than NATs remember.
        world.run(if seed % 2 == 0 { 10_000 } else { 70_000 });
        let died = world.lost(1);
        assert!((1..1000).contains(&died), "{died} packets lost");
        assert_eq!(world.route(0, 1), Route::Relayed);
        let reason = world.hosts[0].changes(world.id(1)).last().unwrap().1.reason;
        assert!(matches!(reason, Reason::Silent { .. }), "{reason}");

        world.swallows = |_| false;
        let healed = world.time_until(10_000, |world| world.is_direct(0, 1));
        assert!(healed < Duration::from_secs(2), "{healed:?}");
        world.run(3000);
        assert!(world.is_direct(0, 1));
        world.end_flows();
        world.run(200);
        assert!(world.lost(1) <= died, "going back loses nothing");
        worst = (worst.0.max(died), worst.1.max(healed));
    }
    println!(
        "lost at most {} ms, back after at most {:?}",
        worst.0, worst.1
    );
}

#[test]
fn one_direction_that_dies_is_noticed_too() {
    for seed in 0..5 {
        let mut world = streaming(seed);
        world.flow(1, 0, 1000);
        world.run(1000);
        world.swallows = |sent| sent.from == 0;
        world.run(3000);
        assert_eq!(world.route(0, 1), Route::Relayed);
        world.end_flows();
        world.run(200);
        let lost = world
            .lost(1)
            .saturating_sub(world.hosts[0].arrived.len() as u64);
        assert!(lost < 1000, "{lost} packets lost");
    }
}

#[test]
fn a_relay_that_dies_takes_nothing_from_a_direct_path() {
    let mut world = streaming(1);
    let before = world.hosts[0].changes(world.id(1)).len();
    world.set_relay(false);
    world.run(10_000);
    world.set_relay(true);
    world.run(3000);
    world.end_flows();
    world.run(200);
    assert_eq!(world.lost(1), 0);
    assert_eq!(world.hosts[0].changes(world.id(1)).len(), before);
}

#[test]
fn a_path_that_answers_pings_and_loses_data_is_left() {
    let mut world = streaming(1);
    // Data messages with packets of the stream in them; probes have other lengths.
    world.swallows = |sent| sent.from == 0 && sent.datagram.len() == 64;
    let left = world.time_until(10_000, |world| !world.is_direct(0, 1));
    assert!(left < Duration::from_secs(4), "{left:?}");
    let reason = world.hosts[0].changes(world.id(1)).last().unwrap().1.reason;
    let Reason::LosesData { arrived: 0, .. } = reason else {
        panic!("{reason}")
    };
    world.run(10_000);
    assert_eq!(
        world.route(0, 1),
        Route::Relayed,
        "it is not trusted again at once"
    );
    world.swallows = |_| false;
    world.time_until(30_000, |world| world.is_direct(0, 1));
}

#[test]
fn a_path_that_flaps_is_trusted_less_each_time() {
    let mut world = streaming(1);
    let mut last = Duration::ZERO;
    for _ in 0..5 {
        world.swallows = |_| true;
        world.time_until(2000, |world| !world.is_direct(0, 1));
        world.run(3000);
        world.swallows = |_| false;
        let back = world.time_until(30_000, |world| world.is_direct(0, 1));
        world.run(1000);
        last = last.max(back);
    }
    assert!(last > Duration::from_secs(3), "{last:?}");
}

#[test]
fn a_node_that_was_killed_is_back_soon() {
    for seed in 0..5 {
        let mut world = streaming(seed);
        world.restart(1);
        world.hosts[1].arrived.clear();
        let back = world.time_until(10_000, |world| !world.hosts[1].arrived.is_empty());
        assert!(back < Duration::from_secs(3), "{back:?}");
        world.time_until(10_000, |world| world.is_direct(0, 1));
    }
}
