//! What discovery does not ask: how long mappings last, and what ends them.

use std::net::SocketAddr;
use std::time::Duration;

use meshvpn_sim::machines::Mailbox;
use meshvpn_sim::{Behavior, Conditions, Home, Internet, Kind, MachineId};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A host at home and one outside, a socket on each.
struct Pair {
    net: Internet,
    home: Home,
    inside: MachineId,
    outside: MachineId,
    outside_address: SocketAddr,
}

impl Pair {
    fn new(kind: Kind, change: impl FnOnce(&mut Behavior)) -> Self {
        let mut net = Internet::new(5);
        let host = net.public_host("server", 2, Conditions::latency_ms(5));
        let home = net.home("alice", kind, Conditions::latency_ms(5));
        if let Some(router) = home.routers.first() {
            change(net.nat_mut(*router).behavior_mut());
        }
        let outside = Mailbox::attach(&mut net, host, 1000);
        let inside = Mailbox::attach(&mut net, home.host, 5000);
        let outside_address = net.socket_address(outside, 0, true).unwrap();
        Self {
            net,
            home,
            inside,
            outside,
            outside_address,
        }
    }

    /// Sends from inside; returns where it was seen to come from, if it arrived.
    fn out(&mut self) -> Option<SocketAddr> {
        let to = self.outside_address;
        self.send(self.inside, to);
        let received = self.take(self.outside);
        received.first().map(|received| received.1)
    }

    /// Sends to an outer address; true when it reached the socket inside.
    fn reaches(&mut self, to: SocketAddr) -> bool {
        self.send(self.outside, to);
        !self.take(self.inside).is_empty()
    }

    fn send(&mut self, from: MachineId, to: SocketAddr) {
        self.net
            .with_machine(from, |socket: &mut Mailbox, _| socket.send(to, b"x", None));
        self.net.run_for(Duration::from_millis(50));
    }

    fn take(&mut self, at: MachineId) -> Vec<(SocketAddr, SocketAddr)> {
        let received = self
            .net
            .with_machine(at, |socket: &mut Mailbox, _| socket.take());
        received.iter().map(|one| (one.local, one.from)).collect()
    }

    fn wait(&mut self, time: f64) {
        self.net.run_for(seconds(time));
    }
}

/// As in the lab with `nf_conntrack_udp_timeout=4` and `…_stream=8`.
fn short(behavior: &mut Behavior) {
    (behavior.timeout, behavior.stream_timeout) = (seconds(4.0), seconds(8.0));
}

#[test]
fn a_mapping_that_was_not_answered_ends_with_the_short_timeout() {
    let mut pair = Pair::new(Kind::PortRestricted, short);
    let outer = pair.out().unwrap();
    pair.wait(1.5);
    assert!(pair.reaches(outer));
    // That answer refreshed it, and the exchange is too young for a stream.
    pair.wait(3.5);
    assert!(pair.reaches(outer));

    let mut pair = Pair::new(Kind::PortRestricted, short);
    let outer = pair.out().unwrap();
    pair.wait(1.5);
    assert!(pair.reaches(outer));
    pair.wait(5.0);
    assert!(!pair.reaches(outer));
}

#[test]
fn two_seconds_in_both_directions_earn_the_long_timeout() {
    let mut pair = Pair::new(Kind::PortRestricted, short);
    let outer = pair.out().unwrap();
    assert!(pair.reaches(outer));
    pair.wait(2.5);
    assert_eq!(pair.out(), Some(outer));
    pair.wait(7.0);
    assert!(pair.reaches(outer));
    pair.wait(9.5);
    assert!(!pair.reaches(outer));
}

#[test]
fn the_timeouts_are_those_of_linux_unless_said_otherwise() {
    let mut pair = Pair::new(Kind::SymmetricRandom, |_| {});
    let outer = pair.out().unwrap();
    pair.wait(29.5);
    assert_eq!(pair.out(), Some(outer));
    pair.wait(30.5);
    assert_ne!(pair.out(), Some(outer));
}

#[test]
fn a_carrier_may_end_a_mapping_at_an_age_however_busy_it_is() {
    let mut pair = Pair::new(Kind::PortRestrictedRemapped, |behavior| {
        behavior.lifetime = Some(seconds(60.0));
    });
    let outer = pair.out().unwrap();
    let mut ages = Vec::new();
    for second in 0..80 {
        pair.wait(0.95);
        if pair.out() != Some(outer) {
            ages.push(second);
        }
    }
    assert_eq!(ages.first(), Some(&59));
}

#[test]
fn a_reboot_forgets_and_the_next_datagram_maps_anew() {
    for (kind, keeps_port) in [
        (Kind::PortRestricted, true),
        (Kind::PortRestrictedRemapped, false),
        (Kind::SymmetricRandom, false),
    ] {
        let mut pair = Pair::new(kind, |_| {});
        let before = pair.out().unwrap();
        assert!(pair.reaches(before));
        pair.net.reboot(pair.home.routers[0]);
        assert!(!pair.reaches(before), "{kind}");
        let after = pair.out().unwrap();
        assert_eq!(after == before, keeps_port, "{kind}");
        assert!(pair.reaches(after), "{kind}");
    }
}

#[test]
fn another_outer_address_ends_all_mappings_to_the_old_one() {
    let mut pair = Pair::new(Kind::FullCone, |_| {});
    let before = pair.out().unwrap();
    let address = pair.net.public_v4();
    pair.net.readdress(pair.home.routers[0], address);
    assert!(!pair.reaches(before));
    let after = pair.out().unwrap();
    assert_eq!(after.ip(), address);
    assert!(pair.reaches(after));
}

#[test]
fn two_hosts_with_one_port_get_one_each() {
    for kind in [Kind::PortRestricted, Kind::FullCone, Kind::PortBlock] {
        let mut pair = Pair::new(kind, |_| {});
        let other = pair.net.housemate(&mut pair.home, "bob");
        let other = Mailbox::attach(&mut pair.net, other, 5000);
        let first = pair.out().unwrap();
        let to = pair.outside_address;
        pair.send(other, to);
        let second = pair.take(pair.outside)[0].1;
        assert_ne!(first, second, "{kind}");
        assert!(pair.reaches(first), "{kind}");
        pair.send(pair.outside, second);
        assert_eq!(pair.take(other).len(), 1, "{kind}");
    }
}

#[test]
fn a_full_table_refuses_until_something_ends() {
    let mut pair = Pair::new(Kind::SymmetricRandom, |behavior| behavior.capacity = 10);
    let ip = pair.outside_address.ip();
    for port in 0..20 {
        pair.send(pair.inside, SocketAddr::new(ip, 2000 + port));
    }
    let (now, router) = (pair.net.now(), pair.home.routers[0]);
    assert_eq!(pair.net.nat(router).mappings(now).len(), 10);
    assert_eq!(pair.out(), None);
    pair.wait(31.0);
    assert!(pair.out().is_some());
}

#[test]
fn an_early_datagram_moves_the_port_of_a_hostile_cone_unless_an_opener_went_first() {
    let mut pair = Pair::new(Kind::HostileCone, |_| {});
    // Where a STUN server would see it: the port is kept.
    let router = pair.home.routers[0];
    let ip = pair.net.nat(router).addresses()[0];
    let expected = SocketAddr::new(ip, 5000);
    assert!(!pair.reaches(expected));
    let moved = pair.out().unwrap();
    assert_ne!(moved, expected);
    assert!(pair.reaches(moved) && !pair.reaches(expected));

    let mut pair = Pair::new(Kind::HostileCone, |_| {});
    let to = pair.outside_address;
    // Past our own router, and no further.
    pair.net
        .with_machine(pair.inside, |socket: &mut Mailbox, _| {
            socket.send(to, b"opener", Some(2));
        });
    pair.wait(0.1);
    assert!(pair.take(pair.outside).is_empty());
    assert!(pair.reaches(expected));
    assert_eq!(pair.out(), Some(expected));
}

#[test]
fn a_subscriber_of_a_carrier_has_a_block_to_itself() {
    let mut net = Internet::new(3);
    let host = net.public_host("server", 1, Conditions::default());
    let server = Mailbox::attach(&mut net, host, 1000);
    let to = net.socket_address(server, 0, true).unwrap();
    let behavior = Behavior::of(Kind::PortBlock);
    let carrier = net.carrier("carrier", behavior, Conditions::default());
    for name in ["a", "b", "c"] {
        let line = Conditions::default();
        let home = net.subscriber(name, &carrier, Kind::PortRestricted, line);
        for port in 0..20 {
            let socket = Mailbox::attach(&mut net, home.host, 5000 + port);
            net.with_machine(socket, |socket: &mut Mailbox, _| {
                socket.send(to, b"x", None)
            });
        }
    }
    net.run_for(seconds(1.0));
    let received = net.machine::<Mailbox>(server).received();
    let blocks: Vec<_> = received
        .chunks(20)
        .map(|of_one| {
            let ports = of_one.iter().map(|one| (one.from.port() - 1024) / 1024);
            let mut blocks: Vec<_> = ports.collect();
            blocks.dedup();
            blocks
        })
        .collect();
    assert!(blocks.iter().all(|block| block.len() == 1), "{blocks:?}");
    assert!(blocks[0] != blocks[1] && blocks[1] != blocks[2] && blocks[0] != blocks[2]);
}
