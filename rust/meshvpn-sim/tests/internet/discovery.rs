//! Every kind of NAT is found out to be what it is, by the questions of RFC 5780: the simulator's NATs behave
//! as their names say, and discovery draws the right conclusions.

use std::time::Duration;

use meshvpn_proto::nat::behavior::{Allocation, Filtering, Mapping};
use meshvpn_proto::nat::discovery::Report;
use meshvpn_sim::machines::{DiscoveryMachine, StunServer};
use meshvpn_sim::nat::Ports;
use meshvpn_sim::{Behavior, Conditions, Internet, Kind};

use Filtering::{
    AddressAndPortDependent as Apdf, AddressDependent as Adf, EndpointIndependent as Eif,
};
use Mapping::{
    AddressAndPortDependent as Apdm, AddressDependent as Adm, EndpointIndependent as Eim,
};

/// What discovery finds behind a NAT of this kind, changed by `change`, over such a line.
fn found(kind: Kind, line: Conditions, change: impl FnOnce(&mut Behavior)) -> Report {
    let mut net = Internet::new(11);
    let host = net.public_host("stun", 2, Conditions::latency_ms(10));
    let server = StunServer::attach(&mut net, host);
    let home = net.home("alice", kind, line);
    if let Some(router) = home.routers.last() {
        change(net.nat_mut(*router).behavior_mut());
    }
    let machine = DiscoveryMachine::attach(&mut net, home.host, &[server]);
    let report = |net: &Internet| net.machine::<DiscoveryMachine>(machine).report().cloned();
    let end = Duration::from_secs(6);
    assert!(
        net.run_until(end, |net| report(net).is_some()),
        "{kind}: no report"
    );
    report(&net).unwrap()
}

fn of(kind: Kind) -> Report {
    found(kind, Conditions::latency_ms(10), |_| {})
}

#[test]
fn every_kind_is_found_out() {
    for (kind, mapping, filtering, hairpin, preserves) in [
        (Kind::FullCone, Eim, Eif, false, false),
        (Kind::AddressRestricted, Eim, Adf, false, false),
        (Kind::PortRestricted, Eim, Apdf, false, true),
        (Kind::PortRestrictedRemapped, Eim, Apdf, false, false),
        (Kind::AddressDependent, Adm, Apdf, false, false),
        (Kind::SymmetricSequential, Apdm, Apdf, false, false),
        (Kind::SymmetricRandom, Apdm, Apdf, false, false),
        (Kind::PortBlock, Apdm, Apdf, false, false),
        (Kind::Hairpin, Eim, Eif, true, false),
        (Kind::HostileCone, Eim, Apdf, false, true),
        (Kind::Cgnat, Eim, Apdf, true, false),
    ] {
        let report = of(kind);
        assert_eq!(report.mapping, Some(mapping), "{kind}");
        assert_eq!(report.filtering, Some(filtering), "{kind}");
        assert_eq!(report.hairpin, Some(hairpin), "{kind}");
        assert_eq!(report.preserves_port, Some(preserves), "{kind}");
        assert_eq!(report.is_translated, Some(true), "{kind}");
        assert_eq!(report.allocation.is_some(), mapping != Eim, "{kind}");
        assert_eq!(report.addresses.len(), 1, "{kind}");
        // Up and down the home's line and the server's.
        assert_eq!(report.round_trips[0].round_trip, Duration::from_millis(40));
    }
}

#[test]
fn an_open_host_has_no_nat() {
    let report = of(Kind::Open);
    assert_eq!(report.is_translated, Some(false));
    assert_eq!(report.filtering, Some(Eif));
    assert_eq!((report.hairpin, report.mapping), (None, Some(Eim)));
    assert!(report.sentence().contains("no firewall"));
}

#[test]
fn blocked_udp_is_reported_when_patience_is_over() {
    let report = of(Kind::UdpBlocked);
    assert_eq!((report.mapped, report.mapping), (None, None));
    assert!(report.sentence().starts_with("UDP does not get through"));
}

#[test]
fn a_counter_is_found_with_its_step_also_under_cross_traffic() {
    for step in [1, 2, -1, -3] {
        let report = found(
            Kind::SymmetricSequential,
            Conditions::latency_ms(10),
            |behavior| {
                behavior.ports = Ports::Sequential { step };
                behavior.cross_traffic = 20;
            },
        );
        assert_eq!(report.allocation, Some(Allocation::Sequential { step }));
    }
}

#[test]
fn a_block_of_ports_is_told_from_the_whole_range() {
    let range = |kind| match of(kind).allocation {
        Some(Allocation::Random { range, .. }) => range,
        other => panic!("{kind}: {other:?}"),
    };
    assert!((700..1500).contains(&range(Kind::PortBlock)));
    assert!((45_000..=65_536).contains(&range(Kind::SymmetricRandom)));
}

#[test]
fn loss_delay_and_reordering_change_nothing_but_the_time() {
    let line = Conditions {
        jitter: Duration::from_millis(40),
        reordering: 0.05,
        repetition: 0.05,
        ..Conditions::latency_ms(60).with_loss(0.05)
    };
    for kind in Kind::ALL {
        let (good, bad) = (of(kind), found(kind, line, |_| {}));
        assert_eq!(good.mapping, bad.mapping, "{kind}");
        assert_eq!(good.filtering, bad.filtering, "{kind}");
        assert_eq!(good.hairpin, bad.hairpin, "{kind}");
    }
}

#[test]
fn every_report_says_something_of_its_own() {
    let mut sentences: Vec<_> = [
        Kind::Open,
        Kind::FullCone,
        Kind::PortRestricted,
        Kind::AddressDependent,
        Kind::SymmetricSequential,
        Kind::SymmetricRandom,
        Kind::PortBlock,
        Kind::UdpBlocked,
    ]
    .map(|kind| of(kind).sentence())
    .to_vec();
    sentences.sort_unstable();
    sentences.dedup();
    assert_eq!(sentences.len(), 8);
}
