//! Loss, reordering, repetition, restarts, clock steps: traffic comes back within the timers' bounds.

use std::time::Duration;

use crate::chance::Chance;
use crate::net::{FAIR, Net, Sent, Weather};

const STORM: Weather = Weather {
    loss: 20,
    repeated: 10,
    delay_ms: 150,
};

/// After quiet returns: silence is noticed after 15 s, and a handshake takes another two attempts at most, of
/// which one may still have been on its way to the old place.
const RECOVERY_MS: u64 = 15_000 + 2 * 5_334 + 1_000;

/// Two hours of bad weather for a hub and its peers, or for two nodes.
fn stormy_day(nodes: u8, seed: u64) -> Net {
    let mut net = Net::new(nodes, STORM, seed);
    for spoke in 1..usize::from(nodes) {
        net.introduce(0, spoke, None);
        net.flow(0, spoke, 300);
        net.flow(spoke, 0, 400);
    }
    let mut choice = Chance(!seed);
    for _ in 0..6 {
        net.run(choice.below(150_000));
        let node = choice.below(u64::from(nodes)) as usize;
        match choice.below(3) {
            0 => net.restart(node),
            1 => net.nodes[node].clock_ahead = choice.below(7200) as i64 - 3600,
            _ => {
                let port = 2000 + choice.below(1000) as u16;
                net.nodes[node].endpoint.set_port(port);
            }
        }
    }
    net
}

fn arrived_since_now(net: &mut Net, ms: u64) -> Vec<usize> {
    let since = net.now;
    net.run(ms);
    let recent =
        |node: &crate::node::Node| node.arrived.iter().filter(|(at, _)| *at > since).count();
    net.nodes.iter().map(recent).collect()
}

#[test]
fn traffic_comes_back_after_any_storm() {
    for seed in 0..30 {
        let mut net = stormy_day(2, seed);
        net.weather = FAIR;
        net.run(RECOVERY_MS);
        assert!(net.is_in_agreement(0, 1), "seed {seed}");
        let arrived = arrived_since_now(&mut net, 12_000);
        assert!(
            arrived[0] >= 29 && arrived[1] >= 39,
            "seed {seed}: {arrived:?}"
        );
    }
}

#[test]
fn traffic_comes_back_to_all_peers_of_a_hub() {
    for seed in 0..6 {
        let mut net = stormy_day(6, seed);
        net.weather = FAIR;
        net.run(RECOVERY_MS);
        for spoke in 1..6 {
            assert!(net.is_in_agreement(0, spoke), "seed {seed}, peer {spoke}");
        }
        let arrived = arrived_since_now(&mut net, 12_000);
        assert!(
            arrived[1..].iter().all(|count| *count >= 39),
            "seed {seed}: {arrived:?}"
        );
    }
}

/// In the middle of it, most packets that were not lost arrive.
#[test]
fn a_storm_costs_little_more_than_it_takes() {
    let mut net = Net::pair(STORM, 4);
    net.flow(0, 1, 100);
    net.flow(1, 0, 100);
    net.run(600_000);
    for node in &net.nodes {
        let share = node.arrived.len() as f64 / 6000.0;
        assert!(share > 0.78, "{share}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for nodes in [2, 4] {
        let (a, b) = (stormy_day(nodes, 42), stormy_day(nodes, 42));
        assert!(a.transcript == b.transcript && a.transcript.len() > 1000);
        assert!(a.transcript != stormy_day(nodes, 43).transcript);
    }
}

/// A restarted node has forgotten all; who calls first is heard at once, and otherwise the other side
/// notices after 15 s.
#[test]
fn a_restart_is_noticed() {
    for (restarted, sender, longest) in [(0, 0, 0.1), (1, 0, 15.5), (0, 1, 15.5), (1, 1, 0.1)] {
        let mut net = Net::pair(FAIR, 5);
        net.send(0, 1);
        net.run(20_000);
        net.restart(restarted);
        net.flow(sender, 1 - sender, 50);
        let before = net.nodes[1 - sender].arrived.len();
        let took = net.time_until(30_000, |net| net.nodes[1 - sender].arrived.len() > before);
        assert!(
            took <= Duration::from_secs_f64(longest),
            "{restarted} {sender}: {took:?}"
        );
    }
}

/// Not a single packet is lost over a hundred rekeys when the network loses none.
#[test]
fn rekeys_lose_nothing() {
    let mut net = Net::pair(
        Weather {
            delay_ms: 200,
            ..FAIR
        },
        6,
    );
    net.flow(0, 1, 250);
    net.flow(1, 0, 250);
    net.run(3 * 3_600_000);
    net.end_flows();
    net.run(1000);
    let mut arrived: Vec<_> = net.nodes.iter().flat_map(|node| &node.arrived).collect();
    arrived.sort_unstable_by_key(|(_, number)| *number);
    let gap = arrived.windows(2).find(|pair| pair[0].1 + 1 != pair[1].1);
    assert_eq!(gap, None);
    assert_eq!(arrived.len(), 2 * 43_201);
    let begun = net.sent_by(0, 1).len() + net.sent_by(1, 1).len();
    assert!(
        (85..=92).contains(&begun),
        "{begun} handshakes in three hours"
    );
}

/// Everything that was ever sent, once more, to whom it was for: nothing changes.
#[test]
fn a_recording_played_back_does_no_harm() {
    for seed in 0..5 {
        let mut net = stormy_day(2, seed);
        net.weather = FAIR;
        net.run(RECOVERY_MS);
        net.end_flows();
        net.run(1000);
        // The first time, what was lost may arrive after all.
        let recorded: Vec<Sent> = net.transcript.clone();
        let [before, after] = [(); 2].map(|()| {
            recorded.iter().for_each(|sent| net.deliver(sent));
            let arrived = net.nodes.iter().map(|node| node.arrived.len());
            arrived.collect::<Vec<_>>()
        });
        assert_eq!(before, after, "seed {seed}");

        net.flow(0, 1, 100);
        net.flow(1, 0, 100);
        net.run(RECOVERY_MS);
        assert!(net.is_in_agreement(0, 1), "seed {seed}");
    }
}
