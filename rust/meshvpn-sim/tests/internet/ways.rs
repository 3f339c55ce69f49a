//! Which way packets take, and how long that takes them.

use std::net::SocketAddr;
use std::time::Duration;

use meshvpn_sim::machines::Mailbox;
use meshvpn_sim::{Conditions, Internet, Kind, MachineId};

fn send(net: &mut Internet, from: MachineId, to: SocketAddr, bytes: usize, hops: Option<u8>) {
    net.with_machine(from, |socket: &mut Mailbox, _| {
        socket.send(to, &vec![7; bytes], hops);
    });
}

fn count(net: &Internet, at: MachineId) -> usize {
    net.machine::<Mailbox>(at).received().len()
}

#[test]
fn a_packet_takes_the_time_of_every_link_on_its_way() {
    let mut net = Internet::new(1);
    let server = net.public_host("server", 1, Conditions::latency_ms(7));
    let home = net.home("alice", Kind::Cgnat, Conditions::latency_ms(11));
    let server = Mailbox::attach(&mut net, server, 9);
    let alice = Mailbox::attach(&mut net, home.host, 9);
    let to = net.socket_address(server, 0, true).unwrap();
    let sent_at = net.clock().unix;
    send(&mut net, alice, to, 10, None);
    net.run_for(Duration::from_secs(1));
    let received = &net.machine::<Mailbox>(server).received()[0];
    assert_eq!(received.at - sent_at, Duration::from_millis(18));
    assert_eq!(received.local, to);
}

#[test]
fn a_packet_that_is_longer_than_a_link_takes_is_lost() {
    let mut net = Internet::new(1);
    let narrow = Conditions {
        mtu: 1400,
        ..Conditions::default()
    };
    let [a, b] = ["a", "b"].map(|name| net.public_host(name, 1, narrow));
    let [a, b] = [a, b].map(|host| Mailbox::attach(&mut net, host, 9));
    for (is_v4, headers) in [(true, 28), (false, 48)] {
        let to = net.socket_address(b, 0, is_v4).unwrap();
        for bytes in [1400 - headers, 1401 - headers] {
            send(&mut net, a, to, bytes, None);
        }
    }
    net.run_for(Duration::from_secs(1));
    let received = net.machine::<Mailbox>(b).received();
    let lengths: Vec<_> = received.iter().map(|one| one.datagram.len()).collect();
    assert_eq!(lengths, [1372, 1352]);
}

#[test]
fn hops_are_counted_so_that_an_opener_dies_behind_its_own_nat() {
    let mut net = Internet::new(1);
    let server = net.public_host("server", 1, Conditions::default());
    let home = net.home("alice", Kind::PortRestricted, Conditions::default());
    let server = Mailbox::attach(&mut net, server, 9);
    let alice = Mailbox::attach(&mut net, home.host, 9);
    let to = net.socket_address(server, 0, true).unwrap();
    for (hops, is_mapped, arrives) in [(1, false, false), (2, true, false), (64, true, true)] {
        send(&mut net, alice, to, 1, Some(hops));
        net.run_for(Duration::from_secs(1));
        let mappings = net.nat(home.routers[0]).mappings(net.now());
        assert_eq!(
            (mappings.len() == 1, count(&net, server) == 1),
            (is_mapped, arrives)
        );
    }
}

#[test]
fn a_host_reaches_itself_and_its_neighbours_without_the_router() {
    let mut net = Internet::new(1);
    let mut home = net.home("alice", Kind::UdpBlocked, Conditions::default());
    let neighbour = net.housemate(&mut home, "bob");
    let [alice, bob] = [home.host, neighbour].map(|host| Mailbox::attach(&mut net, host, 9));
    for to in [alice, bob] {
        let to = net.socket_address(to, 0, true).unwrap();
        send(&mut net, alice, to, 1, None);
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!((count(&net, alice), count(&net, bob)), (1, 1));
}

#[test]
fn what_goes_nowhere_is_in_the_log_with_its_reason() {
    let mut net = Internet::new(1);
    net.keep_log();
    let a = net.public_host("a", 1, Conditions::default());
    let b = net.public_host("b", 1, Conditions::default());
    let socket = Mailbox::attach(&mut net, a, 9);
    let nobody = SocketAddr::from(([203, 0, 113, 9], 9));
    let closed = SocketAddr::new(net.addresses(b)[0], 9);
    for to in [nobody, closed] {
        send(&mut net, socket, to, 1, None);
    }
    net.run_for(Duration::from_secs(1));
    let log = net.log().text();
    assert!(log.contains("nobody has that address"), "{log}");
    assert!(log.contains("b has no socket for"), "{log}");
}
