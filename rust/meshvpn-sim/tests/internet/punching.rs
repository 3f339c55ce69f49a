//! The oracle says what can be, and the simplest node that punches shows that it is so: for every pair of
//! kinds of NAT, in virtual time.

use std::time::Duration;

use meshvpn_sim::machines::StunServer;
use meshvpn_sim::oracle::{Budget, Outlook, Side, Way, outlook};
use meshvpn_sim::{Behavior, Conditions, Home, HostId, Internet, Kind, MachineId};

use crate::puncher::Puncher;

/// Two hosts punch, the second a little later; true when both were answered.
fn meet(net: &mut Internet, hosts: [HostId; 2], has_opener: bool) -> bool {
    let host = net.public_host("stun", 2, Conditions::latency_ms(5));
    let stun = StunServer::attach(net, host);
    let nodes = [0, 1].map(|number| Puncher::attach(net, hosts[number], stun, number as u8));
    net.run_for(Duration::from_secs(1));
    let candidates = nodes.map(|node| {
        let mapped = net.machine::<Puncher>(node).mapped;
        let own = net.socket_address(node, 0, true);
        let v6 = net.socket_address(node, 0, false);
        [mapped, own, v6].into_iter().flatten().collect::<Vec<_>>()
    });
    let [of_first, of_second] = candidates;
    punch(net, nodes[0], of_second, has_opener);
    net.run_for(Duration::from_millis(30));
    punch(net, nodes[1], of_first, has_opener);
    let end = net.now() + Duration::from_secs(4);
    net.run_until(end, |net| {
        nodes
            .iter()
            .all(|node| net.machine::<Puncher>(*node).is_answered)
    })
}

fn punch(net: &mut Internet, node: MachineId, to: Vec<std::net::SocketAddr>, has_opener: bool) {
    net.with_machine(node, |node: &mut Puncher, now| {
        node.punch(now, to, has_opener)
    });
}

fn pair(a: Kind, b: Kind, has_opener: bool) -> bool {
    let mut net = Internet::new(1);
    let line = Conditions::latency_ms(10);
    let hosts = [("a", a), ("b", b)].map(|(name, kind)| net.home(name, kind, line).host);
    meet(&mut net, hosts, has_opener)
}

#[test]
fn every_pair_of_kinds_meets_exactly_where_the_oracle_says_so() {
    for a in Kind::ALL {
        for b in Kind::ALL {
            let expected = outlook(&Side::of(a), &Side::of(b), &Budget::default());
            let has_met = pair(a, b, true);
            assert_eq!(has_met, expected.is_direct(), "{a} x {b}: {expected}");
            // Openers help where they are said to, and elsewhere they are not needed.
            let needs_none = expected == Outlook::Direct(Way::Punching);
            assert!(
                !needs_none || pair(a, b, false),
                "{a} x {b} without openers"
            );
        }
    }
}

#[test]
fn two_hostile_cones_do_not_meet_without_openers() {
    assert!(!pair(Kind::HostileCone, Kind::HostileCone, false));
    assert!(pair(Kind::HostileCone, Kind::HostileCone, true));
}

fn subscribers(carrier: Behavior) -> (Internet, [Home; 2]) {
    let mut net = Internet::new(1);
    let carrier = net.carrier("carrier", carrier, Conditions::latency_ms(5));
    let line = Conditions::latency_ms(10);
    let homes = ["a", "b"].map(|name| net.subscriber(name, &carrier, Kind::PortRestricted, line));
    (net, homes)
}

#[test]
fn two_homes_behind_one_carrier_meet_where_it_hairpins() {
    for hairpin in [true, false] {
        let behavior = Behavior {
            hairpin,
            ..Behavior::of(Kind::Cgnat)
        };
        let (mut net, homes) = subscribers(behavior);
        let side = Side::of(Kind::Cgnat).of_carrier(1, hairpin);
        let expected = outlook(&side, &side, &Budget::default());
        let has_met = meet(&mut net, homes.map(|home| home.host), false);
        assert_eq!(has_met, expected.is_direct(), "{expected}");
    }
}

#[test]
fn two_hosts_of_one_home_meet_at_home_whatever_the_nat() {
    for kind in [Kind::SymmetricRandom, Kind::UdpBlocked] {
        let mut net = Internet::new(1);
        let mut home = net.home("a", kind, Conditions::latency_ms(10));
        let other = net.housemate(&mut home, "b");
        assert!(meet(&mut net, [home.host, other], false), "{kind}");
    }
}

#[test]
fn ipv6_meets_through_two_firewalls_where_ipv4_cannot() {
    let mut net = Internet::new(1);
    let line = Conditions::latency_ms(10);
    let homes = ["a", "b"].map(|name| net.home_with_v6(name, Kind::SymmetricRandom, line));
    assert!(meet(&mut net, homes.map(|home| home.host), false));
}
