use meshvpn_proto::control::client::Status;
use meshvpn_proto::control::map::{NodeId, RelayId};
use meshvpn_proto::control::messages::Reason;

use super::world::{World, node_key};
use crate::coordinator::config::Config;
use crate::coordinator::request::{NewKey, NewStatic, Request, RequestError, Response};

#[test]
fn who_joins_is_seen_by_all_and_sees_all() {
    let mut world = World::new(Config::default());
    let [a, b, c] = [1, 2, 3].map(|seed| world.member(seed));
    assert_eq!(world.map(a), ["n2", "n3"]);
    assert_eq!(world.map(b), ["n1", "n3"]);
    assert_eq!(world.map(c), ["n1", "n2"]);
    let own = world.nodes[c].client.map().node.clone().unwrap();
    let [v4, v6] = own.addresses[..] else {
        panic!("{own:?}");
    };
    assert_eq!(v4.to_string(), "100.64.0.3");
    assert!(v6.to_string().starts_with("fd") && v6.to_string().ends_with("::3"));
    world.nodes[b].client.set_home_relay(Some(RelayId(9)));
    world.settle();
    let seen = &world.nodes[a].client.map().peers[&NodeId(2)];
    assert_eq!(seen.home_relay, Some(RelayId(9)));
    assert!(world.notes.iter().any(|note| {
        note.starts_with("n3 (100.64.0.3, fd") && note.contains(") joined as node 3 from 192.0.2.2")
    }));
}

#[test]
fn a_node_that_comes_back_is_told_only_what_changed() {
    let mut world = World::new(Config::default());
    let [a, b] = [1, 2].map(|seed| world.member(seed));
    world.cut(a);
    let c = world.member(3);
    world.ask(Request::Remove("n2".to_owned())).unwrap();
    let maps = world.coordinators[0].counters().maps;
    world.mend(a);
    assert_eq!(world.map(a), ["n3"]);
    assert_eq!(world.coordinators[0].counters().maps, maps);
    assert_eq!(world.refusal(b).reason, Reason::Removed);
    assert_eq!(world.map(c), ["n1"]);
}

#[test]
fn a_coordinator_that_died_comes_back_with_everything() {
    let config = Config {
        allow_all: true,
        ..Config::default()
    };
    let mut world = World::new(config.clone());
    let [a, b] = [1, 2].map(|seed| world.member(seed));
    let maps = [a, b].map(|node| world.nodes[node].client.map().clone());
    world.restart(config);
    assert_eq!(world.nodes[a].client.map(), &maps[0]);
    world.wait(2);
    assert_eq!(world.nodes[a].client.status(), Status::Up);
    assert_eq!(
        [a, b].map(|node| world.nodes[node].client.map().clone()),
        maps
    );
    assert_eq!(world.coordinators[0].counters().maps, 0);
    // Settings that changed with the configuration reach those who were there before.
    world.restart(Config::default());
    world.wait(2);
    assert!(!world.nodes[a].client.map().allow_all);
}

#[test]
fn who_goes_is_seen_to_be_gone() {
    let mut world = World::new(Config::default());
    let [a, b] = [1, 2].map(|seed| world.member(seed));
    let is_online = |world: &World| world.nodes[a].client.map().peers[&NodeId(2)].is_online;
    world.cut(b);
    world.wait(5);
    assert!(is_online(&world));
    world.wait(10);
    assert!(!is_online(&world));
    world.mend(b);
    assert!(is_online(&world));
    world.nodes[b].client.leave();
    world.settle();
    assert!(!is_online(&world));
}

#[test]
fn a_new_node_key_reaches_all_and_an_old_one_admits_nobody() {
    let mut world = World::new(Config::default());
    let [a, b] = [1, 2].map(|seed| world.member(seed));
    world.nodes[b].client.rotate(node_key(77));
    world.settle();
    assert_eq!(
        world.nodes[a].client.map().peers[&NodeId(2)].key,
        node_key(77)
    );
    let verify = |key| Request::Verify(key);
    let allow = |allow| Ok(Response::Verified { allow });
    assert_eq!(world.ask(verify(node_key(77))), allow(true));
    assert_eq!(world.ask(verify(node_key(2))), allow(false));
    world.nodes[b].client.rotate(node_key(1));
    world.settle();
    assert_eq!(world.refusal(b).reason, Reason::KeyInUse);
}

#[test]
fn signals_pass_through() {
    let mut world = World::new(Config::default());
    let [a, b] = [1, 2].map(|seed| world.member(seed));
    assert!(world.nodes[a].client.signal(NodeId(2), Vec::new()));
    assert!(world.nodes[a].client.signal(NodeId(99), Vec::new()));
    world.settle();
    assert_eq!(world.nodes[b].signals, [NodeId(1)]);
}

#[test]
fn administrators_name_tag_and_expire_nodes() {
    let mut world = World::new(Config::default());
    let [a, b] = [1, 2].map(|seed| world.member(seed));
    world
        .ask(Request::Rename("n2".to_owned(), "printer".to_owned()))
        .unwrap();
    world
        .ask(Request::Tag(
            "printer".to_owned(),
            vec!["office".to_owned()],
        ))
        .unwrap();
    assert_eq!(world.map(a), ["printer"]);
    assert_eq!(
        world.nodes[a].client.map().peers[&NodeId(2)].tags,
        ["office"]
    );
    let taken = world.ask(Request::Rename("2".to_owned(), "n1".to_owned()));
    assert!(matches!(
        taken,
        Err(RequestError::Conflict { field: "name", .. })
    ));
    let wrong = world.ask(Request::Rename("2".to_owned(), "No Name".to_owned()));
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("\"No Name\" is not a name")
    );
    let unknown = world.ask(Request::Approve("nobody".to_owned()));
    assert_eq!(unknown, Err(RequestError::NoNode("nobody".to_owned())));
    let soon = world.now.unix.as_secs() + 30;
    world
        .ask(Request::Expire("printer".to_owned(), Some(soon)))
        .unwrap();
    world.wait(29);
    assert_eq!(world.map(a), ["printer"]);
    world.wait(2);
    assert!(world.map(a).is_empty());
    assert_eq!(world.refusal(b).reason, Reason::KeyExpired);
}

#[test]
fn a_static_peer_has_its_place_without_ever_coming() {
    let mut world = World::new(Config::default());
    let a = world.member(1);
    let peer = NewStatic {
        name: "phone".to_owned(),
        key: node_key(50),
        endpoint: None,
        routes: Vec::new(),
    };
    world.ask(Request::AddStatic(peer.clone())).unwrap();
    let seen = &world.nodes[a].client.map().peers[&NodeId(2)];
    assert!(seen.is_static && seen.addresses.len() == 2);
    assert!(matches!(
        world.ask(Request::AddStatic(peer)),
        Err(RequestError::Conflict { field: "name", .. })
    ));
}

#[test]
fn a_mesh_that_is_full_says_so() {
    let config = Config {
        networks: vec!["10.0.0.0/30".parse().unwrap(), "fd00::/64".parse().unwrap()],
        ..Config::default()
    };
    let mut world = World::new(config);
    let a = world.member(1);
    world.member(2);
    let key = world.key(NewKey::default());
    let c = world.add(3, Some(key));
    assert_eq!(world.refusal(c).reason, Reason::NoAddress);
    assert!(world.refusal(c).text.contains("10.0.0.0/30"));
    world.ask(Request::Remove("n2".to_owned())).unwrap();
    let now = world.now.instant;
    world.nodes[c].client.hurry(now);
    world.settle();
    assert_eq!(world.map(a), ["n3"]);
}
