use meshvpn_proto::control::map::NodeId;

use super::world::World;
use crate::coordinator::config::Config;
use crate::coordinator::request::{NewKey, Request, RequestError};

fn routes(world: &World, node: usize, peer: u64) -> Vec<String> {
    let peer = &world.nodes[node].client.map().peers[&NodeId(peer)];
    peer.routes.iter().map(ToString::to_string).collect()
}

fn approve(world: &mut World, node: &str, routes: &[&str]) -> Result<(), RequestError> {
    let routes = routes.iter().map(|route| route.parse().unwrap()).collect();
    let request = Request::ApproveRoutes(node.to_owned(), routes);
    world.ask(request).map(drop)
}

#[test]
fn a_subnet_fails_over_to_the_other_router_and_back() {
    let mut world = World::new(Config::default());
    let a = world.member(1);
    let net = "10.9.0.0/16";
    let key = world.key(NewKey {
        reusable: true,
        ..NewKey::default()
    });
    let [b, _] = [2, 3].map(|seed| world.add_at(0, seed, Some(key.clone()), &[net]));
    assert!(routes(&world, a, 2).is_empty());
    for router in ["n2", "n3"] {
        approve(&mut world, router, &[net]).unwrap();
    }
    assert_eq!(
        (routes(&world, a, 2), routes(&world, a, 3)),
        (vec![net.to_owned()], vec![])
    );
    world.cut(b);
    world.wait(11);
    assert_eq!(
        (routes(&world, a, 2), routes(&world, a, 3)),
        (vec![], vec![net.to_owned()])
    );
    // Who was away for all of it learns it, too.
    world.cut(a);
    world.mend(b);
    world.mend(a);
    assert_eq!(
        (routes(&world, a, 2), routes(&world, a, 3)),
        (vec![net.to_owned()], vec![])
    );
    approve(&mut world, "n2", &[]).unwrap();
    assert_eq!(
        (routes(&world, a, 2), routes(&world, a, 3)),
        (vec![], vec![net.to_owned()])
    );
}

#[test]
fn exit_nodes_are_all_there_to_choose_from() {
    let mut world = World::new(Config::default());
    let a = world.member(1);
    let all = ["0.0.0.0/0", "::/0"];
    for seed in [2, 3] {
        let key = world.key(NewKey::default());
        world.add_at(0, seed, Some(key), &all);
        approve(&mut world, &format!("n{seed}"), &all).unwrap();
        assert_eq!(routes(&world, a, seed.into()), all);
    }
}

#[test]
fn what_is_not_advertised_cannot_be_approved() {
    let mut world = World::new(Config::default());
    world.member(1);
    let error = approve(&mut world, "n1", &["10.0.0.0/8"]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("n1 does not advertise 10.0.0.0/8")
    );
}
