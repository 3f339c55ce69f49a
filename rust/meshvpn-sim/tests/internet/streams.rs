//! Streams take the same way as datagrams, through the same NATs.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use meshvpn_proto::time::Now;
use meshvpn_sim::stream::Closed;
use meshvpn_sim::{
    Conditions, Home, Internet, Kind, Machine, MachineId, StreamAction, StreamEvent, StreamId,
    Transmit,
};

/// Opens one stream and sends on it, or sends back what comes.
#[derive(Default)]
struct Talker {
    actions: VecDeque<StreamAction>,
    events: Vec<StreamEvent>,
    answers: bool,
    from: BTreeMap<StreamId, SocketAddr>,
}

const STREAM: StreamId = StreamId(0);

impl Machine for Talker {
    fn handle_datagram(&mut self, _: Now, _: usize, _: SocketAddr, _: SocketAddr, _: &[u8]) {}

    fn handle_timeout(&mut self, _: Now) {}

    fn handle_stream(&mut self, _: Now, stream: StreamId, event: StreamEvent) {
        match &event {
            StreamEvent::Accepted(from) => {
                self.from.insert(stream, *from);
            }
            StreamEvent::Data(bytes) if self.answers => {
                self.actions
                    .push_back(StreamAction::Send(stream, bytes.clone()));
            }
            _ => {}
        }
        self.events.push(event);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    fn poll_stream(&mut self) -> Option<StreamAction> {
        self.actions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

struct Two {
    net: Internet,
    home: Home,
    client: MachineId,
    server: MachineId,
}

impl Two {
    fn new(kind: Kind, port: u16, line: Conditions) -> Self {
        let mut net = Internet::new(1);
        let host = net.public_host("server", 1, Conditions::latency_ms(5));
        let home = net.home("alice", kind, line);
        let server = Talker {
            answers: true,
            actions: [StreamAction::Listen(port)].into(),
            ..Talker::default()
        };
        let to = SocketAddr::new(net.addresses(host)[0], port);
        let server = net.attach(host, "server", Box::new(server), &[]);
        let client = Talker {
            actions: [StreamAction::Open(STREAM, to)].into(),
            ..Talker::default()
        };
        let client = net.attach(home.host, "client", Box::new(client), &[]);
        Self {
            net,
            home,
            client,
            server,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        let send = StreamAction::Send(STREAM, bytes.to_vec());
        self.net
            .with_machine(self.client, |client: &mut Talker, _| {
                client.actions.push_back(send);
            });
    }

    fn run(&mut self, seconds: u64) {
        self.net.run_for(Duration::from_secs(seconds));
    }

    fn answered(&self) -> Vec<u8> {
        let events = self.net.machine::<Talker>(self.client).events.iter();
        let data = events.filter_map(|event| match event {
            StreamEvent::Data(bytes) => Some(&bytes[..]),
            _ => None,
        });
        data.flatten().copied().collect()
    }

    fn closed(&self, at: MachineId) -> Option<Closed> {
        let mut events = self.net.machine::<Talker>(at).events.iter();
        events.find_map(|event| match event {
            StreamEvent::Closed(why) => Some(*why),
            _ => None,
        })
    }
}

#[test]
fn bytes_go_there_and_back_through_a_nat_on_a_bad_line() {
    let line = Conditions {
        reordering: 0.1,
        jitter: Duration::from_millis(10),
        ..Conditions::latency_ms(20).with_loss(0.1)
    };
    let mut two = Two::new(Kind::SymmetricRandom, 80, line);
    let bytes: Vec<u8> = (0..100_000u32).map(|i| (i * 13) as u8).collect();
    two.send(&bytes);
    two.run(120);
    assert!(two.answered() == bytes);
    let server = two.net.machine::<Talker>(two.server);
    let seen: Vec<_> = server.from.values().map(SocketAddr::ip).collect();
    assert_eq!(seen, two.net.nat(two.home.routers[0]).addresses());
}

#[test]
fn only_port_443_gets_out_where_udp_is_blocked() {
    for (port, gets_out) in [(443, true), (80, false)] {
        let mut two = Two::new(Kind::UdpBlocked, port, Conditions::latency_ms(20));
        two.send(b"hello");
        two.run(30);
        assert_eq!(two.answered() == b"hello", gets_out, "{port}");
        let timed_out = two.closed(two.client) == Some(Closed::TimedOut);
        assert_eq!(timed_out, !gets_out, "{port}");
    }
}

#[test]
fn a_nat_that_forgets_breaks_the_stream_and_both_ends_notice() {
    let mut two = Two::new(Kind::SymmetricRandom, 80, Conditions::latency_ms(20));
    two.run(1);
    two.net.reboot(two.home.routers[0]);
    two.send(b"are you there?");
    two.run(1);
    // Its packets come from another port now, where the server knows nothing of them.
    assert_eq!(two.closed(two.client), Some(Closed::Reset));
}

#[test]
fn a_stream_of_a_killed_machine_is_reset_and_nobody_listens_any_more() {
    let mut two = Two::new(Kind::Open, 80, Conditions::latency_ms(20));
    two.run(1);
    two.net.stop(two.server);
    two.run(1);
    assert_eq!(two.closed(two.client), Some(Closed::Reset));
}

#[test]
fn an_end_is_told_when_the_other_closes() {
    let mut two = Two::new(Kind::FullCone, 80, Conditions::latency_ms(20));
    two.send(b"bye");
    two.net.with_machine(two.client, |client: &mut Talker, _| {
        client.actions.push_back(StreamAction::Close(STREAM));
    });
    two.run(2);
    assert_eq!(two.closed(two.server), Some(Closed::Ended));
    let server = two.net.machine::<Talker>(two.server);
    assert!(server.events.contains(&StreamEvent::Data(b"bye".to_vec())));
}
