//! Nodes that come: for the first time, or back.

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::messages::{Reason, Refusal, Register};
use meshvpn_proto::keys::PublicKey;

use super::output::SessionId;
use super::record::{Change, KeyRecord, NodeRecord};
use super::work::{Effect, InFlight, changes_to_note};
use super::{Coordinator, addresses, names};

pub(super) const KEY_IN_USE: &str = "this WireGuard key belongs to another node: make a new one (remove the node's state directory)";
pub(super) const KEY_EXPIRED: &str = "the node's key has expired: join again with a new auth key";
/// Most nodes that may wait for approval when the mesh is open to anyone.
const MOST_PENDING: usize = 100;

impl Coordinator {
    /// A machine says who it is.
    pub(super) fn register(
        &mut self,
        session: SessionId,
        register: &Register,
        in_flight: &mut InFlight,
    ) {
        let Some(entry) = self.sessions.get(&session) else {
            return;
        };
        let arrival = entry.arrival.clone();
        let known = self.state.by_machine(&arrival.machine_key).cloned();
        let outcome = match known {
            Some(node) => self.come_back(node, session, register, in_flight),
            None => self.join(session, arrival.machine_key, register, in_flight),
        };
        if let Err(refusal) = outcome {
            let counts = matches!(
                refusal.reason,
                Reason::AuthKeyNeeded | Reason::AuthKeyInvalid | Reason::KeyExpired
            );
            if counts {
                self.limits.note_failure(self.now.instant, arrival.address);
            }
            in_flight.effects.push(Effect::Refuse(session, refusal));
        }
    }

    fn come_back(
        &mut self,
        old: NodeRecord,
        session: SessionId,
        register: &Register,
        in_flight: &mut InFlight,
    ) -> Result<(), Refusal> {
        let unix = self.now.unix.as_secs();
        let holder = self.state.by_node_key(&register.node_key);
        if holder.is_some_and(|holder| holder.id != old.id) {
            return Err(Refusal::new(Reason::KeyInUse, KEY_IN_USE));
        }
        let mut node = old.clone();
        if node.is_expired || node.key_expiry.is_some_and(|at| at <= unix) {
            let key = register.auth_key.as_ref();
            let key = key.ok_or_else(|| Refusal::new(Reason::KeyExpired, KEY_EXPIRED))?;
            let key = self.redeem(session, key, in_flight)?;
            node.is_expired = false;
            node.key_expiry = self.expiry_of_new_key(&node.tags);
            node.auth_key = Some(key.id);
        } else if !node.is_member
            && let Some(key) = &register.auth_key
        {
            let key = self.redeem(session, key, in_flight)?;
            node.is_member = key.is_preapproved;
        }
        if node.node_key != register.node_key {
            node.node_key = register.node_key;
            node.key_expiry = self.expiry_of_new_key(&node.tags).or(node.key_expiry);
        }
        node.host.clone_from(&register.host);
        node.advertised.clone_from(&register.routes);
        node.candidates.clone_from(&register.candidates);
        node.home_relay = register.home_relay;
        let is_back = node.online_at.is_none();
        if is_back {
            node.last_seen = unix;
        }
        node.online_at = Some(self.config.instance.clone());
        if is_back && let Some(entry) = self.sessions.get(&session) {
            let note = format!("{} is back, from {}", node.name, entry.arrival.address);
            in_flight.effects.push(Effect::Note(note));
        }
        in_flight.effects.extend(changes_to_note(&old, &node));
        in_flight.effects.push(Effect::Returned);
        in_flight.effects.push(if node.is_member {
            Effect::Admit(session, node.id, register.resume)
        } else {
            Effect::Pend(session, node.id)
        });
        if node != old {
            self.put(node, in_flight);
        }
        Ok(())
    }

    fn join(
        &mut self,
        session: SessionId,
        machine_key: PublicKey,
        register: &Register,
        in_flight: &mut InFlight,
    ) -> Result<(), Refusal> {
        if self.state.by_node_key(&register.node_key).is_some() {
            return Err(Refusal::new(Reason::KeyInUse, KEY_IN_USE));
        }
        let id = self.state.next_node();
        let networks = &self.config.networks;
        let addresses = addresses::allocate(&self.state, networks, id).map_err(|network| {
            let text =
                format!("no address is left in {network}: remove nodes or give the mesh more");
            Refusal::new(Reason::NoAddress, text)
        })?;
        let key = match &register.auth_key {
            Some(key) => Some(self.redeem(session, key, in_flight)?),
            None if self.config.is_open => {
                self.check_pending()?;
                None
            }
            None => {
                self.check_attempts(session)?;
                let text = "this machine is not known here: join with an auth key \
                            (`meshvpn coordinator keys create` makes one)";
                return Err(Refusal::new(Reason::AuthKeyNeeded, text));
            }
        };
        let wanted = match register.name.as_str() {
            "" => &register.host.hostname,
            name => name,
        };
        let unix = self.now.unix.as_secs();
        let tags = key.as_ref().map(|key| key.tags.clone()).unwrap_or_default();
        let node = NodeRecord {
            id,
            machine_key: Some(machine_key),
            node_key: register.node_key,
            name: names::free(&self.state, wanted),
            addresses,
            host: register.host.clone(),
            advertised: register.routes.clone(),
            approved: Vec::new(),
            candidates: register.candidates.clone(),
            home_relay: register.home_relay,
            key_expiry: self.expiry_of_new_key(&tags),
            is_expired: false,
            tags,
            is_member: key.as_ref().is_some_and(|key| key.is_preapproved),
            is_ephemeral: key.as_ref().is_some_and(|key| key.is_ephemeral),
            is_static: false,
            online_at: Some(self.config.instance.clone()),
            created: unix,
            last_seen: unix,
            auth_key: key.map(|key| key.id),
        };
        in_flight.effects.extend(self.notes_of_join(session, &node));
        in_flight.effects.push(Effect::Joined);
        in_flight.effects.push(if node.is_member {
            Effect::Admit(session, id, None)
        } else {
            Effect::Pend(session, id)
        });
        self.change(Change::NextNode(id.0 + 1), in_flight);
        self.put(node, in_flight);
        Ok(())
    }

    /// Uses an auth key; the record as it is then.
    fn redeem(
        &mut self,
        session: SessionId,
        key: &AuthKey,
        in_flight: &mut InFlight,
    ) -> Result<KeyRecord, Refusal> {
        self.check_attempts(session)?;
        let id = key.id();
        let refused = |text: String| Refusal::new(Reason::AuthKeyInvalid, text);
        let way_out = "make a new one with `meshvpn coordinator keys create`";
        let record = self.state.key(id);
        let is_right = |record: &&KeyRecord| record.hash == hex(&key.hash());
        let record = record.filter(is_right).ok_or_else(|| {
            refused(format!(
                "auth key {id} is not one of this mesh, or was revoked; {way_out}"
            ))
        })?;
        if record
            .expiry
            .is_some_and(|at| at <= self.now.unix.as_secs())
        {
            return Err(refused(format!("auth key {id} has expired; {way_out}")));
        }
        if !record.is_reusable && record.uses > 0 {
            let text = format!("auth key {id} was good for one machine and is used up; {way_out}");
            return Err(refused(text));
        }
        let mut record = record.clone();
        record.uses += 1;
        self.change(Change::Key(record.clone()), in_flight);
        Ok(record)
    }

    /// Whether this address may try to log in.
    fn check_attempts(&self, session: SessionId) -> Result<(), Refusal> {
        let Some(entry) = self.sessions.get(&session) else {
            return Ok(());
        };
        let address = entry.arrival.address;
        let Some(wait) = self.limits.wait(self.now.instant, address) else {
            return Ok(());
        };
        let seconds = wait.as_secs() as u32 + 1;
        let text = format!("too many failed attempts from {address}: wait {seconds} s");
        Err(Refusal::new(Reason::TooManyAttempts, text).retry_after(seconds))
    }

    fn check_pending(&self) -> Result<(), Refusal> {
        let pending = self.state.nodes().filter(|node| !node.is_member);
        if pending.count() < MOST_PENDING {
            return Ok(());
        }
        let text = format!("{MOST_PENDING} machines wait for approval already");
        Err(Refusal::new(Reason::TooManyAttempts, text).retry_after(60))
    }

    fn notes_of_join(&self, session: SessionId, node: &NodeRecord) -> Vec<Effect> {
        let from = self.sessions.get(&session);
        let from = from.map_or_else(String::new, |entry| entry.arrival.address.to_string());
        let NodeRecord { name, id, .. } = node;
        let addresses = node.shown_addresses();
        let by = match &node.auth_key {
            Some(key) => format!("by auth key {key}"),
            None => "without an auth key".to_owned(),
        };
        let then = if node.is_member {
            ""
        } else {
            "; it waits for approval"
        };
        let note = format!("{name} ({addresses}) joined as node {id} from {from} {by}{then}");
        let blank = NodeRecord {
            candidates: Vec::new(),
            home_relay: None,
            advertised: Vec::new(),
            ..node.clone()
        };
        let mut notes = vec![Effect::Note(note)];
        notes.extend(changes_to_note(&blank, node));
        notes
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
