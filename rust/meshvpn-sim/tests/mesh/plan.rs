//! The mesh: what is built, and its ten minutes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_server::coordinator::store::MemoryStore;
use meshvpn_sim::chance::Chance;
use meshvpn_sim::machines::{COORDINATOR_PORT, CoordinatorHost, RELAY_PORT, RelayHost, StunServer};
use meshvpn_sim::oracle::Side;
use meshvpn_sim::{Conditions, Home, HostId, Internet, MachineId};

use crate::churn::Churn;
use crate::member::Member;
use crate::pairs::{self, Failure};

/// How large, how long, how rough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) minutes: u64,
    pub(crate) has_churn: bool,
}

/// When all nodes have started and know each other.
const BEGIN: Duration = Duration::from_secs(40);
/// How long two nodes talk before they are looked at.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// Between two packets of one node to another.
const PACKETS: Duration = Duration::from_millis(500);

pub(crate) struct Mesh {
    pub(crate) net: Internet,
    pub(crate) chance: Chance,
    pub(crate) members: Vec<Member>,
    pub(crate) homes: Vec<Home>,
    /// What stands before each of the homes.
    pub(crate) sides: Vec<Side>,
    pub(crate) coordinator: MachineId,
    pub(crate) coordinator_host: HostId,
    pub(crate) store: MemoryStore,
    pub(crate) relays: Vec<(HostId, MachineId)>,
    pub(crate) relay_addresses: Vec<SocketAddr>,
    pub(crate) stun: Vec<SocketAddr>,
    pub(crate) auth_key: AuthKey,
    pub(crate) coordinator_address: SocketAddr,
    /// Nothing is expected of relayed paths before then.
    pub(crate) relays_disturbed_until: Duration,
    plan: Plan,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) failures: Vec<Failure>,
    pub(crate) checked: usize,
    /// How many pairs went which way.
    pub(crate) ways: BTreeMap<String, usize>,
    pub(crate) digest: String,
    pub(crate) events: u64,
}

impl Mesh {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let mut net = Internet::new(seed);
        let line = Conditions::latency_ms(5);
        let stun = net.public_host("stun", 2, line);
        let stun = vec![StunServer::attach(&mut net, stun)];
        let hosts = ["relay-1", "relay-2"].map(|name| net.public_host(name, 1, line));
        let address = |net: &Internet, host, port| SocketAddr::new(net.addresses(host)[0], port);
        let relay_addresses: Vec<_> = hosts
            .iter()
            .map(|host| address(&net, *host, RELAY_PORT))
            .collect();
        let relays = hosts.map(|host| (host, RelayHost::attach(&mut net, host)));
        let coordinator_host = net.public_host("coordinator", 1, line);
        let store = MemoryStore::default();
        let coordinator =
            CoordinatorHost::attach(&mut net, coordinator_host, &store, &relay_addresses);
        let create = |host: &mut CoordinatorHost, now| host.create_auth_key(now);
        let auth_key = net.with_machine(coordinator, create);
        let mut mesh = Self {
            chance: net.chance("mesh"),
            members: Vec::new(),
            homes: Vec::new(),
            sides: Vec::new(),
            coordinator,
            coordinator_host,
            store,
            relays: relays.to_vec(),
            relay_addresses,
            stun,
            auth_key,
            coordinator_address: address(&net, coordinator_host, COORDINATOR_PORT),
            relays_disturbed_until: Duration::ZERO,
            net,
            plan,
        };
        Member::build_all(&mut mesh, plan.nodes);
        mesh
    }

    /// Runs to the end: nodes start one after the other, then each talks with one after the other.
    pub(crate) fn run(&mut self) -> Outcome {
        let mut outcome = Outcome {
            failures: Vec::new(),
            checked: 0,
            ways: BTreeMap::new(),
            digest: String::new(),
            events: 0,
        };
        let count = self.members.len();
        for index in 0..count {
            self.start(index);
            let gap = (BEGIN / 2) / count as u32;
            self.net.run_for(gap);
        }
        self.net.run_until(BEGIN, |_| false);
        let mut churn = Churn::new(self.net.chance("churn"), BEGIN);
        let end = Duration::from_secs(60 * self.plan.minutes);
        // As far apart as two can be, and then the same pairs again.
        for distance in (1..=count / 2).cycle() {
            if self.net.now() + WINDOW > end {
                break;
            }
            self.talk(distance, &mut churn);
            pairs::check(self, distance, &mut outcome);
        }
        outcome.digest = self.net.log().digest();
        outcome.events = self.net.log().len();
        outcome
    }

    pub(crate) fn keep_log(&mut self) {
        self.net.keep_log();
    }

    #[expect(clippy::print_stdout, reason = "asked for on the command line")]
    pub(crate) fn show_last(&self, lines: usize) {
        let text = self.net.log().text();
        let from = text.lines().count().saturating_sub(lines);
        text.lines().skip(from).for_each(|line| println!("{line}"));
    }

    /// Each node sends to the one so far from it, and back, for a while.
    fn talk(&mut self, distance: usize, churn: &mut Churn) {
        let count = self.members.len();
        let begin = self.net.now();
        self.members
            .iter_mut()
            .for_each(|member| member.received.clear());
        let mut number = 0;
        while self.net.now() < begin + WINDOW {
            if self.plan.has_churn {
                churn.happen(self);
            }
            for from in 0..count {
                let to = (from + distance) % count;
                self.send(from, to, number);
                self.send(to, from, number);
            }
            number += 1;
            self.net.run_for(PACKETS);
            self.collect();
        }
    }

    /// Packet `number` of a window.
    fn send(&mut self, from: usize, to: usize, number: u64) {
        if let Some(peer) = self.members[to].id {
            let packet = (from as u64) << 32 | number;
            self.with_node(from, |node, now| node.send(now, peer, packet));
        }
    }
}

impl Outcome {
    /// Nothing failed; else says how to see it again.
    pub(crate) fn assert(&self, seed: u64, plan: Plan) {
        let Plan { nodes, minutes, .. } = plan;
        let failures: Vec<_> = self.failures.iter().map(ToString::to_string).collect();
        assert!(
            failures.is_empty(),
            "{} of {} pairs are not as they should be:\n{}\nrun again: MESHVPN_SEED={seed} \
             MESHVPN_NODES={nodes} MESHVPN_MINUTES={minutes} cargo test -p meshvpn-sim --release \
             --test mesh -- --ignored --nocapture one_seed",
            failures.len(),
            self.checked,
            failures.join("\n")
        );
        // Each window looks at as many pairs as there are nodes; whoever was disturbed is left out.
        let windows = (Duration::from_secs(60 * minutes) - BEGIN).as_secs() / WINDOW.as_secs();
        let least = nodes * windows as usize / 3;
        assert!(
            self.checked >= least,
            "{} pairs: {:?}",
            self.checked,
            self.ways
        );
    }
}
