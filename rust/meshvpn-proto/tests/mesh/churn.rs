//! Everything that can happen, in any order: afterwards all is well again.

use std::time::Duration;

use crate::world::World;

/// Something happens to one of two nodes, or to what is between them.
fn happen(world: &mut World) {
    let host = world.chance.below(2) as usize;
    match world.chance.below(9) {
        0 => world.swallows = |_| true,
        1 => world.swallows = |sent| sent.from == 0,
        2 => world.swallows = |sent| sent.datagram.len() == 64,
        3 => world.swallows = |_| false,
        4 => {
            let nat = world.hosts[host].nat.unwrap();
            world.nats[nat].reboot();
        }
        5 => {
            let is_up = !world.is_relay_up;
            world.set_relay(is_up);
        }
        6 => world.restart(host),
        7 => {
            let nat = world.add_nat(false);
            world.hosts[host].nat = Some(nat);
            world.hosts[host]
                .address
                .set_ip([192, 168, nat as u8, 77].into());
            world.ask_stun(host);
        }
        _ => world.loss = world.chance.below(30),
    }
}

#[test]
fn whatever_happens_a_direct_path_is_found_when_there_is_one_again() {
    for seed in 0..12 {
        let mut world = World::pair(seed);
        world.flow(0, 1, 50);
        world.flow(1, 0, 10);
        for _ in 0..40 {
            happen(&mut world);
            let pause = 200 + world.chance.below(8000);
            world.run(pause);
        }
        world.loss = 0;
        world.swallows = |_| false;
        world.set_relay(true);
        // Paths that died often, or lost data, are trusted again only after a while.
        world.run(3000);
        let both = |world: &World| world.is_direct(0, 1) && world.is_direct(1, 0);
        let back = world.time_until(320_000, both);
        world.run(35_000);
        assert!(
            both(&world),
            "seed {seed}: direct after {back:?}, and then no more"
        );
        for host in [0, 1] {
            let recent = world.now - Duration::from_secs(2);
            let arrived = world.hosts[host].arrived.iter();
            let arrived = arrived.filter(|(at, _)| *at > recent).count();
            assert!(arrived > 15, "seed {seed}: {arrived} packets at {host}");
        }
    }
}
