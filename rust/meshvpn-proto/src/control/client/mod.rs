//! The node's side: connect, register, follow the map, and come back after every failure.
//!
//! A [`Client`] never gives up and never blocks the node: the map that it has stays in force while the
//! coordinator is away. The owner opens and closes the connection when told to and carries the
//! bytes; what is said on it is decided here.
//!
//! ```text
//!          Event::Open                  connected         answer            registered
//! waiting ───────────► opening ──────────────► shaking hands ──► registering ──► up
//!    ▲                    │ time                  │ time, refusal      │            │ silence, loss
//!    └────────────────────┴───── back-off ────────┴────────────────────┴────────────┘
//! ```
//!
//! Waits grow from half a second to half a minute, and each is drawn between nothing and its
//! length, so that a thousand nodes that lost one coordinator do not come back in the same moment.
//! A refusal that says when to try again is obeyed; one that cannot change by itself is tried again every five
//! minutes, because someone may have repaired it on the other side.

mod config;
mod output;
mod receive;
#[cfg(test)]
mod tests;
mod timers;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

pub use config::Config;
pub use output::{Event, MapChange, Status, Timer};

use super::cache::Cache;
#[cfg(test)]
use super::cache::CacheError;
use super::channel::{Channel, Initiator};
use super::map::{Map, NodeId, RelayId};
use super::messages::{NodeMessage, Register, Rotate, Update};
use super::signature::MapKey;
use crate::keys::{PrivateKey, PublicKey};
use crate::noise::entropy::Entropy;
use crate::noise::identity::Identity;
use crate::path::candidate::Candidate;
use crate::route::Prefix;

/// One node's connection to its coordinator.
#[derive(Debug)]
pub struct Client {
    identity: Arc<Identity>,
    coordinator: PublicKey,
    register: Register,
    entropy: Entropy,
    state: State,
    /// Attempts since the last that succeeded.
    failures: u32,
    map_key: Option<MapKey>,
    own: Option<NodeId>,
    map: Map,
    cache: Option<Cache>,
    /// A whole map has been asked for and has not come.
    is_map_awaited: bool,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

/// Where the connection is. Times are those of the next thing to do.
#[derive(Debug)]
enum State {
    /// Nothing is open until then.
    Waiting(Instant),
    /// The owner opens the connection; given up then.
    Opening(Instant),
    /// The first message is out; given up then.
    ShakingHands(Box<Initiator>, Instant),
    /// The channel is open.
    Open(Box<Open>),
}

#[derive(Debug)]
struct Open {
    channel: Channel,
    stage: Stage,
    /// When to ask whether the coordinator is there, or, if it was asked, when to give up.
    watch: Instant,
    is_asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Registering,
    Pending,
    Up,
}

impl Client {
    /// A client that wants to connect at once. `seed` must be new and unpredictable.
    ///
    /// With a cached map and the mesh's key it has a [map](Self::map) from the start.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let (cache, map) = config.cached.unzip();
        Self {
            identity: config.machine,
            coordinator: config.coordinator,
            register: config.register,
            entropy: Entropy::new(seed),
            state: State::Waiting(now),
            failures: 0,
            map_key: config.map_key,
            own: cache.as_ref().map(Cache::node),
            map: map.unwrap_or_default(),
            cache,
            is_map_awaited: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The mesh as it was last told. Its version is 0 before the first time.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// What to keep on disk, after each [`Event::MapChanged`] or when it suits.
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// What the mesh's maps are signed with; to be kept on disk, too.
    pub fn map_key(&self) -> Option<&MapKey> {
        self.map_key.as_ref()
    }

    /// The node's number, once it is known.
    pub fn node(&self) -> Option<NodeId> {
        self.own
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        match &self.state {
            State::Open(open) => match open.stage {
                Stage::Registering => Status::Connecting,
                Stage::Pending => Status::Pending,
                Stage::Up => Status::Up,
            },
            State::Waiting(_) if self.failures > 0 => Status::Away,
            _ => Status::Connecting,
        }
    }

    /// Where the node may be reached now.
    pub fn set_candidates(&mut self, candidates: Vec<Candidate>) {
        if self.register.candidates != candidates {
            self.register.candidates.clone_from(&candidates);
            self.update(Update {
                candidates: Some(candidates),
                ..Update::default()
            });
        }
    }

    /// The node's home relay now.
    pub fn set_home_relay(&mut self, home_relay: Option<RelayId>) {
        if self.register.home_relay != home_relay {
            self.register.home_relay = home_relay;
            self.update(Update {
                home_relay: Some(home_relay),
                ..Update::default()
            });
        }
    }

    /// The networks that the node could route to now.
    pub fn set_routes(&mut self, routes: Vec<Prefix>) {
        if self.register.routes != routes {
            self.register.routes.clone_from(&routes);
            self.update(Update {
                routes: Some(routes),
                ..Update::default()
            });
        }
    }

    /// The node's WireGuard key is another one now.
    pub fn rotate(&mut self, node_key: PublicKey) {
        self.register.node_key = node_key;
        if self.is_up() {
            self.say(&NodeMessage::Rotate(Rotate { node_key }));
        }
    }

    /// Asks another node, through the coordinator, to try to reach this one now. False when there is no
    /// connection.
    pub fn signal(&mut self, to: NodeId, candidates: Vec<Candidate>) -> bool {
        let is_up = self.is_up();
        if is_up {
            self.say(&NodeMessage::Signal { to, candidates });
        }
        is_up
    }

    /// Says good-bye: an ephemeral node vanishes at once. The owner sends what is still to be sent, and
    /// closes.
    pub fn leave(&mut self) {
        if matches!(self.state, State::Open(_)) {
            self.say(&NodeMessage::Leave);
        }
    }

    /// Tries again at once: the network has changed, say.
    pub fn hurry(&mut self, now: Instant) {
        self.failures = 0;
        match &mut self.state {
            State::Waiting(at) => *at = now,
            // Whether the connection survived is known sooner when it is asked now.
            State::Open(open) if !open.is_asked => open.watch = now,
            _ => {}
        }
    }

    /// The connection that [`Event::Open`] wanted is open.
    pub fn handle_connected(&mut self, now: Instant) {
        if !matches!(self.state, State::Opening(_)) {
            return;
        }
        let ephemeral = PrivateKey::new(*self.entropy.draw());
        match Initiator::start(&self.identity, self.coordinator, ephemeral) {
            Ok((initiator, first)) => {
                self.transmits.push_back(first);
                let deadline = now + timers::HANDSHAKE;
                self.state = State::ShakingHands(Box::new(initiator), deadline);
            }
            Err(error) => self.fail(now, error.to_string(), None),
        }
    }

    /// A message of bytes has come.
    pub fn handle_message(&mut self, now: Instant, message: &[u8]) {
        match core::mem::replace(&mut self.state, State::Waiting(now)) {
            State::ShakingHands(initiator, _) => match initiator.finish(message) {
                Ok((channel, _)) => self.begin(now, channel),
                Err(error) => self.fail(now, error.to_string(), None),
            },
            State::Open(mut open) => {
                open.watch = now + self.idle();
                open.is_asked = false;
                let message = open.channel.open(message);
                self.state = State::Open(open);
                match message {
                    Ok(Some(message)) => self.receive(now, &message),
                    Ok(None) => {}
                    Err(error) => self.fail(now, error.to_string(), None),
                }
            }
            // Of a connection that was given up.
            other => self.state = other,
        }
    }

    /// The connection is gone, or could not be opened; `reason` is for people.
    pub fn handle_disconnected(&mut self, now: Instant, reason: &str) {
        if !matches!(self.state, State::Waiting(_)) {
            self.retreat(now, reason.to_owned(), None);
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Waiting(at) if now >= *at => {
                self.state = State::Opening(now + timers::OPEN);
                self.events.push_back(Event::Open);
            }
            State::Opening(at) if now >= *at => {
                self.fail(now, "no connection came about".to_owned(), None);
            }
            State::ShakingHands(_, at) if now >= *at => {
                self.fail(now, "no answer to the first message".to_owned(), None);
            }
            State::Open(open) if now >= open.watch => {
                if open.is_asked {
                    self.fail(now, "no sign of life".to_owned(), None);
                } else {
                    open.is_asked = true;
                    open.watch = now + timers::PONG;
                    self.say(&NodeMessage::Ping(0));
                }
            }
            _ => {}
        }
    }

    /// When to call [`Self::handle_timeout`] next, and why.
    pub fn poll_timeout(&self) -> (Instant, Timer) {
        match &self.state {
            State::Waiting(at) => (*at, Timer::Connect),
            State::Opening(at) | State::ShakingHands(_, at) => (*at, Timer::GiveUp),
            State::Open(open) if open.is_asked => (open.watch, Timer::GiveUp),
            State::Open(open) => (open.watch, Timer::Ping),
        }
    }

    /// The next message of bytes for the connection.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// The next thing to do or to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The channel is open: says who we are.
    fn begin(&mut self, now: Instant, channel: Channel) {
        self.state = State::Open(Box::new(Open {
            channel,
            stage: Stage::Registering,
            watch: now + timers::REGISTER,
            is_asked: true,
        }));
        self.is_map_awaited = false;
        let mut register = self.register.clone();
        register.resume = self.cache.as_ref().map(|_| self.map.version);
        self.say(&NodeMessage::Register(Box::new(register)));
    }

    fn update(&mut self, update: Update) {
        if self.is_up() {
            self.say(&NodeMessage::Update(update));
        }
    }

    fn is_up(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.stage != Stage::Registering)
    }

    fn say(&mut self, message: &NodeMessage) {
        if let State::Open(open) = &mut self.state {
            self.transmits.extend(open.channel.seal(&message.to_json()));
        }
    }

    /// Gives the connection up.
    fn fail(&mut self, now: Instant, reason: String, retry_after: Option<Duration>) {
        self.events.push_back(Event::Close);
        self.retreat(now, reason, retry_after);
    }

    /// Waits before the next attempt.
    fn retreat(&mut self, now: Instant, reason: String, retry_after: Option<Duration>) {
        let wait = self.wait(retry_after);
        self.failures = self.failures.saturating_add(1);
        self.transmits.clear();
        self.state = State::Waiting(now + wait);
        self.events.push_back(Event::Away {
            reason,
            retry_in: wait,
        });
    }
}
