//! No coordinator owns the state.

use meshvpn_proto::control::client::Status;
use meshvpn_proto::control::messages::Reason;

use super::world::World;
use crate::coordinator::config::Config;
use crate::coordinator::request::{NewKey, Request, RequestError};

fn config(instance: &str) -> Config {
    Config {
        instance: instance.to_owned(),
        ..Config::default()
    }
}

#[test]
fn two_coordinators_on_one_store_serve_one_mesh() {
    let mut world = World::new(config("a"));
    world.start(config("b"));
    let key = world.key(NewKey {
        reusable: true,
        ..NewKey::default()
    });
    let nodes: Vec<_> = (1..7)
        .map(|seed| world.add_at(usize::from(seed % 2), seed, Some(key.clone()), &[]))
        .collect();
    // The first follows only when it writes: then it finds that it is behind, and decides anew.
    world
        .ask(Request::Tag("n2".to_owned(), vec!["x".to_owned()]))
        .unwrap();
    assert!(world.coordinators[0].counters().conflicts > 0);
    for node in nodes {
        assert_eq!(world.map(node).len(), 5, "{node}");
        assert_eq!(world.nodes[node].client.status(), Status::Up);
    }
    let versions = [0, 1].map(|number| world.coordinators[number].version());
    assert_eq!(versions[0], versions[1]);
}

#[test]
fn a_one_time_key_admits_one_machine_whichever_coordinator_is_asked() {
    let mut world = World::new(config("a"));
    let key = world.key(NewKey::default());
    world.start(config("b"));
    let first = world.add_at(1, 1, Some(key.clone()), &[]);
    assert_eq!(world.nodes[first].client.status(), Status::Up);
    let second = world.add_at(0, 2, Some(key), &[]);
    assert_eq!(world.refusal(second).reason, Reason::AuthKeyInvalid);
}

#[test]
fn what_the_store_has_not_taken_is_not_acknowledged() {
    let mut world = World::new(config("a"));
    let a = world.member(1);
    let key = world.key(NewKey::default());
    world.failure = Some("disk full".to_owned());
    let b = world.add(2, Some(key));
    assert_eq!(world.refusal(b).reason, Reason::Unavailable);
    let error = world.ask(Request::Rename("n1".to_owned(), "x".to_owned()));
    assert_eq!(
        error,
        Err(RequestError::Unavailable("disk full".to_owned()))
    );
    assert!(world.map(a).is_empty());
    world.failure = None;
    world.wait(10);
    assert_eq!(world.map(a), ["n2"]);
    assert!(
        world
            .notes
            .iter()
            .any(|note| note == "nothing was stored: disk full")
    );
}
