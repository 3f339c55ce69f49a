//! The simplest node that punches: it sends to every address that it knows of its peer, learns from what
//! arrives, and is content when it was answered. Nothing is guessed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use meshvpn_proto::nat::client::{Client, Outcome, Question};
use meshvpn_proto::time::Now;
use meshvpn_sim::{HostId, Internet, Machine, MachineId, Transmit};

const INTERVAL: Duration = Duration::from_millis(100);
const TRIES: u32 = 20;
const PING: u8 = 1;
const PONG: u8 = 2;

pub(crate) struct Puncher {
    /// Tells its datagrams from others': private addresses lead to somebody else, or back to itself.
    number: u8,
    peer: u8,
    stun: Client,
    pub(crate) mapped: Option<SocketAddr>,
    targets: Vec<SocketAddr>,
    tries: u32,
    next: Option<Instant>,
    /// The first datagram to each target dies behind our own NAT.
    has_opener: bool,
    outgoing: VecDeque<Transmit>,
    pub(crate) is_answered: bool,
}

impl Puncher {
    pub(crate) fn attach(
        net: &mut Internet,
        host: HostId,
        stun: SocketAddr,
        number: u8,
    ) -> MachineId {
        let seed = net.chance(&format!("puncher {host:?}")).seed();
        let mut machine = Self {
            number,
            peer: 1 - number,
            stun: Client::new(seed),
            mapped: None,
            targets: Vec::new(),
            tries: 0,
            next: None,
            has_opener: false,
            outgoing: VecDeque::new(),
            is_answered: false,
        };
        machine
            .stun
            .ask(net.clock().instant, Question::new(0, stun));
        net.attach(host, "puncher", Box::new(machine), &[41641])
    }

    /// Begins to send to these.
    pub(crate) fn punch(&mut self, now: Now, targets: Vec<SocketAddr>, has_opener: bool) {
        self.has_opener = has_opener;
        for target in &targets {
            if has_opener {
                self.send(*target, PING, Some(2));
            }
        }
        (self.targets, self.tries) = (targets, TRIES);
        // Both sides have sent their openers by then.
        let wait = if has_opener { INTERVAL } else { Duration::ZERO };
        self.next = Some(now.instant + wait);
        if !has_opener {
            self.handle_timeout(now);
        }
    }

    fn send(&mut self, to: SocketAddr, what: u8, hops: Option<u8>) {
        self.outgoing.push_back(Transmit {
            socket: 0,
            source: None,
            to,
            hops,
            datagram: vec![what, self.number],
        });
    }
}

impl Machine for Puncher {
    fn handle_datagram(
        &mut self,
        now: Now,
        socket: usize,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let path = meshvpn_proto::forward::Path {
            socket,
            source: Some(local.ip()),
            destination: from,
        };
        if self.stun.handle_datagram(now.instant, path, datagram) {
            while let Some(event) = self.stun.poll_event() {
                if let Outcome::Answered(answer) = event.outcome {
                    self.mapped = Some(answer.binding.mapped);
                }
            }
        } else if datagram == [PING, self.peer] {
            if !self.targets.contains(&from) {
                self.targets.push(from);
            }
            self.send(from, PONG, None);
        } else if datagram == [PONG, self.peer] {
            self.is_answered = true;
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.stun.handle_timeout(now.instant);
        if self.next.is_some_and(|next| now.instant >= next) {
            for target in self.targets.clone() {
                self.send(target, PING, None);
            }
            self.tries = self.tries.saturating_sub(1);
            self.next = (self.tries > 0).then(|| now.instant + INTERVAL);
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let asked = self.stun.poll_transmit().map(Transmit::from);
        asked.or_else(|| self.outgoing.pop_front())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let stun = self.stun.poll_timeout().map(|(at, _)| at);
        [stun, self.next].into_iter().flatten().min()
    }
}
