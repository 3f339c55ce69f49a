//! Links that fail, hosts that move, machines that are killed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use meshvpn_sim::internet::PUBLIC;
use meshvpn_sim::machines::Mailbox;
use meshvpn_sim::{Conditions, Internet, MachineId};

struct Two {
    net: Internet,
    sockets: [MachineId; 2],
}

impl Two {
    fn new() -> Self {
        let mut net = Internet::new(1);
        let sockets = ["a", "b"].map(|name| {
            let host = net.public_host(name, 1, Conditions::latency_ms(10));
            Mailbox::attach(&mut net, host, 9)
        });
        Self { net, sockets }
    }

    /// Sends one datagram each way; returns which arrived: at the first, at the second.
    fn exchange(&mut self) -> [bool; 2] {
        let [a, b] = self.sockets;
        for (from, to) in [(a, b), (b, a)] {
            if let Some(to) = self.net.socket_address(to, 0, true) {
                self.net
                    .with_machine(from, |socket: &mut Mailbox, _| socket.send(to, b"x", None));
            }
        }
        self.net.run_for(Duration::from_millis(100));
        self.sockets.map(|socket| {
            let take = |socket: &mut Mailbox, _| socket.take();
            !self.net.with_machine(socket, take).is_empty()
        })
    }
}

#[test]
fn a_link_that_is_down_takes_nothing_and_is_as_before_when_it_is_up() {
    let mut two = Two::new();
    assert_eq!(two.exchange(), [true, true]);
    let link = two.net.links(two.net.host_of(two.sockets[1]))[0];
    two.net.set_link(link, false);
    assert_eq!(two.exchange(), [false, false]);
    two.net.set_link(link, true);
    assert_eq!(two.exchange(), [true, true]);
}

#[test]
fn a_host_that_moves_has_other_addresses() {
    let mut two = Two::new();
    let host = two.net.host_of(two.sockets[0]);
    let before = two.net.addresses(host);
    let link = two.net.links(host)[0];
    let elsewhere = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77));
    two.net.move_link(link, PUBLIC, &[elsewhere]);
    assert_eq!(two.net.addresses(host), [elsewhere]);
    assert!(!before.contains(&elsewhere));
    assert_eq!(two.exchange(), [true, true]);
}

#[test]
fn a_machine_that_is_killed_is_silent_and_its_port_is_free() {
    let mut two = Two::new();
    let host = two.net.host_of(two.sockets[1]);
    two.net.stop(two.sockets[1]);
    assert!(!two.net.is_running(two.sockets[1]));
    assert_eq!(two.exchange(), [false, false]);
    two.sockets[1] = Mailbox::attach(&mut two.net, host, 9);
    assert_eq!(two.exchange(), [true, true]);
}

#[test]
fn what_is_planned_happens_at_its_time() {
    let mut two = Two::new();
    let link = two.net.links(two.net.host_of(two.sockets[0]))[0];
    let second = Duration::from_secs(1);
    two.net.at(second, move |net| net.set_link(link, false));
    two.net.at(second * 2, move |net| net.set_link(link, true));
    assert_eq!(two.exchange(), [true, true]);
    two.net.run_for(second);
    assert_eq!(two.exchange(), [false, false]);
    two.net.run_for(second);
    assert_eq!(two.exchange(), [true, true]);
}
