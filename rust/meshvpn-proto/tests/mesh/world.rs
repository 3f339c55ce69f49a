//! Hosts, NATs and a relay, and the time that things take between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use meshvpn_proto::control::map::{Map, NodeId};
use meshvpn_proto::forward::Path;
use meshvpn_proto::node::Event;
use meshvpn_proto::path::agent::Route;
use meshvpn_proto::path::candidate::{Candidate, Kind};
use meshvpn_proto::time::Now;

use crate::chance::{Chance, beginning};
use crate::host::{Host, RELAY};
use crate::nat::Nat;
use crate::wire::Way;

/// The wall clock when virtual time begins.
const WALL_CLOCK: Duration = Duration::from_secs(1_800_000_000);
/// A STUN server, which no packet of a test reaches.
const STUN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 3478);

/// How often STUN servers are asked for nothing in particular.
const STUN_INTERVAL: Duration = Duration::from_secs(25);

/// A datagram that was sent: when, by whom, by which path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) from: usize,
    pub(crate) path: Path,
    pub(crate) datagram: Vec<u8>,
}

impl Sent {
    pub(crate) fn is_relayed(&self) -> bool {
        self.path.relayed_number().is_some()
    }
}

/// Packets from one node to another, so many a second.
struct Flow {
    from: usize,
    to: usize,
    interval: Duration,
    next: Instant,
}

pub(crate) struct World {
    pub(crate) hosts: Vec<Host>,
    pub(crate) nats: Vec<Nat>,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) transcript: Vec<Sent>,
    /// One way, on direct paths and over the relay.
    pub(crate) delay: Duration,
    pub(crate) relay_delay: Duration,
    /// Up to so many microseconds more, on direct paths: datagrams overtake each other.
    pub(crate) jitter: u64,
    /// Of a hundred, on direct paths.
    pub(crate) loss: u64,
    pub(crate) is_relay_up: bool,
    /// What direct paths swallow.
    pub(crate) swallows: fn(&Sent) -> bool,
    pub(crate) chance: Chance,
    flows: Vec<Flow>,
    pub(crate) on_the_way: BTreeMap<(Instant, u64), (usize, Way, Vec<u8>)>,
    pub(crate) order: u64,
    sent: u64,
    stun_at: Instant,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let start = beginning();
        Self {
            hosts: Vec::new(),
            nats: Vec::new(),
            now: start,
            start,
            transcript: Vec::new(),
            delay: Duration::from_millis(10),
            relay_delay: Duration::from_millis(30),
            jitter: 0,
            loss: 0,
            is_relay_up: true,
            swallows: |_| false,
            chance: Chance(seed),
            flows: Vec::new(),
            on_the_way: BTreeMap::new(),
            order: 0,
            sent: 0,
            stun_at: start + STUN_INTERVAL,
        }
    }

    /// Two nodes, each behind a NAT of its own, that know each other.
    pub(crate) fn pair(seed: u64) -> Self {
        let mut world = Self::new(seed);
        for number in 0..2 {
            let nat = world.add_nat(false);
            world.add_host(number, Some(nat));
        }
        world.introduce();
        world
    }

    pub(crate) fn add_nat(&mut self, is_symmetric: bool) -> usize {
        let public = Ipv4Addr::new(203, 0, 113, self.nats.len() as u8 + 1);
        self.nats.push(Nat::new(public, is_symmetric));
        self.nats.len() - 1
    }

    pub(crate) fn add_host(&mut self, number: u8, nat: Option<usize>) -> usize {
        let address = match nat {
            Some(nat) => Ipv4Addr::new(192, 168, nat as u8, number + 2),
            None => Ipv4Addr::new(203, 0, 113, number + 100),
        };
        let now = self.clock();
        let mut host = Host::new(now, number, address, self.chance.seed());
        host.nat = nat;
        self.hosts.push(host);
        let index = self.hosts.len() - 1;
        self.ask_stun(index);
        index
    }

    /// The host learns its addresses, as from a STUN server.
    pub(crate) fn ask_stun(&mut self, host: usize) {
        let now = self.clock();
        let Host { address, nat, .. } = self.hosts[host];
        let mut candidates = vec![self.hosts[host].candidate()];
        if let Some(nat) = nat {
            candidates.push(Candidate {
                kind: Kind::ServerReflexive,
                address: self.nats[nat].leave(self.now, address, STUN),
            });
        }
        self.hosts[host].node.set_candidates(now, candidates);
        self.drain(host);
    }

    /// Tells everyone of everyone, as a coordinator does.
    pub(crate) fn introduce(&mut self) {
        let now = self.clock();
        for index in 0..self.hosts.len() {
            let others = self
                .hosts
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let map = Map {
                version: 1,
                domain: "mesh.internal".to_owned(),
                node: Some(self.hosts[index].describe()),
                peers: others.map(|(_, host)| (host.id, host.describe())).collect(),
                allow_all: true,
                ..Map::default()
            };
            self.hosts[index].node.apply_map(now, map);
            self.drain(index);
        }
    }

    /// Both clocks.
    pub(crate) fn clock(&self) -> Now {
        Now {
            instant: self.now,
            unix: WALL_CLOCK + (self.now - self.start),
        }
    }

    pub(crate) fn id(&self, host: usize) -> NodeId {
        self.hosts[host].id
    }

    pub(crate) fn route(&self, from: usize, to: usize) -> Route {
        self.hosts[from].route(self.clock(), self.id(to))
    }

    pub(crate) fn is_direct(&self, from: usize, to: usize) -> bool {
        matches!(self.route(from, to), Route::Direct(_))
    }

    /// An application sends one packet; returns its number.
    pub(crate) fn send(&mut self, from: usize, to: usize) -> u64 {
        self.sent += 1;
        let (now, inner) = (self.clock(), self.hosts[to].inner);
        let leaving = self.hosts[from].send(now, inner, self.sent);
        self.leave(from, leaving);
        self.sent
    }

    /// From now on, applications send so many packets a second.
    pub(crate) fn flow(&mut self, from: usize, to: usize, per_second: u32) {
        self.flows.push(Flow {
            from,
            to,
            interval: Duration::from_secs(1) / per_second,
            next: self.now,
        });
    }

    pub(crate) fn end_flows(&mut self) {
        self.flows.clear();
    }

    pub(crate) fn restart(&mut self, host: usize) {
        let (now, seed) = (self.clock(), self.chance.seed());
        self.hosts[host].restart(now, seed);
        self.drain(host);
    }

    pub(crate) fn set_relay(&mut self, is_up: bool) {
        self.is_relay_up = is_up;
        let now = self.clock();
        for host in 0..self.hosts.len() {
            if is_up {
                for peer in 0..self.hosts.len() {
                    let (id, path) = (self.id(peer), Path::relayed(RELAY, peer as u64));
                    self.hosts[host].node.handle_relay(now, id, Some(path));
                }
            } else {
                self.hosts[host].node.handle_relay_lost(now, RELAY);
            }
            self.drain(host);
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// Runs until `done`, at most `ms` milliseconds; returns how long it took.
    pub(crate) fn time_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        self.run_until(ms, &done);
        assert!(done(self), "not within {ms} ms: {:#?}", self.status());
        self.now - start
    }

    fn status(&self) -> Vec<String> {
        let now = self.clock();
        let hosts = self.hosts.iter();
        hosts
            .flat_map(|host| {
                let peers = host.node.statuses(now);
                peers.map(move |peer| format!("{} -> {}: {:?}", host.id, peer.id, peer.path))
            })
            .collect()
    }

    pub(crate) fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_millis(ms);
        let mut steps_without_time = 0;
        while self.now < end && !done(self) {
            let timeouts = self.hosts.iter().filter_map(Host::poll_timeout);
            let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
            let flows = self.flows.iter().map(|flow| flow.next);
            let next = timeouts.chain(arrival).chain(flows);
            let next = next.chain([self.stun_at, end]).min();
            let next = next.unwrap_or(end).max(self.now);
            steps_without_time = if next > self.now {
                0
            } else {
                steps_without_time + 1
            };
            assert!(
                steps_without_time < 1000,
                "something spins: {:#?}",
                self.status()
            );
            self.now = next;
            self.step();
        }
    }

    fn step(&mut self) {
        for index in 0..self.flows.len() {
            let Flow {
                from,
                to,
                interval,
                next,
            } = self.flows[index];
            if self.now >= next {
                self.flows[index].next = next + interval;
                self.send(from, to);
            }
        }
        while let Some(entry) = self.on_the_way.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (from, way, datagram) = entry.remove();
            self.deliver(from, &way, &datagram);
        }
        let now = self.clock();
        let is_time_to_ask = self.now >= self.stun_at;
        if is_time_to_ask {
            self.stun_at = self.now + STUN_INTERVAL;
        }
        for host in 0..self.hosts.len() {
            if core::mem::take(&mut self.hosts[host].asks_stun) || is_time_to_ask {
                self.ask_stun(host);
            }
            if self.hosts[host]
                .poll_timeout()
                .is_some_and(|at| self.now >= at)
            {
                let leaving = self.hosts[host].handle_timeout(now);
                self.leave(host, leaving);
            }
        }
    }

    pub(crate) fn drain(&mut self, host: usize) {
        let now = self.clock();
        let seen = self.hosts[host].events.len();
        let leaving = self.hosts[host].drain(now);
        self.leave(host, leaving);
        // What the engine does when it has a connection to the relay.
        for index in seen..self.hosts[host].events.len() {
            if let (
                _,
                Event::Relay {
                    peer,
                    relay: Some(_),
                    ..
                },
            ) = self.hosts[host].events[index]
                && self.is_relay_up
            {
                let path = Path::relayed(RELAY, peer.0);
                self.hosts[host].node.handle_relay(now, peer, Some(path));
                self.drain(host);
            }
        }
    }

    /// How many of the packets that were sent until now have not arrived at `host`. What is on the way counts as lost:
    /// flows should have ended.
    pub(crate) fn lost(&self, host: usize) -> u64 {
        let mut numbers: Vec<_> = self.hosts[host]
            .arrived
            .iter()
            .map(|(_, number)| *number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.sent - numbers.len() as u64
    }

    /// Datagrams that a host has sent since some time.
    pub(crate) fn sent_since(&self, from: usize, since: Duration) -> impl Iterator<Item = &Sent> {
        let sent = self.transcript.iter();
        sent.filter(move |sent| sent.from == from && sent.at >= since)
    }
}
