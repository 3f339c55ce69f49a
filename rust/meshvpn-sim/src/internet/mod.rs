//! The simulated internet: hosts and routers, joined to networks by links, and time that passes only when
//! something happens.
//!
//! ```text
//!   host ── link ──┐                        ┌── link ── host
//!   host ── link ── network (LAN) ── link ── router (NAT) ── link ── network (public) ── …
//! ```
//!
//! A network delivers a packet to the link that has its destination address, else by its routes, else to its
//! gateway. The first network is the public one. A packet takes its time on the way up a link, and on the way
//! down another; in between it may lose hops, since a real internet has many.
//!
//! What happens at the same time happens in the order in which it was decided: nothing depends on memory
//! addresses, hash order or the real clock.

mod build;
mod change;
mod drive;
mod forward;
mod sites;
mod streams;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

use meshvpn_proto::route::Prefix;
use meshvpn_proto::time::Now;

use crate::capture::Capture;
use crate::chance::Chance;
use crate::link::Direction;
use crate::log::{Keep, Log};
use crate::machine::Machine;
use crate::nat::Nat;
use crate::packet::Packet;

pub use build::Side;
pub use sites::{Carrier, Home};

/// The wall clock when virtual time begins: 2027-01-15 08:00 UTC.
const WALL_CLOCK: Duration = Duration::from_secs(1_800_000_000);
/// A machine that wants to be woken this often without time passing would never stop.
const SPINS: u32 = 10_000;

/// The network that everybody reaches.
pub const PUBLIC: NetworkId = NetworkId(0);

/// A host's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) usize);

/// A router's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub(crate) usize);

/// A network's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub(crate) usize);

/// A link's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) usize);

/// A machine's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineId(pub(crate) usize);

/// An internet.
pub struct Internet {
    start: Instant,
    now: Duration,
    chance: Chance,
    log: Log,
    capture: Capture,
    networks: Vec<Network>,
    links: Vec<Link>,
    hosts: Vec<Host>,
    routers: Vec<Router>,
    machines: Vec<Runner>,
    queue: BinaryHeap<Reverse<Due>>,
    decided: u64,
    plan: sites::Plan,
    streams: streams::Streams,
}

struct Network {
    name: String,
    addresses: BTreeMap<IpAddr, LinkId>,
    routes: Vec<(Prefix, LinkId)>,
    gateway: Option<LinkId>,
    /// Routers that are not shown, which a packet passes inside.
    hops: u8,
}

struct Link {
    name: String,
    network: NetworkId,
    end: End,
    addresses: Vec<IpAddr>,
    is_up: bool,
    up: Direction,
    down: Direction,
    chance: Chance,
    interface: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Host(HostId),
    Router(RouterId, Side),
}

struct Host {
    name: String,
    links: Vec<LinkId>,
    /// Which machine has a port, and by which number it knows the socket.
    ports: BTreeMap<u16, (MachineId, usize)>,
    /// Which machine accepts streams on a port.
    listeners: BTreeMap<u16, MachineId>,
    chance: Chance,
}

struct Router {
    name: String,
    inner: LinkId,
    outer: LinkId,
    v4: Nat,
    v6: Nat,
}

struct Runner {
    name: String,
    host: HostId,
    machine: Box<dyn Machine>,
    /// The ports of its sockets, by number.
    sockets: BTreeMap<usize, u16>,
    /// The wake-up call that counts; others in the queue are old.
    wakes_at: Option<Duration>,
    spins: u32,
    is_running: bool,
}

/// Something that will happen.
struct Due {
    at: Duration,
    order: u64,
    what: What,
}

enum What {
    /// A packet has gone up this link.
    AtNetwork(LinkId, Packet),
    /// A packet has come down this link.
    AtEnd(LinkId, Packet),
    /// A machine wants to be woken.
    Wake(MachineId),
    /// A stream wants to send something again.
    WakeStream(u64),
    /// Somebody has planned something.
    Script(Box<dyn FnOnce(&mut Internet) + Send>),
}

impl Internet {
    /// An empty internet, of which everything follows from `seed`.
    #[expect(
        clippy::disallowed_methods,
        reason = "time has to begin somewhere; from here on it is virtual"
    )]
    pub fn new(seed: u64) -> Self {
        let mut internet = Self {
            start: Instant::now(),
            now: Duration::ZERO,
            chance: Chance::new(seed),
            log: Log::default(),
            capture: Capture::new(),
            networks: Vec::new(),
            links: Vec::new(),
            hosts: Vec::new(),
            routers: Vec::new(),
            machines: Vec::new(),
            queue: BinaryHeap::new(),
            decided: 0,
            plan: sites::Plan::default(),
            streams: streams::Streams::default(),
        };
        let public = internet.network("public");
        // As many as a short way through the real one; openers that shall die early rely on some.
        internet.networks[public.0].hops = 4;
        internet
    }

    /// Time since the beginning.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Both clocks, as every host sees them.
    pub fn clock(&self) -> Now {
        Now {
            instant: self.start + self.now,
            unix: WALL_CLOCK + self.now,
        }
    }

    /// A source of randomness for `name`: the same for the same seed.
    pub fn chance(&self, name: &str) -> Chance {
        self.chance.derive(name)
    }

    /// What happened.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Keeps the lines of the log too, from now on.
    pub fn keep_log(&mut self) {
        self.log.keep(Keep::Lines);
    }

    /// Watches a link, from now on.
    pub fn capture(&mut self, link: LinkId) {
        let link = &mut self.links[link.0];
        if link.interface.is_none() {
            link.interface = Some(self.capture.interface(&link.name));
        }
    }

    /// What went over the links that are watched: a file in the pcapng format.
    pub fn pcapng(&self) -> &[u8] {
        self.capture.file()
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time, |_| false);
    }

    /// Runs until `done`, or until the time is `end`; returns whether it was done.
    pub fn run_until(&mut self, end: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        loop {
            if done(self) {
                return true;
            }
            let Some(due) = self.next(end) else {
                self.now = self.now.max(end);
                return false;
            };
            self.now = self.now.max(due.at);
            match due.what {
                What::AtNetwork(link, packet) => self.at_network(link, packet),
                What::AtEnd(link, packet) => self.at_end(link, packet),
                What::Wake(machine) => self.wake(machine),
                What::WakeStream(stream) => self.wake_stream(stream),
                What::Script(script) => script(self),
            }
        }
    }

    /// Plans something for a time to come.
    pub fn at(&mut self, time: Duration, script: impl FnOnce(&mut Self) + Send + 'static) {
        self.plan_at(time, What::Script(Box::new(script)));
    }

    /// The machine, by its type.
    ///
    /// # Panics
    /// It is of another type.
    pub fn machine<M: Machine>(&self, id: MachineId) -> &M {
        let machine: &dyn Any = self.machines[id.0].machine.as_ref();
        machine.downcast_ref().expect("the type of this machine")
    }

    /// Does something with the machine; what it wants then happens.
    ///
    /// # Panics
    /// It is of another type.
    pub fn with_machine<M: Machine, T>(
        &mut self,
        id: MachineId,
        act: impl FnOnce(&mut M, Now) -> T,
    ) -> T {
        let now = self.clock();
        let machine: &mut dyn Any = self.machines[id.0].machine.as_mut();
        let machine = machine.downcast_mut().expect("the type of this machine");
        let outcome = act(machine, now);
        self.drain(id);
        outcome
    }

    /// A router's NAT for IPv4.
    pub fn nat(&self, router: RouterId) -> &Nat {
        &self.routers[router.0].v4
    }

    /// The same, to change it.
    pub fn nat_mut(&mut self, router: RouterId) -> &mut Nat {
        &mut self.routers[router.0].v4
    }

    /// A router's firewall for IPv6, to change it.
    pub fn firewall_mut(&mut self, router: RouterId) -> &mut Nat {
        &mut self.routers[router.0].v6
    }

    /// A host's name.
    pub fn name(&self, host: HostId) -> &str {
        &self.hosts[host.0].name
    }

    /// All addresses that a host has.
    pub fn addresses(&self, host: HostId) -> Vec<IpAddr> {
        let links = self.hosts[host.0].links.iter();
        let up = links
            .map(|link| &self.links[link.0])
            .filter(|link| link.is_up);
        up.flat_map(|link| link.addresses.iter().copied()).collect()
    }

    /// The local address of a machine's socket, by the family of IP; none when it is not open, or the host
    /// has no such address.
    pub fn socket_address(&self, id: MachineId, socket: usize, is_v4: bool) -> Option<SocketAddr> {
        let runner = &self.machines[id.0];
        let port = *runner.sockets.get(&socket)?;
        let addresses = self.addresses(runner.host);
        let ip = addresses.into_iter().find(|ip| ip.is_ipv4() == is_v4)?;
        Some(SocketAddr::new(ip, port))
    }

    fn next(&mut self, end: Duration) -> Option<Due> {
        let Reverse(first) = self.queue.peek()?;
        if first.at > end {
            return None;
        }
        self.queue.pop().map(|Reverse(due)| due)
    }

    fn plan_at(&mut self, at: Duration, what: What) {
        let order = self.decided;
        self.decided += 1;
        self.queue.push(Reverse(Due { at, order, what }));
    }

    fn note(&mut self, event: fmt::Arguments<'_>) {
        self.log.add(self.now, event);
    }
}

impl fmt::Debug for Internet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Internet")
            .field("now", &self.now)
            .field("hosts", &self.hosts.len())
            .field("routers", &self.routers.len())
            .field("events", &self.log.len())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
