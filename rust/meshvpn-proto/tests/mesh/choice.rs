//! Which of several paths is taken, and what people are told of it.

use meshvpn_proto::node::Event;
use meshvpn_proto::path::agent::Route;
use meshvpn_proto::path::agent::status::CandidateState;

use crate::world::World;

#[test]
fn a_ping_says_which_way_it_went() {
    let mut world = World::pair(1);
    world.swallows = |_| true;
    let (now, peer) = (world.clock(), world.id(1));
    let pong = |world: &World, id: u64| {
        let events = world.hosts[0].events.iter();
        let mut pongs = events.filter_map(|(_, event)| match *event {
            Event::Pong {
                id: other,
                route,
                round_trip,
                ..
            } if other == id => Some((route, round_trip)),
            _ => None,
        });
        pongs.next()
    };
    assert!(world.hosts[0].node.ping(now, peer, 1));
    world.drain(0);
    world.time_until(1000, |world| pong(world, 1).is_some());
    assert_eq!(
        pong(&world, 1).unwrap(),
        (Route::Relayed, world.relay_delay * 2)
    );
    world.swallows = |_| false;
    world.flow(0, 1, 10);
    world.time_until(30_000, |world| world.is_direct(0, 1));
    let now = world.clock();
    assert!(world.hosts[0].node.ping(now, peer, 2));
    world.drain(0);
    world.time_until(1000, |world| pong(world, 2).is_some());
    assert_eq!(
        pong(&world, 2).unwrap(),
        (world.route(0, 1), world.delay * 2)
    );
}

#[test]
fn every_candidate_is_accounted_for() {
    let mut world = World::pair(1);
    world.flow(0, 1, 100);
    world.run(10_000);
    let status = world.hosts[0]
        .node
        .status(world.clock(), world.id(1))
        .unwrap();
    let states: Vec<_> = status
        .path
        .candidates
        .iter()
        .map(|candidate| candidate.state)
        .collect();
    assert_eq!(states, [CandidateState::Silent, CandidateState::InUse]);
    assert_eq!(status.path.candidates[0].pings, 9);
    assert_eq!(status.path.candidates[1].round_trip, Some(world.delay * 2));
    assert_eq!(status.path.round_trip, Some(world.delay * 2));
    let change = world.hosts[0].changes(world.id(1))[1].1.to_string();
    assert_eq!(
        change,
        "direct 203.0.113.2:20007, 20 ms, was relayed: it answers within 20 ms"
    );
}
