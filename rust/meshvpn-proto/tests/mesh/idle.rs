//! What peers cost that nobody talks to.

use std::time::Duration;

use meshvpn_proto::path::agent::{Reason, Route};

use crate::world::World;

#[test]
#[expect(clippy::print_stdout, reason = "figures that people ask for")]
fn a_hundred_idle_peers_cost_nothing() {
    let mut world = World::new(1);
    let nat = world.add_nat(false);
    world.add_host(0, Some(nat));
    for number in 1..=100 {
        world.add_host(number, None);
    }
    world.introduce();
    world.run(60_000);
    assert_eq!(world.transcript.len(), 0, "nobody wants anyone yet");
    for peer in 1..=100 {
        world.send(0, peer);
    }
    let mut minutes = Vec::new();
    for _ in 0..6 {
        let since = world.now - world.start;
        world.run(60_000);
        minutes.push(world.sent_since(0, since).count());
    }
    println!("packets a minute to 100 peers, after one packet to each: {minutes:?}");
    let talking = world.hosts[1..].iter().all(|host| host.arrived.len() == 1);
    assert!(talking);
    assert!(minutes[1] <= 100 * 8, "{minutes:?}");
    assert_eq!(minutes[3..], [0, 0, 0]);
}

#[test]
fn who_comes_back_after_a_pause_loses_nothing() {
    let mut world = World::pair(1);
    for pause in [30, 100, 130, 170, 400, 3600] {
        for _ in 0..5 {
            world.send(0, 1);
            world.run(100);
        }
        world.time_until(3000, |world| world.is_direct(0, 1));
        world.run(pause * 1000);
        let status = world.hosts[0]
            .node
            .status(world.clock(), world.id(1))
            .unwrap();
        let expected = if pause < 120 { "direct" } else { "relayed" };
        let shown = status.path.route.to_string();
        assert!(shown.starts_with(expected), "after {pause} s: {shown}");
        if status.path.route == Route::Relayed {
            assert_eq!(status.path.reason, Reason::Idle);
        }
    }
    assert_eq!(world.lost(1), 0);
}

#[test]
fn a_path_that_nobody_uses_is_kept_open_for_two_minutes() {
    let mut world = World::pair(1);
    world.send(0, 1);
    world.time_until(3000, |world| world.is_direct(0, 1));
    let since = world.now - world.start;
    world.run(110_000);
    let pings = world.sent_since(0, since).filter(|sent| !sent.is_relayed());
    let pings = pings.count();
    assert!((4..=30).contains(&pings), "{pings}");
    world.relay_delay = Duration::from_secs(1);
    world.send(0, 1);
    world.run(100);
    assert_eq!(world.hosts[1].arrived.len(), 2, "the path is still open");
}
