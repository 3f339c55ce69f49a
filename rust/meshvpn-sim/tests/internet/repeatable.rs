//! The same seed gives the same bytes; another one does not.

use std::time::Duration;

use meshvpn_sim::log::first_difference;
use meshvpn_sim::machines::{DiscoveryMachine, StunServer};
use meshvpn_sim::{Conditions, Internet, Kind};

/// A busy internet on bad lines: what happened in ten seconds, and the digest of it.
fn happened(seed: u64) -> (String, String) {
    let mut net = Internet::new(seed);
    net.keep_log();
    let host = net.public_host("stun", 2, Conditions::latency_ms(5));
    let server = StunServer::attach(&mut net, host);
    let line = Conditions {
        jitter: Duration::from_millis(20),
        reordering: 0.1,
        repetition: 0.05,
        rate: Some(1_000_000),
        ..Conditions::latency_ms(20).with_loss(0.1)
    };
    for (number, kind) in Kind::ALL.iter().cycle().take(30).enumerate() {
        let home = net.home(&format!("home-{number}"), *kind, line);
        net.capture(home.link);
        DiscoveryMachine::attach(&mut net, home.host, &[server]);
        if let Some(router) = home.routers.first().copied() {
            let at = Duration::from_millis(100 * number as u64);
            net.at(at, move |net| net.reboot(router));
        }
    }
    net.run_for(Duration::from_secs(10));
    let file = String::from_utf8_lossy(net.pcapng()).into_owned();
    (net.log().text().to_owned() + &file, net.log().digest())
}

#[test]
fn the_same_seed_gives_the_same_log_the_same_digest_and_the_same_capture() {
    let (first, second) = (happened(1), happened(1));
    let difference = first_difference(&first.0, &second.0);
    assert!(difference.is_none(), "{}", difference.unwrap());
    assert_eq!(first.1, second.1);
    assert!(first.0.lines().count() > 2000);
}

#[test]
fn another_seed_gives_another_course() {
    assert_ne!(happened(1).1, happened(2).1);
}

#[test]
fn keeping_the_lines_does_not_change_the_digest() {
    let digest = |keep| {
        let mut net = Internet::new(1);
        if keep {
            net.keep_log();
        }
        let host = net.public_host("stun", 2, Conditions::default());
        let server = StunServer::attach(&mut net, host);
        DiscoveryMachine::attach(&mut net, host, &[server]);
        net.run_for(Duration::from_secs(5));
        net.log().digest()
    };
    assert_eq!(digest(true), digest(false));
}
