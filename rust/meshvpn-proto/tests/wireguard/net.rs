//! Devices and a network between them that loses, delays, reorders and repeats datagrams.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use meshvpn_proto::keys::{PresharedKey, PublicKey};
use meshvpn_proto::time::Now;

use crate::chance::{Chance, beginning};
use crate::node::{Acquaintance, Leaving, Node};

/// How often the engine takes what the data plane noted.
pub(crate) const ACTIVITY: Duration = Duration::from_millis(50);
/// The wall clock when virtual time begins.
const WALL_CLOCK: u64 = 1_800_000_000;

/// How bad the network is; percentages are of all datagrams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) repeated: u64,
    /// Delays are spread evenly up to here, so datagrams overtake each other.
    pub(crate) delay_ms: u64,
}

pub(crate) const FAIR: Weather = Weather {
    loss: 0,
    repeated: 0,
    delay_ms: 1,
};

/// A datagram that was sent: when, from where, where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) datagram: Vec<u8>,
}

impl Sent {
    /// The message's type.
    pub(crate) fn kind(&self) -> u8 {
        self.datagram[0]
    }

    pub(crate) fn is_keepalive(&self) -> bool {
        self.kind() == 4 && self.datagram.len() == 32
    }
}

/// Packets from one node to another, so many milliseconds apart.
struct Flow {
    from: usize,
    to: usize,
    interval: Duration,
    next: Instant,
}

pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    pub(crate) weather: Weather,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) transcript: Vec<Sent>,
    /// What the network swallows on purpose, after having let it be seen.
    pub(crate) filter: fn(&Sent) -> bool,
    flows: Vec<Flow>,
    chance: Chance,
    on_the_way: BTreeMap<(Instant, u64), Sent>,
    next_activity: Instant,
    sent: u64,
}

impl Net {
    /// So many nodes that do not know each other.
    pub(crate) fn new(nodes: u8, weather: Weather, seed: u64) -> Self {
        let start = beginning();
        let mut chance = Chance(seed);
        Self {
            nodes: (0..nodes)
                .map(|number| Node::new(number, chance.seed()))
                .collect(),
            weather,
            now: start,
            start,
            transcript: Vec::new(),
            filter: |_| false,
            flows: Vec::new(),
            chance,
            on_the_way: BTreeMap::new(),
            next_activity: start,
            sent: 0,
        }
    }

    /// Two nodes that know each other.
    pub(crate) fn pair(weather: Weather, seed: u64) -> Self {
        let mut net = Self::new(2, weather, seed);
        net.introduce(0, 1, None);
        net
    }

    /// Tells both nodes of each other.
    pub(crate) fn introduce(&mut self, a: usize, b: usize, preshared: Option<PresharedKey>) {
        for (one, other) in [(a, b), (b, a)] {
            let peer = Acquaintance {
                preshared: preshared.clone(),
                ..self.acquaintance(other)
            };
            self.meet(one, peer);
        }
    }

    pub(crate) fn acquaintance(&self, node: usize) -> Acquaintance {
        let node = &self.nodes[node];
        Acquaintance {
            key: node.key.public_key(),
            inner: node.inner,
            endpoint: Some(node.endpoint),
            preshared: None,
            keepalive: None,
        }
    }

    pub(crate) fn meet(&mut self, node: usize, peer: Acquaintance) {
        let now = self.clock(node);
        self.nodes[node].meet(now, peer);
        let leaving = self.nodes[node].drain(now);
        self.leave(node, leaving);
    }

    pub(crate) fn key(&self, node: usize) -> PublicKey {
        self.nodes[node].key.public_key()
    }

    /// Both clocks, as `node` sees them.
    pub(crate) fn clock(&self, node: usize) -> Now {
        let seconds = WALL_CLOCK.saturating_add_signed(self.nodes[node].clock_ahead);
        Now {
            instant: self.now,
            unix: Duration::from_secs(seconds) + (self.now - self.start),
        }
    }

    /// An application sends one packet; returns its number.
    pub(crate) fn send(&mut self, from: usize, to: usize) -> u64 {
        self.sent += 1;
        let (now, inner) = (self.clock(from), self.nodes[to].inner);
        let leaving = self.nodes[from].send(now, inner, self.sent);
        self.leave(from, leaving);
        self.sent
    }

    /// From now on, applications send a packet every so many milliseconds.
    pub(crate) fn flow(&mut self, from: usize, to: usize, interval_ms: u64) {
        self.flows.push(Flow {
            from,
            to,
            interval: Duration::from_millis(interval_ms),
            next: self.now,
        });
    }

    pub(crate) fn end_flows(&mut self) {
        self.flows.clear();
    }

    pub(crate) fn restart(&mut self, node: usize) {
        let (now, seed) = (self.clock(node), self.chance.seed());
        self.nodes[node].restart(now, seed);
        let leaving = self.nodes[node].drain(now);
        self.leave(node, leaving);
    }

    pub(crate) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// Runs until `done`, at most `ms` milliseconds; returns how long it took.
    pub(crate) fn time_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        self.run_until(ms, &done);
        assert!(done(self), "not within {ms} ms");
        self.now - start
    }

    fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end && !done(self) {
            let timeouts = self
                .nodes
                .iter()
                .filter_map(|node| node.device.poll_timeout());
            let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
            let flows = self.flows.iter().map(|flow| flow.next);
            let next = timeouts.chain(arrival).chain(flows);
            let next = next.chain([self.next_activity, end]).min();
            self.now = next.unwrap_or(end).max(self.now);
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
                self.flows[index].next = self.now + interval;
                self.send(from, to);
            }
        }
        while let Some(entry) = self.on_the_way.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let sent = entry.remove();
            self.deliver(&sent);
        }
        let is_time_to_look = self.now >= self.next_activity;
        if is_time_to_look {
            self.next_activity = self.now + ACTIVITY;
        }
        for node in 0..self.nodes.len() {
            let now = self.clock(node);
            if is_time_to_look {
                let leaving = self.nodes[node].handle_activity(now);
                self.leave(node, leaving);
            }
            let leaving = self.nodes[node].handle_timeout(now);
            self.leave(node, leaving);
        }
    }

    /// Gives a datagram to whoever is at its destination.
    pub(crate) fn deliver(&mut self, sent: &Sent) {
        let there = self.nodes.iter().position(|node| node.endpoint == sent.to);
        if let Some(node) = there {
            let now = self.clock(node);
            let leaving = self.nodes[node].receive(now, sent.from, &sent.datagram);
            self.leave(node, leaving);
        }
    }

    fn leave(&mut self, node: usize, leaving: Vec<Leaving>) {
        let from = self.nodes[node].endpoint;
        for (to, datagram) in leaving {
            let at = self.now - self.start;
            let sent = Sent {
                at,
                from,
                to,
                datagram,
            };
            self.transcript.push(sent.clone());
            if (self.filter)(&sent) {
                continue;
            }
            let copies = 1 + u64::from(self.chance.hits(self.weather.repeated));
            for _ in 0..copies {
                let delay = 500 + self.chance.below(self.weather.delay_ms * 1000);
                let order = self.chance.next();
                if !self.chance.hits(self.weather.loss) {
                    let arrival = self.now + Duration::from_micros(delay);
                    self.on_the_way.insert((arrival, order), sent.clone());
                }
            }
        }
    }

    /// What a node has sent since `start`, of some type.
    pub(crate) fn sent_by(&self, node: usize, kind: u8) -> Vec<&Sent> {
        let from = self.nodes[node].endpoint;
        let sent = self.transcript.iter();
        sent.filter(|sent| sent.from == from && sent.kind() == kind)
            .collect()
    }

    /// Both send with sessions that the other can receive with.
    pub(crate) fn is_in_agreement(&self, a: usize, b: usize) -> bool {
        let one_way = |from: usize, to: usize| {
            let session = self.nodes[from].session(&self.key(to));
            session.is_some_and(|session| {
                self.nodes[to].receives_with(session.remote_index, session.send_key())
            })
        };
        one_way(a, b) && one_way(b, a)
    }
}
