//! What goes wrong, every few seconds.

use std::time::Duration;

use meshvpn_sim::chance::Chance;
use meshvpn_sim::machines::{CoordinatorHost, RelayHost};

use crate::plan::Mesh;

/// Between two faults of one node, on average: with a hundred nodes, every five seconds something goes wrong.
const INTERVAL_MS: u64 = 500_000;
/// A node that loses its place needs this long at most to be where the oracle sees it, the end of a window
/// in which it talks included.
const RECOVERY: u64 = 20;

pub(crate) struct Churn {
    chance: Chance,
    next: Duration,
    /// Nodes that were killed, and when they start again.
    dead: Vec<(usize, Duration)>,
    coordinator_dead_until: Option<Duration>,
    relay_dead_until: Option<Duration>,
    faults: u64,
}

impl Churn {
    pub(crate) fn new(chance: Chance, begin: Duration) -> Self {
        Self {
            chance,
            next: begin,
            dead: Vec::new(),
            coordinator_dead_until: None,
            relay_dead_until: None,
            faults: 0,
        }
    }

    /// Lets happen what is due.
    pub(crate) fn happen(&mut self, mesh: &mut Mesh) {
        let now = mesh.net.now();
        self.bring_back(mesh, now);
        while now >= self.next {
            let interval = INTERVAL_MS / mesh.members.len() as u64;
            self.next += Duration::from_millis(self.chance.below(2 * interval));
            self.faults += 1;
            let index = self.chance.below(mesh.members.len() as u64) as usize;
            // The coordinator once in a while, a relay too; the rest is nodes and their routers.
            match self.faults {
                3 => self.kill_coordinator(mesh, now),
                6 => self.kill_relay(mesh, now),
                _ => match self.chance.below(5) {
                    0 => self.kill(mesh, index, now),
                    1 => self.roam(mesh, index),
                    2 => Self::readdress(mesh, index),
                    _ => Self::reboot(mesh, index),
                },
            }
        }
    }

    fn bring_back(&mut self, mesh: &mut Mesh, now: Duration) {
        let (due, rest) = self.dead.drain(..).partition(|(_, at)| *at <= now);
        self.dead = rest;
        let due: Vec<(usize, Duration)> = due;
        for (index, _) in due {
            mesh.start(index);
        }
        if self.coordinator_dead_until.is_some_and(|at| at <= now) {
            self.coordinator_dead_until = None;
            let (host, store) = (mesh.coordinator_host, mesh.store.clone());
            let relays = mesh.relay_addresses.clone();
            mesh.coordinator = CoordinatorHost::attach(&mut mesh.net, host, &store, &relays);
        }
        if self.relay_dead_until.is_some_and(|at| at <= now) {
            self.relay_dead_until = None;
            let host = mesh.relays[0].0;
            mesh.relays[0].1 = RelayHost::attach(&mut mesh.net, host);
        }
    }

    fn kill(&mut self, mesh: &mut Mesh, index: usize, now: Duration) {
        if mesh.members[index].machine.is_some() {
            mesh.kill(index);
            self.dead.push((index, now + Duration::from_secs(5)));
            mesh.disturb(index, 5 + RECOVERY);
        }
    }

    /// The node goes to see somebody.
    fn roam(&mut self, mesh: &mut Mesh, index: usize) {
        let home = self.chance.below(mesh.homes.len() as u64) as usize;
        if mesh.homes[home].routers.is_empty() || mesh.homes[home].is_full() {
            return;
        }
        let link = mesh.members[index].link;
        mesh.net.move_home(link, &mut mesh.homes[home]);
        mesh.members[index].home = home;
        mesh.members[index].side = mesh.sides[home];
        mesh.disturb(index, RECOVERY);
    }

    fn reboot(mesh: &mut Mesh, index: usize) {
        let home = mesh.members[index].home;
        if let Some(router) = mesh.homes[home].routers.first().copied() {
            mesh.net.reboot(router);
            Self::disturb_home(mesh, home);
        }
    }

    fn readdress(mesh: &mut Mesh, index: usize) {
        let home = mesh.members[index].home;
        if let [router] = mesh.homes[home].routers[..] {
            let address = mesh.net.public_v4();
            mesh.net.readdress(router, address);
            Self::disturb_home(mesh, home);
        }
    }

    fn disturb_home(mesh: &mut Mesh, home: usize) {
        for index in 0..mesh.members.len() {
            if mesh.members[index].home == home {
                mesh.disturb(index, RECOVERY);
            }
        }
    }

    /// Running nodes keep talking: nothing else is expected of them than before.
    fn kill_coordinator(&mut self, mesh: &mut Mesh, now: Duration) {
        mesh.net.stop(mesh.coordinator);
        self.coordinator_dead_until = Some(now + Duration::from_secs(15));
        // Who moves meanwhile can tell nobody.
        for index in 0..mesh.members.len() {
            if mesh.members[index].disturbed_until > now {
                mesh.disturb(index, 15 + 40);
            }
        }
    }

    fn kill_relay(&mut self, mesh: &mut Mesh, now: Duration) {
        mesh.net.stop(mesh.relays[0].1);
        self.relay_dead_until = Some(now + Duration::from_secs(5));
        mesh.relays_disturbed_until = now + Duration::from_secs(5 + 2 * RECOVERY);
    }
}
