//! The search finds what a path takes, exactly and soon, and keeps it found.

use std::time::Duration;

use meshvpn_proto::path::mtu::Event;
use proptest::prelude::*;

use crate::narrow_path::{FLOOR, NarrowPath};

/// Probes that one search may cost: five rounds of nine sizes, twice, and once or twice more while
/// the round trip is not known.
const PROBES_A_SEARCH: usize = 110;
/// Probes that any second may see, whatever happens: four attempts a round where packets are lost.
const PROBES_A_SECOND: usize = 200;

fn found(path: &mut NarrowPath) {
    path.time_until(60_000, |path| path.is_settled());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_width_is_found_to_the_byte(
        ceiling in FLOOR..=9000, narrower in 0..8424u16, round_trip in 0..900u64,
    ) {
        let width = ceiling.saturating_sub(narrower).max(FLOOR);
        let mut path = NarrowPath::new(ceiling, width, round_trip);
        let time = path.time_until(30_000, |path| path.is_settled());
        prop_assert_eq!(path.mtu.current(), width);
        prop_assert!(path.probes.len() <= PROBES_A_SEARCH, "{} probes", path.probes.len());
        // The first round waits for a round trip that it cannot know; then come four rounds of two
        // attempts each, with a grace of a quarter round trip or 20 ms.
        let attempt = path.round_trip + (path.round_trip / 4).max(Duration::from_millis(20));
        let bound = Duration::from_millis(2200) + attempt * 10;
        prop_assert!(time <= bound, "{:?} > {:?}", time, bound);
    }

    #[test]
    fn loss_costs_at_most_some_bytes_until_the_next_raise(
        width in FLOOR..=1500, round_trip in 1..200u64, loss in 5..=20u64, seed: u64,
    ) {
        let mut path = NarrowPath::new(1500, width, round_trip).with_loss(loss, seed);
        path.run(20_000);
        prop_assert!(path.mtu.current() <= width, "never more than the path takes");
        prop_assert!(path.mtu.is_reached());
        path.loss = 0;
        path.run(60_000);
        prop_assert_eq!(path.mtu.current(), width);
    }
}

/// How often what a search found was wrong, and by how much, where every fifth packet is lost.
#[test]
fn heavy_loss_rarely_misleads_the_search() {
    let mut misses = 0;
    for seed in 0..300 {
        let mut path = NarrowPath::new(1500, 1400, 50).with_loss(20, seed);
        found(&mut path);
        assert!(path.mtu.current() <= 1400 && path.mtu.is_reached());
        misses += usize::from(path.mtu.current() + 16 < 1400);
    }
    assert!(
        misses <= 30,
        "{misses} of 300 were off by more than 16 bytes"
    );
}

/// Loss alone must not make the tunnel narrower: an hour of traffic, one packet in ten lost.
#[test]
fn loss_alone_seldom_narrows_the_tunnel() {
    let mut path = NarrowPath::new(1500, 1500, 50).with_loss(10, 3);
    path.run(3_600_000);
    let narrowed = path
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Changed(size) if *size < 1400));
    assert!(narrowed.count() <= 10);
    assert!(!path.events.iter().any(|(_, event)| *event == Event::Silent));
    assert!(path.busiest_second() <= PROBES_A_SECOND);
}

#[test]
fn a_path_that_shrinks_under_traffic_is_usable_again_within_a_second() {
    let mut worst = (Duration::ZERO, Duration::ZERO);
    for (offset, width) in (0..600).step_by(30).zip((600..1480).step_by(44)) {
        let mut path = NarrowPath::new(1500, 1500, 50);
        found(&mut path);
        path.run(offset);
        path.width = width;
        let shrunk = path.time_until(5_000, |path| path.mtu.current() <= path.width);
        let exact = shrunk + path.time_until(5_000, |path| path.mtu.current() == path.width);
        worst = (worst.0.max(shrunk), worst.1.max(exact));
    }
    assert!(
        worst.0 <= Duration::from_millis(900),
        "usable after {:?}",
        worst.0
    );
    assert!(
        worst.1 <= Duration::from_millis(1400),
        "exact after {:?}",
        worst.1
    );
}

#[test]
fn a_path_that_grows_is_used_after_the_next_raise() {
    for width in [1101, 1108, 1280, 1499, 1500] {
        let mut path = NarrowPath::new(1500, 1100, 50);
        found(&mut path);
        assert_eq!(path.mtu.current(), 1100);
        path.width = width;
        path.run(32_000);
        assert_eq!(path.mtu.current(), width);
    }
}

#[test]
fn a_silent_peer_says_nothing_about_the_path() {
    let mut path = NarrowPath::new(1500, 1400, 50);
    found(&mut path);
    path.is_peer_there = false;
    path.run(3_600_000);
    assert_eq!((path.mtu.current(), path.mtu.is_reached()), (1400, false));
    assert_eq!(path.events.last().unwrap().1, Event::Silent);
    // While it is away, it is asked with small packets only, once a second.
    let asked = &path.probes[path.probes.len() - 3000..];
    assert!(asked.iter().all(|(_, size)| *size == FLOOR));
    assert!(asked[2999].0 - asked[0].0 >= Duration::from_secs(2990));

    path.is_peer_there = true;
    let back = path.time_until(3_000, |path| path.mtu.is_reached());
    assert!(back <= Duration::from_millis(1100), "{back:?}");
    found(&mut path);
    assert_eq!(path.mtu.current(), 1400);
    assert!(
        path.events
            .iter()
            .filter(|(_, event)| *event == Event::Reached)
            .count()
            == 2
    );
}

/// A satellite, or a queue of seconds.
#[test]
fn a_peer_is_reached_over_any_round_trip() {
    for round_trip in [1, 100, 299, 601, 700, 1500, 2900, 5000] {
        let mut path = NarrowPath::new(1500, 1400, round_trip);
        path.time_until(30_000, |path| path.mtu.is_reached());
        if round_trip < 3000 {
            path.time_until(120_000, |path| path.mtu.current() == 1400);
        }
    }
}

/// A download fills a queue: the round trip grows from 10 to 400 ms at once.
#[test]
fn a_filling_queue_is_no_silence_and_no_narrower_path() {
    let mut path = NarrowPath::new(1500, 1500, 10);
    found(&mut path);
    path.run(3000);
    path.round_trip = Duration::from_millis(400);
    path.run(60_000);
    let events: Vec<_> = path.events.iter().map(|(_, event)| *event).collect();
    assert_eq!(events, [Event::Reached]);
}

#[test]
fn without_traffic_nothing_is_sent_and_nobody_woken() {
    let mut path = NarrowPath::new(1500, 1400, 50);
    path.has_traffic = false;
    found(&mut path);
    assert_eq!(path.mtu.poll_timeout(), None);
    let sent = path.probes.len();
    path.run(3_600_000);
    assert_eq!(path.probes.len(), sent);
    // What happened meanwhile is noticed with the first packets.
    path.width = 1000;
    path.has_traffic = true;
    path.time_until(1_000, |path| path.mtu.current() <= 1000);
}

#[test]
fn a_refused_packet_starts_a_search_at_once() {
    let mut path = NarrowPath::new(1500, 1500, 50);
    found(&mut path);
    path.run(2000);
    path.width = 1300;
    path.mtu.handle_refused(path.now);
    path.drain();
    path.time_until(200, |path| path.mtu.current() <= 1300);
    path.time_until(1000, |path| path.mtu.current() == 1300);
}

#[test]
fn the_ceiling_follows_the_interface() {
    let mut path = NarrowPath::new(1500, 9000, 50);
    found(&mut path);
    path.mtu.handle_ceiling(path.now, 9000);
    path.drain();
    path.time_until(2000, |path| path.mtu.current() == 9000);
    path.mtu.handle_ceiling(path.now, 1280);
    assert_eq!(path.mtu.current(), 1280, "at once: more cannot leave");
    path.drain();
    found(&mut path);
    path.mtu.handle_ceiling(path.now, 100);
    assert_eq!(path.mtu.current(), FLOOR);
    path.mtu.handle_ceiling(path.now, u16::MAX);
    path.drain();
    path.time_until(5000, |path| path.mtu.current() == 9000);
}

/// The engine may call as often as it likes.
#[test]
fn no_state_sends_without_measure() {
    for (width, round_trip, loss) in [(1500, 0, 0), (1400, 0, 20), (576, 1, 0), (1100, 30, 50)] {
        let mut path = NarrowPath::new(9000, width, round_trip).with_loss(loss, 5);
        for _ in 0..2000 {
            path.mtu.handle_refused(path.now);
            path.drain();
            path.run(10);
        }
        assert!(
            path.busiest_second() <= PROBES_A_SECOND,
            "{}",
            path.busiest_second()
        );
        path.is_peer_there = false;
        for _ in 0..2000 {
            path.mtu.handle_refused(path.now);
            path.drain();
            path.run(10);
        }
        assert!(
            path.busiest_second() <= PROBES_A_SECOND,
            "{}",
            path.busiest_second()
        );
    }
    // An hour of undisturbed traffic below the ceiling: two confirmations a second, and the raises.
    let mut path = NarrowPath::new(1500, 1400, 50);
    path.run(3_600_000);
    assert!(
        path.probes.len() <= 3600 * 5,
        "{} probes",
        path.probes.len()
    );
}
