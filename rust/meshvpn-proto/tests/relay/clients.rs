//! Clients and relay together, in virtual time.

use std::time::Duration;

use meshvpn_proto::relay::client::ClientError;
use meshvpn_proto::relay::{KEEPALIVE, KEEPALIVE_JITTER, SILENCE};

use crate::net::{LATENCY, Net};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_clients_log_in_and_talk() {
    let mut net = Net::new();
    let (a, b) = (net.connect(), net.connect());
    net.run(SECOND);
    net.send(a, b, "over there?");
    net.send(b, a, "here");
    net.run(LATENCY * 2 + Duration::from_millis(3));
    assert_eq!(net.ends[a].events, ["ready", "here"]);
    assert_eq!(net.ends[b].events, ["ready", "over there?"]);
}

#[test]
fn log_in_takes_three_half_round_trips() {
    let mut net = Net::new();
    let a = net.connect();
    net.run(LATENCY * 3 - Duration::from_millis(1));
    assert!(!net.ends[a].client.is_ready());
    net.run(Duration::from_millis(4));
    assert!(net.ends[a].client.is_ready());
}

#[test]
fn an_idle_connection_lives_and_costs_a_frame_a_minute() {
    let mut net = Net::new();
    let a = net.connect();
    net.run(SECOND);
    let before = net.bytes_to(a);
    net.run(SECOND * 3600);
    assert_eq!(net.ends[a].failure, None);
    let keepalives = (net.bytes_to(a) - before) / 5;
    let fewest = 3600 / (KEEPALIVE + KEEPALIVE_JITTER).as_secs() as usize;
    assert!((fewest..=60).contains(&keepalives), "{keepalives}");
}

#[test]
fn a_relay_that_is_dead_is_noticed_soon_while_sending_and_late_while_idle() {
    let mut net = Net::new();
    let (idle, busy) = (net.connect(), net.connect());
    net.run(SECOND);
    for end in &mut net.ends {
        end.is_cut = true;
    }
    for _ in 0..11 {
        net.send(busy, idle, "still there?");
        net.run(SECOND);
    }
    assert!(matches!(
        net.ends[busy].failure,
        Some(ClientError::Silent(_))
    ));
    assert_eq!(net.ends[idle].failure, None);
    net.run(SILENCE);
    assert!(matches!(
        net.ends[idle].failure,
        Some(ClientError::Silent(_))
    ));
}

#[test]
fn one_who_only_sends_is_answered_and_stays() {
    let mut net = Net::new();
    let (a, b) = (net.connect(), net.connect());
    net.run(SECOND);
    for _ in 0..600 {
        net.send(a, b, "x");
        net.run(Duration::from_millis(100));
    }
    assert_eq!(net.ends[a].failure, None);
    assert_eq!(net.ends[b].events.len(), 601);
    let pongs = net.ends[a].events.len() - 1;
    assert!((5..20).contains(&pongs), "a question now and then: {pongs}");
}

#[test]
fn a_ping_measures_the_round_trip() {
    let mut net = Net::new();
    let a = net.connect();
    net.run(SECOND);
    let now = net.now;
    net.ends[a].client.ping(now);
    net.run(SECOND);
    let pong = net.ends[a].events.last().unwrap();
    let measured = pong.strip_prefix("pong after ").unwrap();
    let measured: f64 = measured.strip_suffix("ms").unwrap().parse().unwrap();
    assert!((40.0..44.0).contains(&measured), "{measured}");
}

#[test]
fn a_restart_is_announced() {
    let mut net = Net::new();
    let a = net.connect();
    net.run(SECOND);
    net.server.announce_restart(SECOND, SECOND * 30);
    net.run(SECOND);
    assert_eq!(
        net.ends[a].events[1],
        "Restarting { reconnect_in: 1s, try_for: 30s }"
    );
}

#[test]
fn a_relay_that_never_greets_is_given_up() {
    let mut net = Net::new();
    let a = net.connect();
    net.ends[a].is_cut = true;
    net.run(SECOND * 9);
    assert_eq!(net.ends[a].failure, None);
    net.run(SECOND * 2);
    assert!(matches!(net.ends[a].failure, Some(ClientError::Silent(_))));
}
