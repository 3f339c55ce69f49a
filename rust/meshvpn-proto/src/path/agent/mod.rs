//! The paths to one peer: which there are, which of them traffic takes, and why.
//!
//! WireGuard says who the peer is and whether it is there; the agent only chooses where to send. It begins
//! on the relay, which always works, and looks for something better:
//!
//! ```text
//!  candidates ──► pairs ──pings, pongs──► scores ──► choice ──► Event::Chosen: the slot's path
//!  (map, calls, sources of pings)                     ▲
//!  activity, counts by path ── silence, lost data ────┘
//! ```
//!
//! * **Candidates** are addresses of the peer: from the map, from its *calls* over the relay, and every source of
//!   an authentic ping (peer-reflexive), in both roles. Each makes a *pair* with our socket.
//! * **Rounds** look for a direct path, by [stages] with budgets. A round begins with a call, so that both
//!   sides ping at once and their NATs open for each other.
//! * A **pong** that comes back the way of its ping proves both directions. Then traffic moves there at once; the
//!   path before stays known, and is pinged now and then for as long as traffic flows.
//! * **In use**, a path is pinged every 250 ms while we send. When nothing proves it for 500 ms or three round
//!   trips, it is *in doubt*: traffic goes over the relay at once, and comes back with the first pong. After three
//!   lost pings it is *dead*: a new round begins, and it must answer twice to be used again.
//! * **Data counts as well**: each ping and pong tells how many packets came by its path. A path that answers
//!   pings and loses what is sent is left.
//!
//! # Two paths at once
//!
//! The data plane sends a packet once. While a path is in doubt, the cheapest way to be safe is to send on the
//! relay alone: what it costs is that packets on it are late, not lost, and only until the next pong.
//!
//! # What an idle peer costs
//!
//! Nothing. For two minutes after the last packet the path in use is pinged every 20 to 25 s, so that NATs remember
//! it. Then traffic is put back on the relay and nothing more is sent: a path that nobody used for so long
//! proves itself anew, while the relay carries the first packets.
//!
//! | module | holds |
//! |---|---|
//! | `pair` | one path, and what is known of it |
//! | [`stages`] | what is tried to find a direct path, with budgets |
//! | [`targets`] | which addresses are worth a ping |
//! | [`reason`] | why traffic goes where it goes, for people |
//! | [`status`] | what people see of an agent |
//! | `discover` | candidates, calls, rounds |
//! | `listen` | pings and pongs |
//! | `traffic` | activity, sleep, lost data |
//! | `choose` | doubt, death and choice |
//! | `pace` | timers: when each path is pinged |

mod choose;
mod discover;
mod listen;
mod pace;
mod pair;
pub mod reason;
pub mod stages;
pub mod status;
pub mod targets;
mod traffic;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

pub use pace::Timer;
use pair::Pair;
pub use reason::{Reason, Route};
use stages::Round;
pub use targets::Sockets;
pub use traffic::Traffic;

use super::candidate::Candidate;
use super::probe::{Ping, Probe};
use crate::forward::Path;

/// Something that the owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Traffic goes by this path from now on.
    Chosen(Choice),
    /// Nothing that is sent on any path is answered: the peer may have forgotten the session.
    Silent,
    /// The peer sees us at this address now.
    SeenAt(SocketAddr),
    /// An answer to [`PathAgent::ping`].
    Pong {
        /// The number that was given.
        id: u64,
        /// The way that it went and came.
        route: Route,
        /// In this time.
        round_trip: Duration,
    },
}

/// A change of the path in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// For the slot.
    pub path: Path,
    /// Where that leads.
    pub route: Route,
    /// Where traffic went before.
    pub before: Route,
    /// Why.
    pub reason: Reason,
    /// How fast it answers, if that is known.
    pub round_trip: Option<Duration>,
}

/// Something to send. In pings and pongs the number of packets received is left at zero: the owner, who has the
/// [counts](crate::forward::PathCounts), fills it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Which way.
    pub path: Path,
    /// A message to be sealed in the session.
    pub probe: Probe,
}

/// The paths to one peer.
#[derive(Debug)]
pub struct PathAgent {
    sockets: Sockets,
    relay: Option<Pair>,
    pairs: Vec<Pair>,
    /// Where traffic goes.
    route: Route,
    /// The direct path that it takes, one of `pairs`.
    using: Option<Path>,
    reason: Reason,
    since: Instant,
    /// Where the last handshake message came from, and where we send while nothing is known to work.
    heard_by: Option<Path>,
    guess: Option<Path>,
    /// Our own addresses, for calls.
    own: Vec<Candidate>,
    /// What the peer told, by way of the map and by its last call.
    from_map: Vec<Candidate>,
    from_call: Vec<Candidate>,
    has_session: bool,
    wanted_until: Option<Instant>,
    sent_at: Option<Instant>,
    received_at: Option<Instant>,
    /// Packets sent to the peer, on whatever path.
    packets: u64,
    ledger: Option<traffic::Ledger>,
    round: Option<Round>,
    called_at: Option<Instant>,
    failures: usize,
    retry_at: Option<Instant>,
    /// When it was told that nothing on any path is answered.
    told_silent_at: Option<Instant>,
    /// Pings that somebody asked for, and their tokens once they are sent.
    asked: VecDeque<(u64, Option<u64>)>,
    refresh: Duration,
    /// When timers were last looked at.
    advanced_at: Instant,
    next_token: u64,
    chance: u64,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl PathAgent {
    /// An agent that knows nothing of its peer. `seed` spreads what must not happen everywhere at once.
    pub fn new(now: Instant, sockets: Sockets, own: &[Candidate], seed: u64) -> Self {
        let mut agent = Self {
            sockets,
            relay: None,
            pairs: Vec::new(),
            route: Route::Nowhere,
            using: None,
            reason: Reason::Unknown,
            since: now,
            heard_by: None,
            guess: None,
            own: own.to_vec(),
            from_map: Vec::new(),
            from_call: Vec::new(),
            has_session: false,
            wanted_until: None,
            sent_at: None,
            received_at: None,
            packets: 0,
            ledger: None,
            round: None,
            called_at: None,
            failures: 0,
            retry_at: None,
            told_silent_at: None,
            asked: VecDeque::new(),
            refresh: Duration::ZERO,
            advanced_at: now,
            next_token: 0,
            chance: seed,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        agent.draw_refresh();
        agent
    }

    /// The node's own sockets are these now.
    pub fn handle_sockets(&mut self, now: Instant, sockets: Sockets) {
        if self.sockets != sockets {
            self.sockets = sockets;
            self.pairs.clear();
            if self.using.take().is_some() {
                self.route = Route::Nowhere;
            }
            self.sync_pairs(now);
            self.begin_round(now);
            self.advance(now);
        }
    }

    /// The peer can be reached by this path over a relay from now on; or by none.
    pub fn handle_relay(&mut self, now: Instant, path: Option<Path>) {
        if self.relay.as_ref().map(|relay| relay.path) != path {
            self.relay = path.map(|path| Pair::new(path, None));
            if self.route == Route::Relayed {
                self.route = Route::Nowhere;
                self.switch_to_relay(now, self.reason);
            }
            self.advance(now);
        }
    }

    /// There is a session now, a first or another one.
    pub fn handle_session(&mut self, now: Instant) {
        let is_first = !core::mem::replace(&mut self.has_session, true);
        self.told_silent_at = None;
        self.want(now);
        if is_first {
            // What was sent in a session that the peer did not have says nothing about paths.
            self.everything().for_each(|pair| pair.lost = 0);
            let is_fresh = |pair: &Pair| pair.answered_at.is_some_and(|at| now < at + FRESH);
            if self.current().is_some_and(|pair| !is_fresh(pair)) {
                self.switch_to_relay(now, Reason::Beginning);
            }
            self.begin_round(now);
        }
        self.advance(now);
    }

    /// There is no session any more that probes could travel in.
    pub fn handle_no_session(&mut self, now: Instant) {
        if core::mem::take(&mut self.has_session) {
            self.round = None;
            self.everything().for_each(Pair::rest);
            self.transmits.clear();
            self.advance(now);
        }
    }

    /// Someone wants to reach the peer, or the peer us: paths are looked for, or kept, from now on.
    pub fn handle_wanted(&mut self, now: Instant) {
        self.want(now);
        self.advance(now);
    }

    /// Pings the peer the way that traffic goes, as soon as there is a session: [`Event::Pong`] brings the answer
    /// if there is one, with `id`.
    pub fn ping(&mut self, now: Instant, id: u64) {
        self.asked.truncate(MAX_ASKED - 1);
        self.asked.push_front((id, None));
        self.want(now);
        self.advance(now);
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The next probe to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Where traffic goes.
    pub fn route(&self) -> Route {
        self.route
    }

    /// The path over the relay.
    pub fn relay_path(&self) -> Option<Path> {
        self.relay.as_ref().map(|relay| relay.path)
    }

    /// Where handshakes go: over the relay and to the path in use, and while that is not known to work, to
    /// every candidate.
    pub fn handshake_paths(&self, now: Instant) -> impl Iterator<Item = Path> {
        let fresh = |pair: &&Pair| pair.answered_at.is_some_and(|at| now < at + FRESH);
        let current = self.current().filter(fresh).map(|pair| pair.path);
        let is_needed = move |pair: &&Pair| current.is_none_or(|path| pair.path == path);
        let direct = self.pairs.iter().filter(is_needed);
        self.relay.iter().chain(direct).map(|pair| pair.path)
    }

    /// The direct path in use.
    fn current(&self) -> Option<&Pair> {
        self.pairs.iter().find(|pair| Some(pair.path) == self.using)
    }

    fn current_mut(&mut self) -> Option<&mut Pair> {
        let using = self.using;
        self.pairs.iter_mut().find(|pair| Some(pair.path) == using)
    }

    /// The relay and all pairs.
    fn everything(&mut self) -> impl Iterator<Item = &mut Pair> {
        self.relay.iter_mut().chain(&mut self.pairs)
    }

    /// Pings a path: `index` among the pairs, or the relay. Returns the ping's token.
    fn send_ping(&mut self, now: Instant, index: Option<usize>) -> Option<u64> {
        let pair = match index {
            Some(index) => self.pairs.get_mut(index)?,
            None => self.relay.as_mut()?,
        };
        let token = self.next_token;
        self.next_token += 1;
        pair.note_ping(now, token, self.packets);
        let path = pair.path;
        let probe = Probe::Ping(Ping { token, received: 0 });
        self.transmits.push_back(Transmit { path, probe });
        Some(token)
    }

    /// A number below one in 2³² parts (SplitMix64; Steele, Lea, Flood 2014).
    fn share(&mut self) -> u32 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }
}

/// Pings that somebody asked for and that are not answered, at most.
const MAX_ASKED: usize = 32;
/// A path that answered this lately needs no help in a handshake: NATs remember it for 30 s and more.
const FRESH: Duration = Duration::from_secs(25);
