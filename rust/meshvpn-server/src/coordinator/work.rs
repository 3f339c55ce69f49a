//! What waits to be decided, and decisions about nodes that are connected.

use core::time::Duration;

use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::control::messages::{CoordinatorMessage, Reason, Refusal, Register, Update};
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::path::candidate::Candidate;

use super::Coordinator;
use super::output::{Output, RequestId, SessionId};
use super::record::{Change, NodeRecord, Settings, Subject};
use super::request::{Request, RequestError, Response};

/// Something to decide.
#[derive(Debug)]
pub(super) enum Work {
    Register(SessionId, Box<Register>),
    Update(NodeId, Update),
    Rotate(SessionId, NodeId, PublicKey),
    Leave(NodeId),
    /// A node may have been away for long enough.
    Absent(NodeId),
    /// A node's key may have expired.
    Expired(NodeId),
    Settings(Settings),
    Request(RequestId, Request),
}

/// What follows from a decision once it is written.
#[derive(Debug)]
pub(super) enum Effect {
    Note(String),
    Answer(RequestId, Result<Response, RequestError>),
    Refuse(SessionId, Refusal),
    /// The connection of this node, if it has one, is refused.
    Dismiss(NodeId, Refusal),
    Pend(SessionId, NodeId),
    Admit(SessionId, NodeId, Option<u64>),
    /// A node that waits for it, perhaps on a connection, is let in.
    Approved(NodeId),
    /// Look at this node again.
    Watch(NodeId, Duration),
    Joined,
    Returned,
}

/// A batch that is being written.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) works: Vec<Work>,
    pub(super) changes: Vec<Change>,
    /// What takes each change back, in the same order.
    pub(super) undo: Vec<Change>,
    pub(super) effects: Vec<Effect>,
}

/// Most pieces of work in a batch, so that the first of many does not wait for the last.
const LARGEST_BATCH: usize = 256;

impl Coordinator {
    /// Decides on what waits. The changes are made in the copy of the records, but nobody is told yet.
    pub(super) fn decide(&mut self) -> InFlight {
        let count = self.queue.len().min(LARGEST_BATCH);
        let mut in_flight = InFlight {
            works: self.queue.drain(..count).collect(),
            changes: Vec::new(),
            undo: Vec::new(),
            effects: Vec::new(),
        };
        let works = core::mem::take(&mut in_flight.works);
        for work in &works {
            match work {
                Work::Register(session, register) => {
                    self.register(*session, register, &mut in_flight);
                }
                Work::Update(node, update) => self.update(*node, update, &mut in_flight),
                Work::Rotate(session, node, key) => {
                    self.rotate(*session, *node, *key, &mut in_flight);
                }
                Work::Leave(node) => self.leave(*node, &mut in_flight),
                Work::Absent(node) => self.absent(*node, &mut in_flight),
                Work::Expired(node) => self.expired(*node, &mut in_flight),
                Work::Settings(settings) => {
                    self.change(Change::Settings(settings.clone()), &mut in_flight);
                }
                Work::Request(id, request) => {
                    let answer = self.administer(request, &mut in_flight);
                    in_flight.effects.push(Effect::Answer(*id, answer));
                }
            }
        }
        in_flight.works = works;
        in_flight
    }

    /// Makes a change in the copy of the records.
    pub(super) fn change(&mut self, change: Change, in_flight: &mut InFlight) {
        in_flight.changes.push(change.clone());
        in_flight.undo.push(self.state.apply(change));
    }

    pub(super) fn put(&mut self, node: NodeRecord, in_flight: &mut InFlight) {
        self.change(Change::Node(Box::new(node)), in_flight);
    }

    /// Removes a node, and tells it.
    pub(super) fn remove(&mut self, node: NodeId, text: &str, in_flight: &mut InFlight) {
        self.change(Change::Removed(Subject::Node(node)), in_flight);
        let refusal = Refusal::new(Reason::Removed, text);
        in_flight.effects.push(Effect::Dismiss(node, refusal));
    }

    /// When a key that is made now expires.
    pub(super) fn expiry_of_new_key(&self, tags: &[String]) -> Option<u64> {
        // What is tagged belongs to nobody who could log in again.
        let lifetime = self.config.key_lifetime.filter(|_| tags.is_empty())?;
        Some(self.now.unix.as_secs() + lifetime.as_secs())
    }

    fn update(&mut self, id: NodeId, update: &Update, in_flight: &mut InFlight) {
        let Some(node) = self.state.node(id) else {
            return;
        };
        let mut new = node.clone();
        if let Some(candidates) = &update.candidates {
            new.candidates.clone_from(candidates);
        }
        new.home_relay = update.home_relay.unwrap_or(new.home_relay);
        if let Some(routes) = &update.routes {
            new.advertised.clone_from(routes);
        }
        if new == *node {
            return;
        }
        in_flight.effects.extend(changes_to_note(node, &new));
        self.put(new, in_flight);
    }

    fn rotate(&mut self, session: SessionId, id: NodeId, key: PublicKey, in_flight: &mut InFlight) {
        let Some(node) = self.state.node(id) else {
            return;
        };
        if node.node_key == key {
            return;
        }
        if self.state.by_node_key(&key).is_some() {
            let refusal = Refusal::new(Reason::KeyInUse, super::join::KEY_IN_USE);
            return in_flight.effects.push(Effect::Refuse(session, refusal));
        }
        let mut node = node.clone();
        node.node_key = key;
        node.key_expiry = self.expiry_of_new_key(&node.tags).or(node.key_expiry);
        let note = format!("{} has a new key, {key}", node.name);
        in_flight.effects.push(Effect::Note(note));
        self.put(node, in_flight);
    }

    /// One node wants another to try to reach it: told at once, nothing is kept.
    pub(super) fn signal(&mut self, from: NodeId, to: NodeId, candidates: Vec<Candidate>) {
        let name = |id| self.state.node(id).map(|node| node.name.as_str());
        let (Some(sender), Some(recipient)) = (name(from), name(to)) else {
            return;
        };
        let reach = shown(&candidates);
        let note = format!("{sender} asks {recipient} to connect to it at {reach}");
        self.outputs.push_back(Output::Note(note));
        if let Some(session) = self.by_node.get(&to).copied() {
            self.say(session, &CoordinatorMessage::Signal { from, candidates });
        }
    }
}

/// What of a node's changes is worth a line in the log.
pub(super) fn changes_to_note<'a>(
    old: &'a NodeRecord,
    new: &'a NodeRecord,
) -> impl Iterator<Item = Effect> + 'a {
    let name = &new.name;
    let candidates = (old.candidates != new.candidates)
        .then(|| format!("{name} may be reached at {}", shown(&new.candidates)));
    let relay = (old.home_relay != new.home_relay).then(|| match new.home_relay {
        Some(relay) => format!("{name} has home relay {relay}"),
        None => format!("{name} has no home relay"),
    });
    let routes = (old.advertised != new.advertised).then(|| {
        let routes: Vec<_> = new.advertised.iter().map(ToString::to_string).collect();
        format!("{name} offers routes to [{}]", routes.join(", "))
    });
    let notes = candidates.into_iter().chain(relay).chain(routes);
    notes.map(Effect::Note)
}

fn shown(candidates: &[Candidate]) -> String {
    if candidates.is_empty() {
        return "no address".to_owned();
    }
    let shown: Vec<_> = candidates.iter().map(ToString::to_string).collect();
    shown.join(", ")
}
