//! The oracle against what was measured.

use super::*;

/// What was measured with Linux routers in the lab, both sides sending at once, one socket each.
const MEASURED: [(Kind, [&str; 6]); 6] = [
    (Kind::Open, ["+", "+", "+", "+", "+", "+"]),
    (Kind::FullCone, ["+", "+", "+", "+", "+", "+"]),
    (Kind::AddressRestricted, ["+", "+", "+", "+", "+", "+"]),
    (Kind::PortRestricted, ["+", "+", "+", "+", "-", "-"]),
    (Kind::SymmetricSequential, ["+", "+", "+", "-", "-", "-"]),
    (Kind::SymmetricRandom, ["+", "+", "+", "-", "-", "-"]),
];

fn expected(a: Kind, b: Kind) -> Outlook {
    outlook(&Side::of(a), &Side::of(b), &Budget::default())
}

fn odds(a: Kind, b: Kind) -> (Guess, f64) {
    let Outlook::Guessed { guess, odds } = expected(a, b) else {
        panic!("{a} x {b}: {}", expected(a, b));
    };
    let Outlook::Guessed { odds: again, .. } = expected(b, a) else {
        panic!("{b} x {a}: {}", expected(b, a));
    };
    assert!((odds - again).abs() < 1e-9, "{a} x {b}");
    (guess, odds)
}

#[test]
fn punching_works_where_it_was_measured_to() {
    for (a, row) in MEASURED {
        for ((b, _), cell) in MEASURED.iter().zip(row) {
            assert_eq!(expected(a, *b).is_direct(), cell == "+", "{a} x {b}");
        }
    }
}

#[test]
fn kinds_that_behave_alike_have_the_same_outlook() {
    for other in Kind::ALL {
        for (kind, like) in [
            (Kind::Cgnat, Kind::PortRestricted),
            (Kind::PortRestrictedRemapped, Kind::PortRestricted),
            (Kind::Hairpin, Kind::FullCone),
            (Kind::Open, Kind::FullCone),
        ] {
            assert_eq!(
                expected(kind, other),
                expected(like, other),
                "{kind} x {other}"
            );
        }
    }
}

#[test]
fn the_outlook_is_the_same_from_both_sides() {
    for a in Kind::ALL {
        for b in Kind::ALL {
            let (one, other) = (expected(a, b), expected(b, a));
            assert_eq!(one.to_string(), other.to_string(), "{a} x {b}");
        }
    }
}

#[test]
fn nothing_gets_through_where_udp_is_blocked() {
    for kind in Kind::ALL {
        let blocked = Outlook::Relayed(Obstacle::UdpBlocked);
        assert_eq!(expected(kind, Kind::UdpBlocked), blocked);
    }
}

#[test]
fn a_hostile_cone_needs_openers_towards_those_who_ask_for_the_port() {
    use Kind::{AddressRestricted, FullCone, HostileCone, PortRestricted};
    let opener = Outlook::Direct(Way::PunchingWithOpener);
    assert_eq!(expected(HostileCone, HostileCone), opener);
    assert_eq!(expected(HostileCone, PortRestricted), opener);
    for kind in [FullCone, AddressRestricted] {
        assert_eq!(expected(HostileCone, kind), Outlook::Direct(Way::Punching));
    }
}

#[test]
fn odds_of_guessing_are_those_of_the_formulas() {
    use Kind::{PortBlock, PortRestricted, SymmetricRandom, SymmetricSequential};
    let is = |(guess, odds): (Guess, f64), wanted, about: f64| {
        assert!(guess == wanted && (odds - about).abs() < 0.005, "{odds}");
    };
    is(
        odds(SymmetricSequential, PortRestricted),
        Guess::Prediction,
        1.0,
    );
    is(
        odds(SymmetricSequential, SymmetricSequential),
        Guess::Prediction,
        1.0,
    );
    is(
        odds(SymmetricRandom, PortRestricted),
        Guess::Birthday,
        0.999,
    );
    is(odds(PortBlock, PortRestricted), Guess::Birthday, 1.0);
    // 3,000 mappings of 64,512 each.
    is(
        odds(SymmetricRandom, SymmetricRandom),
        Guess::BothSides,
        0.002,
    );
    is(
        odds(SymmetricRandom, SymmetricSequential),
        Guess::BothSides,
        0.045,
    );
    // Half a block of 1,024 each.
    is(odds(PortBlock, PortBlock), Guess::BothSides, 0.221);
    is(
        odds(PortBlock, SymmetricSequential),
        Guess::BothSides,
        0.393,
    );
}

#[test]
fn a_counter_that_others_move_too_far_is_lost() {
    let mut busy = Side::of(Kind::SymmetricSequential);
    busy.nat.cross_traffic = 10;
    let peer = Side::of(Kind::PortRestricted);
    let budget = Budget::default();
    assert!(outlook(&busy, &peer, &budget).odds() > 0.99);
    busy.nat.cross_traffic = 40;
    assert!(outlook(&busy, &peer, &budget).odds() < 0.01);
}

#[test]
fn what_two_nodes_share_beats_what_stands_between_them() {
    let rand = Side::of(Kind::SymmetricRandom);
    let budget = Budget::default();
    let of = |a: &Side, b: &Side| outlook(a, b, &budget);
    let blocked = Side::of(Kind::UdpBlocked);
    let lan = Outlook::Direct(Way::Lan);
    assert_eq!(of(&rand.in_lan(1), &rand.in_lan(1)), lan);
    assert_eq!(of(&blocked.in_lan(1), &blocked.in_lan(1)), lan);
    assert!(!of(&rand.in_lan(1), &rand.in_lan(2)).is_direct());
    let v6 = Outlook::Direct(Way::Ipv6);
    assert_eq!(of(&rand.with_v6(), &rand.with_v6()), v6);
    assert!(!of(&rand.with_v6(), &rand).is_direct());
    let home = Side::of(Kind::Cgnat);
    let (one, other) = (home.of_carrier(1, true), home.of_carrier(1, false));
    assert!(of(&one, &one).is_direct());
    let walled = Outlook::Relayed(Obstacle::NoHairpin);
    assert_eq!(of(&other, &other), walled);
    assert!(of(&other, &home.of_carrier(2, false)).is_direct());
}

#[test]
fn a_mapped_port_is_a_full_cone() {
    let mut mapped = Side::of(Kind::SymmetricRandom);
    mapped.is_port_mapped = true;
    let budget = Budget::default();
    assert!(outlook(&mapped, &Side::of(Kind::SymmetricRandom), &budget).is_direct());
}
