use core::time::Duration;

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::client::Status;
use meshvpn_proto::control::messages::Reason;
use meshvpn_proto::keys::PublicKey;

use super::world::World;
use crate::coordinator::config::Config;
use crate::coordinator::request::{KeyInfo, NewKey, Request, Response};

fn keys(world: &mut World) -> Vec<KeyInfo> {
    match world.ask(Request::Keys) {
        Ok(Response::Keys(keys)) => keys,
        other => panic!("{other:?}"),
    }
}

fn refused(world: &World, node: usize) -> (Reason, &str) {
    let refusal = world.refusal(node);
    (refusal.reason, &refusal.text)
}

#[test]
fn a_one_time_key_admits_one_machine_and_a_reusable_one_many() {
    let mut world = World::new(Config::default());
    let once = world.key(NewKey::default());
    world.add(1, Some(once.clone()));
    let late = world.add(2, Some(once));
    let (reason, text) = refused(&world, late);
    assert_eq!(reason, Reason::AuthKeyInvalid);
    assert!(text.contains("used up"), "{text}");
    let many = world.key(NewKey {
        reusable: true,
        tags: vec!["ci".to_owned()],
        ..NewKey::default()
    });
    for seed in 3..6 {
        let node = world.add(seed, Some(many.clone()));
        let own = world.nodes[node].client.map().node.clone().unwrap();
        assert_eq!(own.tags, ["ci"]);
    }
    let shown: Vec<_> = keys(&mut world)
        .iter()
        .map(|key| (key.uses, key.status))
        .collect();
    assert_eq!(shown.len(), 2);
    assert!(shown.contains(&(1, "used")) && shown.contains(&(3, "valid")));
}

#[test]
fn keys_expire_and_are_revoked_and_cannot_be_made_up() {
    let mut world = World::new(Config::default());
    let short = world.key(NewKey {
        expires_in: Some(60),
        ..NewKey::default()
    });
    let revoked = world.key(NewKey::default());
    world
        .ask(Request::RevokeKey(revoked.id().to_string()))
        .unwrap();
    world.wait(60);
    let made_up = AuthKey::generate(PublicKey::new([1; 32]), &[5; 40]);
    for (seed, key, expected) in [
        (1, Some(short), "has expired"),
        (2, Some(revoked), "was revoked"),
        (3, Some(made_up), "not one of this mesh"),
        (4, None, "join with an auth key"),
    ] {
        let node = world.add(seed, key);
        let (_, text) = refused(&world, node);
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(world.coordinators[0].nodes(), 0);
}

#[test]
fn a_known_name_with_another_secret_admits_nobody() {
    let mut world = World::new(Config::default());
    let key = world.key(NewKey::default());
    let mut text = key.to_text().to_string();
    text.replace_range(100..101, if &text[100..101] == "A" { "B" } else { "A" });
    let node = world.add(1, Some(text.parse().unwrap()));
    assert_eq!(refused(&world, node).0, Reason::AuthKeyInvalid);
}

#[test]
fn an_ephemeral_node_vanishes_when_it_leaves_or_is_gone() {
    let mut world = World::new(Config {
        ephemeral_timeout: Duration::from_secs(100),
        ..Config::default()
    });
    let a = world.member(1);
    let key = world.key(NewKey {
        ephemeral: true,
        reusable: true,
        ..NewKey::default()
    });
    let [b, c] = [2, 3].map(|seed| world.add(seed, Some(key.clone())));
    world.nodes[b].client.leave();
    world.settle();
    assert_eq!(world.map(a), ["n3"]);
    world.cut(c);
    world.wait(100);
    assert_eq!(world.map(a), ["n3"]);
    world.wait(15);
    assert!(world.map(a).is_empty());
}

#[test]
fn an_ephemeral_node_vanishes_although_the_coordinator_was_away() {
    let config = Config::default();
    let mut world = World::new(config.clone());
    let key = world.key(NewKey {
        ephemeral: true,
        ..NewKey::default()
    });
    let a = world.add(1, Some(key));
    world.cut(a);
    world.restart(config);
    assert_eq!(world.coordinators[0].nodes(), 1);
    world.wait(60 + 300 + 2);
    assert_eq!(world.coordinators[0].nodes(), 0);
}

#[test]
fn who_needs_approval_waits_unseen() {
    let mut world = World::new(Config {
        is_open: true,
        ..Config::default()
    });
    let a = world.member(1);
    let key = world.key(NewKey {
        needs_approval: true,
        ..NewKey::default()
    });
    let [b, c] = [(2, Some(key)), (3, None)].map(|(seed, key)| world.add(seed, key));
    for node in [b, c] {
        assert_eq!(world.nodes[node].client.status(), Status::Pending);
        assert!(world.nodes[node].pending[0].contains("nodes approve n"));
    }
    assert!(world.map(a).is_empty());
    world.ask(Request::Approve("n3".to_owned())).unwrap();
    assert_eq!(world.nodes[c].client.status(), Status::Up);
    assert_eq!(
        (world.map(a), world.map(c)),
        (vec!["n3".to_owned()], vec!["n1".to_owned()])
    );
    assert_eq!(world.nodes[b].client.map().version, 0);
}

#[test]
fn guessing_is_slowed_down_for_the_guesser_alone() {
    let mut world = World::new(Config {
        attempts_per_minute: 3,
        ..Config::default()
    });
    let node = world.add(1, None);
    for _ in 0..3 {
        let now = world.now.instant;
        world.nodes[node].client.hurry(now);
        world.settle();
    }
    let (reason, _) = refused(&world, node);
    assert_eq!(reason, Reason::TooManyAttempts);
    assert_eq!(world.refusal(node).retry_after, Some(21));
    world.member(2);
    world.wait(30);
    assert_eq!(refused(&world, node).0, Reason::AuthKeyNeeded);
}

#[test]
fn who_has_expired_comes_back_with_a_new_key_as_the_same_node() {
    let mut world = World::new(Config {
        key_lifetime: Some(Duration::from_secs(3600)),
        ..Config::default()
    });
    let a = world.member(1);
    world.wait(3601);
    assert_eq!(refused(&world, a).0, Reason::KeyExpired);
    let key = world.key(NewKey::default());
    let again = world.add(1, Some(key));
    assert_eq!(
        world.nodes[again].client.node(),
        world.nodes[a].client.node()
    );
    assert_eq!(world.coordinators[0].nodes(), 1);
}

#[test]
fn two_machines_with_one_state_directory_are_told_so() {
    let mut world = World::new(Config::default());
    let a = world.member(1);
    let b = world.add(1, None);
    assert_eq!(world.nodes[b].client.status(), Status::Up);
    assert_eq!(refused(&world, a).0, Reason::Replaced);
}
