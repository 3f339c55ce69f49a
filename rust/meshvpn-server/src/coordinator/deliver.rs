//! What is done once a decision is written, and who is told.

use std::sync::Arc;

use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::control::messages::{CoordinatorMessage, Reason, Refusal, Registered};

use super::output::{Output, SessionId};
use super::presence::GRACE;
use super::publish::delta_message;
use super::record::{Change, Subject};
use super::request::RequestError;
use super::work::{Effect, Work};
use super::{Coordinator, Stage};

impl Coordinator {
    /// Others' changes.
    pub(super) fn follow(&mut self, changes: Vec<Change>) {
        let subjects: Vec<_> = changes.iter().map(Change::subject).collect();
        for change in changes {
            self.state.apply(change);
        }
        self.publish(subjects.into_iter());
    }

    pub(super) fn take_back(&mut self, undo: Vec<Change>) {
        for change in undo.into_iter().rev() {
            self.state.apply(change);
        }
    }

    /// Changes are written: tells every member that follows the map.
    pub(super) fn publish(&mut self, subjects: impl ExactSizeIterator<Item = Subject>) {
        self.version += subjects.len() as u64;
        let delta = self.publisher.publish(&self.state, self.version, subjects);
        let Some(delta) = delta else { return };
        let message = delta_message(&self.signer, &delta);
        self.counters.deltas += 1;
        for (node, session) in &self.by_node {
            let stage = self.sessions.get(session).map(|session| session.stage);
            if stage == Some(Stage::Member(*node)) {
                self.counters.messages += 1;
                self.outputs
                    .push_back(Output::Send(*session, Arc::clone(&message)));
            }
        }
    }

    /// Does what was decided, now that it is written.
    pub(super) fn release(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Note(text) => self.outputs.push_back(Output::Note(text)),
                Effect::Answer(id, answer) => self.outputs.push_back(Output::Answer(id, answer)),
                Effect::Refuse(session, refusal) => self.refuse(session, refusal),
                Effect::Dismiss(node, refusal) => {
                    if let Some(session) = self.by_node.get(&node).copied() {
                        self.refuse(session, refusal);
                    }
                }
                Effect::Pend(session, node) => self.pend(session, node),
                Effect::Admit(session, node, resume) => self.admit(session, node, resume),
                Effect::Approved(node) => {
                    if let Some(session) = self.by_node.get(&node).copied() {
                        self.admit(session, node, None);
                    }
                }
                Effect::Watch(node, wait) => {
                    self.absences.insert((self.now.instant + wait, node));
                }
                Effect::Joined => self.counters.joins += 1,
                Effect::Returned => self.counters.returns += 1,
            }
        }
    }

    /// Makes a connection the node's, in place of an older one.
    fn attach(&mut self, session: SessionId, node: NodeId, stage: Stage) -> bool {
        let Some(entry) = self.sessions.get_mut(&session) else {
            // Gone while that was written.
            self.absences.insert((self.now.instant + GRACE, node));
            return false;
        };
        entry.stage = stage;
        if let Some(older) = self.by_node.insert(node, session)
            && older != session
        {
            let text = "the same machine has connected anew; two machines must not share a state \
                        directory";
            self.refuse(older, Refusal::new(Reason::Replaced, text));
        }
        true
    }

    fn pend(&mut self, session: SessionId, node: NodeId) {
        if self.attach(session, node, Stage::Pending(node)) {
            let name = self.state.node(node).map_or("", |node| node.name.as_str());
            let text = format!(
                "waiting for approval: `meshvpn coordinator nodes approve {name}` gives it"
            );
            self.say(session, &CoordinatorMessage::Pending(text));
        }
    }

    fn admit(&mut self, session: SessionId, node: NodeId, resume: Option<u64>) {
        if !self.attach(session, node, Stage::Member(node)) {
            return;
        }
        let name = self.state.node(node).map(|node| node.name.clone());
        let registered = Registered {
            node,
            name: name.unwrap_or_default(),
            map_key: self.signer.map_key(),
        };
        self.say(session, &CoordinatorMessage::Registered(registered));
        let since = |version| self.publisher.since(&self.state, version);
        match resume.and_then(since) {
            Some(delta) if delta.from == delta.to => {}
            Some(delta) => {
                let message = delta_message(&self.signer, &delta);
                self.send(session, message);
            }
            None => self.send_whole(session),
        }
    }

    pub(super) fn send_whole(&mut self, session: SessionId) {
        self.counters.maps += 1;
        let whole = self.publisher.whole(&self.signer);
        self.send(session, whole);
    }

    pub(super) fn refuse(&mut self, session: SessionId, refusal: Refusal) {
        let Some(entry) = self.sessions.get_mut(&session) else {
            return;
        };
        let stage = core::mem::replace(&mut entry.stage, Stage::Refused);
        if stage == Stage::Refused {
            return;
        }
        let address = entry.arrival.address;
        if let Stage::Pending(node) | Stage::Member(node) = stage
            && self.by_node.get(&node) == Some(&session)
        {
            self.by_node.remove(&node);
            self.absences.insert((self.now.instant + GRACE, node));
        }
        self.counters.refusals += 1;
        self.outputs
            .push_back(Output::Note(format!("refused {address}: {refusal}")));
        self.say(session, &CoordinatorMessage::Refused(refusal));
        self.outputs.push_back(Output::Close(session));
    }

    /// Nothing was written: whoever waits for an answer is told so.
    pub(super) fn give_up(&mut self, work: Work, reason: &str) {
        match work {
            Work::Request(id, _) => {
                let error = RequestError::Unavailable(reason.to_owned());
                self.outputs.push_back(Output::Answer(id, Err(error)));
            }
            Work::Register(session, _) | Work::Rotate(session, ..) => {
                let text = "the coordinator cannot store anything now";
                let refusal = Refusal::new(Reason::Unavailable, text).retry_after(5);
                self.refuse(session, refusal);
            }
            // What a node says of itself it says again when it comes anew.
            Work::Update(node, _) => {
                if let Some(session) = self.by_node.get(&node).copied() {
                    let text = "the coordinator cannot store anything now";
                    let refusal = Refusal::new(Reason::Unavailable, text).retry_after(5);
                    self.refuse(session, refusal);
                }
            }
            Work::Leave(_) => {}
            Work::Absent(node) | Work::Expired(node) => {
                let again = self.now.instant + GRACE;
                self.absences.insert((again, node));
            }
            Work::Settings(_) => self.queue.push_back(work),
        }
    }

    pub(super) fn say(&mut self, session: SessionId, message: &CoordinatorMessage) {
        self.send(session, message.to_json().into());
    }

    pub(super) fn send(&mut self, session: SessionId, message: Arc<[u8]>) {
        self.counters.messages += 1;
        self.outputs.push_back(Output::Send(session, message));
    }
}
