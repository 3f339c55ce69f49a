//! A relay and its clients in virtual time: connections are reliable and in order, and take a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::client::{Client, ClientError, Event};
use meshvpn_proto::relay::queue::FrameQueue;
use meshvpn_proto::relay::server::{ClientId, Limits, Login, Server};

/// How long bytes are on their way.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

/// Some moment. Instants cannot be made up, but only differences from this one matter.
#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
pub(crate) fn beginning() -> Instant {
    Instant::now()
}

/// The relay and all clients.
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) server: Server,
    login: Login,
    limits: Limits,
    pub(crate) ends: Vec<End>,
}

/// One client and its connection.
pub(crate) struct End {
    pub(crate) client: Client,
    pub(crate) packets: FrameQueue,
    /// What happened, in words; packets by their content.
    pub(crate) events: Vec<String>,
    pub(crate) failure: Option<ClientError>,
    /// The relay has gone without a word.
    pub(crate) is_cut: bool,
    id: Option<ClientId>,
    upstream: Wire,
    downstream: Wire,
}

/// One direction.
#[derive(Default)]
struct Wire {
    sent: VecDeque<(Instant, Vec<u8>)>,
    arrived: Vec<u8>,
    bytes: usize,
}

pub(crate) fn key(number: usize) -> PublicKey {
    private_key(number).public_key()
}

fn private_key(number: usize) -> PrivateKey {
    PrivateKey::new([number as u8 + 1; 32])
}

impl Net {
    pub(crate) fn new() -> Self {
        let limits = Limits::default();
        Self {
            now: beginning(),
            server: Server::new(limits, [7; 32]),
            login: Login::new(PrivateKey::new([200; 32])),
            limits,
            ends: Vec::new(),
        }
    }

    /// A client connects.
    pub(crate) fn connect(&mut self) -> usize {
        let number = self.ends.len();
        let mut end = End {
            client: Client::new(self.now, private_key(number), [number as u8; 24]),
            packets: FrameQueue::new(64 << 10),
            events: Vec::new(),
            failure: None,
            is_cut: false,
            id: None,
            upstream: Wire::default(),
            downstream: Wire::default(),
        };
        end.downstream.send(self.now, self.login.greeting());
        self.ends.push(end);
        number
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, content: &str) {
        self.ends[from]
            .packets
            .push_packets(&key(to), content.as_bytes(), None);
    }

    /// Bytes that went to client `number` so far.
    pub(crate) fn bytes_to(&self, number: usize) -> usize {
        self.ends[number].downstream.bytes
    }

    /// Lets time pass, a millisecond at a time.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        if self.server.poll_timeout().is_some_and(|at| at <= now) {
            self.server.handle_timeout(now);
        }
        for end in &mut self.ends {
            end.step(now);
            if end.is_cut {
                continue;
            }
            end.upstream.deliver(now);
            let Some(id) = end.id else {
                if let Some(hello) = self.login.handle_bytes(&end.upstream.arrived).unwrap() {
                    end.upstream.arrived.drain(..hello.consumed);
                    end.id = Some(self.server.add(now, hello.key).unwrap());
                    let answer = self.login.answer(&hello.key, &self.limits, [9; 24]);
                    end.downstream.send(now, answer);
                }
                continue;
            };
            let arrived = &mut end.upstream.arrived;
            let progress = self.server.handle_bytes(now, id, arrived).unwrap();
            arrived.drain(..progress.consumed);
        }
        while let Some(id) = self.server.poll_writable() {
            let end = self.ends.iter_mut().find(|end| end.id == Some(id)).unwrap();
            let mut out = Vec::new();
            while self.server.take_output(id, &mut out) {}
            end.downstream.send(now, out);
        }
    }
}

impl End {
    fn step(&mut self, now: Instant) {
        if self.failure.is_some() {
            return;
        }
        if !self.is_cut {
            self.downstream.deliver(now);
        }
        let mut rest = &self.downstream.arrived[..];
        while let Some(event) = self.client.next(now, &mut rest).unwrap() {
            self.events.push(match event {
                Event::Packet { packet, .. } => String::from_utf8(packet.to_vec()).unwrap(),
                Event::Ready { .. } => "ready".to_owned(),
                Event::Pong { round_trip } => format!("pong after {round_trip:?}"),
                Event::PeerGone { reason, .. } => format!("peer {reason:?}"),
                other => format!("{other:?}"),
            });
        }
        let used = self.downstream.arrived.len() - rest.len();
        self.downstream.arrived.drain(..used);
        if self.client.poll_timeout() <= now
            && let Err(error) = self.client.handle_timeout(now)
        {
            self.failure = Some(error);
        }
        while let Some(frame) = self.client.poll_transmit() {
            self.upstream.send(now, frame);
        }
        if self.client.is_ready() && !self.packets.is_empty() {
            let mut out = Vec::new();
            self.packets.take_into(&mut out);
            self.upstream.send(now, out);
            self.client.note_sent(now);
        }
    }
}

impl Wire {
    fn send(&mut self, now: Instant, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.sent.push_back((now + LATENCY, bytes));
    }

    fn deliver(&mut self, now: Instant) {
        while let Some((_, bytes)) = self.sent.pop_front_if(|(at, _)| *at <= now) {
            self.arrived.extend(bytes);
        }
    }
}
