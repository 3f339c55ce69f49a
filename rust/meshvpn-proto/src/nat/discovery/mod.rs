//! NAT behaviour discovery (RFC 5780): asks the questions that tell what a NAT does, and draws conclusions.
//!
//! Everything that can be asked at once is, so that a report takes little longer than the slowest answer:
//!
//! 1. *Mapping.* The live socket, the one whose traffic matters, asks every server. The first that has other
//!    addresses is asked at those as well. One outer port for all of them, one for each address, or one for
//!    each address and port?
//! 2. *Filtering.* A fresh socket, which has sent to the server's first address alone, asks to be answered
//!    from the others. Which answers get in?
//! 3. *Hairpin.* Two fresh sockets learn their outer addresses and send to each other there.
//! 4. *Allocation*, where the mapping depends on the destination: a number of fresh sockets ask at once. Is
//!    there a pattern in the ports?
//!
//! What the NAT is called orders the attempts of a node to reach its peers, and never forbids one: answers are
//! lost, and NATs change their ways.

mod allocation;
mod report;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::Transmit;
use super::behavior::{Filtering, Mapping};
use super::client::{Answer, Client, Event, Outcome, PATIENCE, Question, QuestionId, Timer};
use super::message::{Change, Message};
use crate::forward::Path;

pub use report::{Report, RoundTrip};

/// The live socket's number; the others are fresh.
pub const LIVE: usize = 0;
const FILTERING: usize = 1;
const HAIRPIN: [usize; 2] = [2, 3];
/// From here on, sockets show how ports are given out.
const SAMPLES: usize = 4;
/// Sockets that make a good report: twelve samples tell a block of 1024 ports from the whole range.
pub const SOCKETS: usize = SAMPLES + 12;
/// What a filter keeps out never comes: four requests within this time are enough to be sure.
const FILTER_PATIENCE: Duration = Duration::from_millis(1500);
const HAIRPIN_PATIENCE: Duration = Duration::from_millis(1000);

/// What a discovery works with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// STUN servers. One that has two addresses (RFC 5780) is needed to learn all; several plain ones show
    /// the mapping at least.
    pub servers: Vec<SocketAddr>,
    /// Local addresses of the sockets, by number; unspecified IP addresses are fine. The first is the one
    /// that traffic uses; the others, up to [`SOCKETS`] in all, have not sent anything yet.
    pub sockets: Vec<SocketAddr>,
    /// From a cryptographic source.
    pub seed: [u8; 32],
}

/// One run of questions. It ends with [a report](Self::poll_report), at most some five seconds after it began.
#[derive(Debug)]
pub struct Discovery {
    client: Client,
    setup: Setup,
    questions: BTreeMap<QuestionId, Purpose>,
    /// Where the live socket was seen, by the server address that saw it.
    seen: Vec<(SocketAddr, SocketAddr)>,
    round_trips: Vec<RoundTrip>,
    /// The server that has other addresses, and those.
    reference: Option<(SocketAddr, SocketAddr)>,
    /// The mapped addresses of the fresh sockets, by their numbers.
    mapped: BTreeMap<usize, SocketAddr>,
    /// Which of the changed answers came: from another port, from another address and port.
    passed: Vec<Change>,
    has_judged_filter: bool,
    hairpin: Option<bool>,
    has_sampled: bool,
    reports: VecDeque<Report>,
    is_over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Mapping,
    Filter,
    Learn,
    Hairpin,
    Sample,
}

impl Discovery {
    /// Begins to ask.
    pub fn new(now: Instant, setup: Setup) -> Self {
        let mut discovery = Self {
            client: Client::new(setup.seed),
            setup,
            questions: BTreeMap::new(),
            seen: Vec::new(),
            round_trips: Vec::new(),
            reference: None,
            mapped: BTreeMap::new(),
            passed: Vec::new(),
            has_judged_filter: false,
            hairpin: None,
            has_sampled: false,
            reports: VecDeque::new(),
            is_over: false,
        };
        for server in discovery.setup.servers.clone() {
            discovery.ask(now, Purpose::Mapping, Question::new(LIVE, server));
        }
        discovery.proceed(now);
        discovery
    }

    /// Takes a datagram that came by `path` (whose destination is the sender); true when it was for us.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> bool {
        if let Some(Message::Request(request)) = Message::parse(datagram) {
            let has_come_back = self.client.has_asked(request.transaction);
            if has_come_back && HAIRPIN.contains(&path.socket) {
                self.hairpin = Some(true);
            }
            return has_come_back;
        }
        let is_ours = self.client.handle_datagram(now, path, datagram);
        self.proceed(now);
        is_ours
    }

    /// Asks again what was not answered, and gives up what never will be.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.proceed(now);
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.client.poll_transmit()
    }

    /// The report, once.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and why; none when it is over.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        self.client.poll_timeout()
    }

    fn ask(&mut self, now: Instant, purpose: Purpose, question: Question) {
        if question.socket < self.setup.sockets.len() {
            let id = self.client.ask(now, question);
            self.questions.insert(id, purpose);
        }
    }

    fn proceed(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            let Some(purpose) = self.questions.remove(&event.id) else {
                continue;
            };
            match purpose {
                Purpose::Mapping => self.take_mapping(now, &event),
                Purpose::Filter => self.take_filter(&event),
                Purpose::Learn | Purpose::Sample => self.take_mapped(now, purpose, &event),
                Purpose::Hairpin => self.hairpin = self.hairpin.or(Some(false)),
            }
        }
        let is_mapping_known = !self.is_asking(Purpose::Mapping);
        if is_mapping_known && !self.has_sampled {
            self.has_sampled = true;
            self.sample(now);
        }
        if self.questions.is_empty() && !self.is_over {
            self.is_over = true;
            self.reports.push_back(self.report());
        }
    }

    fn take_mapping(&mut self, now: Instant, event: &Event) {
        let Outcome::Answered(Answer {
            binding,
            round_trip,
            ..
        }) = event.outcome
        else {
            return;
        };
        let server = event.question.server;
        self.seen.push((server, binding.mapped));
        self.round_trips.push(RoundTrip { server, round_trip });
        let other = binding
            .other
            .filter(|other| other.ip() != server.ip() && other.port() != server.port());
        if let (Some(other), None) = (other, self.reference) {
            self.reference = Some((server, other));
            for address in [
                SocketAddr::new(server.ip(), other.port()),
                SocketAddr::new(other.ip(), server.port()),
                other,
            ] {
                self.ask(now, Purpose::Mapping, Question::new(LIVE, address));
            }
            for change in [Change::PORT, Change::BOTH] {
                let question = Question::new(FILTERING, server).with_change(change);
                let question = question.with_patience(FILTER_PATIENCE);
                self.ask(now, Purpose::Filter, question);
            }
            self.has_judged_filter = true;
        }
        if self.seen.len() == 1 {
            for socket in HAIRPIN {
                self.ask(now, Purpose::Learn, Question::new(socket, server));
            }
        }
    }

    fn take_filter(&mut self, event: &Event) {
        match event.outcome {
            Outcome::Answered(Answer { from, .. }) => {
                let (asked, change) = (event.question.server, event.question.change);
                // A server that answers from where it was asked has not understood, and shows nothing.
                if (from.ip() != asked.ip()) == change.address
                    && (from.port() != asked.port()) == change.port
                {
                    self.passed.push(change);
                } else {
                    self.has_judged_filter = false;
                }
            }
            Outcome::Refused(_) => self.has_judged_filter = false,
            Outcome::Unanswered => {}
        }
    }

    fn take_mapped(&mut self, now: Instant, purpose: Purpose, event: &Event) {
        if let Outcome::Answered(answer) = event.outcome {
            self.mapped
                .insert(event.question.socket, answer.binding.mapped);
        }
        let outer = HAIRPIN.map(|socket| self.mapped.get(&socket).copied());
        if let (Purpose::Learn, [Some(first), Some(second)]) = (purpose, outer) {
            let [a, b] = HAIRPIN;
            for (socket, target) in [(a, second), (b, first)] {
                let question = Question::new(socket, target).with_patience(HAIRPIN_PATIENCE);
                self.ask(now, Purpose::Hairpin, question);
            }
        }
    }

    /// Lets fresh sockets ask, all at once, when their ports can teach something.
    fn sample(&mut self, now: Instant) {
        let server = self.reference.map(|(server, _)| server);
        let server = server.or(self.seen.first().map(|(server, _)| *server));
        if let Some(server) = server
            && self.mapping() != Some(Mapping::EndpointIndependent)
        {
            for socket in SAMPLES..self.setup.sockets.len() {
                let question = Question::new(socket, server).with_patience(PATIENCE / 2);
                self.ask(now, Purpose::Sample, question);
            }
        }
    }

    fn is_asking(&self, purpose: Purpose) -> bool {
        self.questions.values().any(|asked| *asked == purpose)
    }

    fn mapping(&self) -> Option<Mapping> {
        let pairs = || {
            let others =
                |(index, one)| self.seen[index + 1..].iter().map(move |other| (one, other));
            self.seen.iter().enumerate().flat_map(others)
        };
        // Only what differs shows something; only two addresses show that nothing does.
        let differs = |is_same_address: bool| {
            pairs().any(|((a, one), (b, other))| {
                a.is_ipv4() == b.is_ipv4() && (a.ip() == b.ip()) == is_same_address && one != other
            })
        };
        let has_two_addresses = pairs().any(|((a, _), (b, _))| a.ip() != b.ip());
        let has_two_ports = pairs().any(|((a, _), (b, _))| a.ip() == b.ip());
        match (differs(true), differs(false)) {
            (true, _) => Some(Mapping::AddressAndPortDependent),
            (false, true) if has_two_ports => Some(Mapping::AddressDependent),
            // Plain servers at several addresses: the worse is likelier by far.
            (false, true) => Some(Mapping::AddressAndPortDependent),
            (false, false) => has_two_addresses.then_some(Mapping::EndpointIndependent),
        }
    }

    fn filtering(&self) -> Option<Filtering> {
        let passed = |change| self.passed.contains(&change);
        match self.has_judged_filter {
            _ if passed(Change::BOTH) => Some(Filtering::EndpointIndependent),
            true if passed(Change::PORT) => Some(Filtering::AddressDependent),
            true => Some(Filtering::AddressAndPortDependent),
            false => None,
        }
    }

    fn report(&self) -> Report {
        let live = self.setup.sockets.first();
        let mapped = self.seen.first().map(|(_, mapped)| *mapped);
        let is_translated = match (live, mapped) {
            (Some(live), Some(mapped)) if !live.ip().is_unspecified() => Some(*live != mapped),
            _ => None,
        };
        // The sockets in the order in which they first sent.
        let ports: Vec<_> = self
            .mapped
            .iter()
            .map(|(socket, mapped)| (self.setup.sockets[*socket].port(), mapped.port()))
            .collect();
        let live_ports = live.zip(mapped).map(|(live, at)| (live.port(), at.port()));
        let preserved: Vec<_> = ports.iter().chain(&live_ports).collect();
        let samples: Vec<_> = ports.iter().map(|(_, outer)| *outer).collect();
        let mapping = self.mapping();
        let is_dependent = mapping.is_some_and(|mapping| mapping != Mapping::EndpointIndependent);
        let mut addresses: Vec<_> = self.seen.iter().map(|(_, mapped)| mapped.ip()).collect();
        addresses.extend(self.mapped.values().map(SocketAddr::ip));
        addresses.sort_unstable();
        addresses.dedup();
        Report {
            mapped,
            addresses,
            is_translated,
            mapping,
            filtering: self.filtering(),
            hairpin: self.hairpin.filter(|_| is_translated != Some(false)),
            preserves_port: (!preserved.is_empty())
                .then(|| preserved.iter().all(|(inner, outer)| inner == outer)),
            allocation: if is_dependent {
                allocation::pattern(&ports, &samples)
            } else {
                None
            },
            round_trips: self.round_trips.clone(),
        }
    }
}
