//! What nodes are told: the view that all members share, and how it changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use meshvpn_proto::control::delta::Delta;
use meshvpn_proto::control::map::{Node, NodeId};
use meshvpn_proto::control::messages::CoordinatorMessage;
use meshvpn_proto::control::signature::{Kind, Signer};
use meshvpn_proto::control::view::View;
use meshvpn_proto::route::Prefix;
use serde::Serialize;

use super::record::{NodeRecord, Subject};
use super::state::{State, granted};

/// Most changes that are remembered for nodes that come back.
const LONGEST_JOURNAL: usize = 10_000;

/// The view, and which records changed lately.
#[derive(Debug)]
pub(super) struct Publisher {
    view: View,
    /// The numbers of the last changes. All after [`Self::journal_start`] are here.
    journal: VecDeque<(u64, Subject)>,
    journal_start: u64,
    /// The whole view as a message, made when somebody needs it.
    whole: Option<Arc<[u8]>>,
}

impl Publisher {
    pub(super) fn new(state: &State, version: u64, recent: Vec<(u64, Subject)>) -> Self {
        let first = recent.first().map(|(number, _)| number - 1);
        let mut publisher = Self {
            view: View {
                version,
                ..View::default()
            },
            journal_start: first.unwrap_or(version),
            journal: recent.into(),
            whole: None,
        };
        publisher.take_settings(state);
        let nodes = state.nodes().filter_map(|node| shown(state, node));
        publisher.view.nodes = nodes.map(|node| (node.id, node)).collect();
        publisher
    }

    /// Takes over changes, the last of which has the number `version`; returns what nodes are to be told.
    pub(super) fn publish(
        &mut self,
        state: &State,
        version: u64,
        subjects: impl ExactSizeIterator<Item = Subject>,
    ) -> Option<Delta> {
        let first = version + 1 - subjects.len() as u64;
        let mut dirty = BTreeSet::new();
        let mut are_settings_new = false;
        for (number, subject) in (first..).zip(subjects) {
            match &subject {
                Subject::Node(id) => self.note_dirty(state, *id, &mut dirty),
                Subject::Settings => are_settings_new = true,
                Subject::Key(_) | Subject::NextNode => {}
            }
            self.journal.push_back((number, subject));
        }
        while self.journal.len() > LONGEST_JOURNAL {
            if let Some((number, _)) = self.journal.pop_front() {
                self.journal_start = number;
            }
        }
        let old = settings_of(&self.view);
        if are_settings_new {
            self.take_settings(state);
        }
        let mut delta = Delta::between(&old, &settings_of(&self.view));
        for id in dirty {
            let new = state.node(id).and_then(|node| shown(state, node));
            let before = self.view.nodes.get(&id);
            match new {
                Some(new) => {
                    delta.note_node(before, &new);
                    self.view.nodes.insert(id, new);
                }
                None if before.is_some() => {
                    delta.removed.push(id);
                    self.view.nodes.remove(&id);
                }
                None => {}
            }
        }
        if delta.is_empty() {
            return None;
        }
        self.whole = None;
        self.view.version = version;
        delta.to = version;
        Some(delta)
    }

    /// What has changed since `version`; none when that is not known, and the whole view is needed.
    pub(super) fn since(&self, state: &State, version: u64) -> Option<Delta> {
        if version < self.journal_start || version > self.view.version {
            return None;
        }
        let mut delta = Delta {
            from: version,
            to: self.view.version,
            ..Delta::default()
        };
        let after = self
            .journal
            .partition_point(|(number, _)| *number <= version);
        let mut nodes = BTreeSet::new();
        for (_, subject) in self.journal.iter().skip(after) {
            match subject {
                Subject::Node(id) => nodes.insert(*id),
                Subject::Settings => return None,
                Subject::Key(_) | Subject::NextNode => false,
            };
        }
        // A change of one router may have moved a route to another.
        if !nodes.is_empty() {
            nodes.extend(state.subnet_routers());
        }
        for id in nodes {
            match self.view.nodes.get(&id) {
                Some(node) => delta.changed.push(node.clone()),
                None => delta.removed.push(id),
            }
        }
        Some(delta)
    }

    /// The whole view, signed, as a message.
    pub(super) fn whole(&mut self, signer: &Signer) -> Arc<[u8]> {
        let view = &self.view;
        let whole = self.whole.get_or_insert_with(|| {
            let signed = signer.sign(Kind::View, &json(view));
            CoordinatorMessage::Map(signed).to_json().into()
        });
        Arc::clone(whole)
    }

    /// A node changed, and with it perhaps others that can route the same networks.
    fn note_dirty(&self, state: &State, id: NodeId, dirty: &mut BTreeSet<NodeId>) {
        dirty.insert(id);
        let before = self.view.nodes.get(&id);
        let before = before.into_iter().flat_map(|node| &node.routes);
        let now = state.node(id).into_iter().flat_map(granted);
        for prefix in before.chain(now).filter(|prefix| !is_exit(prefix)) {
            dirty.extend(state.routers(prefix).map(|router| router.id));
        }
    }

    fn take_settings(&mut self, state: &State) {
        let settings = state.settings();
        self.view.domain.clone_from(&settings.domain);
        self.view.allow_all = settings.allow_all;
        let relays = settings.relays.iter().cloned();
        self.view.relays = relays.map(|relay| (relay.id, relay)).collect();
    }
}

/// A delta, signed, as a message.
pub(super) fn delta_message(signer: &Signer, delta: &Delta) -> Arc<[u8]> {
    let signed = signer.sign(Kind::Delta, &json(delta));
    CoordinatorMessage::Delta(signed).to_json().into()
}

/// Networks that a node routes to now: of several nodes that may route one, the first that is online does.
/// Exit nodes are chosen by those who use them.
pub(super) fn active_routes(state: &State, node: &NodeRecord) -> Vec<Prefix> {
    let is_active = |prefix: &&Prefix| {
        is_exit(prefix) || primary(state, prefix).is_some_and(|router| router.id == node.id)
    };
    granted(node).filter(is_active).copied().collect()
}

fn primary<'a>(state: &'a State, prefix: &Prefix) -> Option<&'a NodeRecord> {
    let visible = || state.routers(prefix).filter(|node| node.is_visible());
    visible()
        .find(|node| node.is_online())
        .or_else(|| visible().next())
}

fn is_exit(prefix: &Prefix) -> bool {
    prefix.len() == 0
}

/// A node as its peers see it, if they may.
fn shown(state: &State, node: &NodeRecord) -> Option<Node> {
    node.is_visible().then(|| Node {
        id: node.id,
        name: node.name.clone(),
        key: node.node_key,
        addresses: node.addresses.clone(),
        routes: active_routes(state, node),
        candidates: node.candidates.clone(),
        home_relay: node.home_relay,
        is_online: node.is_online(),
        key_expiry: node.key_expiry,
        tags: node.tags.clone(),
        is_static: node.is_static,
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// The view without its nodes.
fn settings_of(view: &View) -> View {
    View {
        version: view.version,
        domain: view.domain.clone(),
        nodes: BTreeMap::new(),
        relays: view.relays.clone(),
        allow_all: view.allow_all,
    }
}
