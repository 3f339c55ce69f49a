//! Decisions for administrators.

use meshvpn_proto::control::auth_key::AuthKey;
use meshvpn_proto::control::messages::{HostInfo, Reason, Refusal};
use meshvpn_proto::path::candidate::{Candidate, Kind};
use meshvpn_proto::route::Prefix;

use super::join::{KEY_EXPIRED, KEY_IN_USE, hex};
use super::publish::active_routes;
use super::record::{Change, KeyRecord, NodeRecord, Subject};
use super::request::{
    KeyInfo, MeshInfo, NewKey, NewKeyInfo, NewStatic, NodeInfo, Request, RequestError, Response,
    key_id,
};
use super::work::{Effect, InFlight};
use super::{Coordinator, addresses, names};

/// Characters of the longest description.
const LONGEST_DESCRIPTION: usize = 200;

type Answer = Result<Response, RequestError>;

impl Coordinator {
    /// Decides on a request.
    pub(super) fn administer(&mut self, request: &Request, in_flight: &mut InFlight) -> Answer {
        match request {
            Request::Mesh => Ok(Response::Mesh(self.mesh_info())),
            Request::Nodes => {
                let nodes = self.state.nodes().map(|node| self.node_info(node));
                Ok(Response::Nodes(nodes.collect()))
            }
            Request::Node(node) => Ok(self.answer(self.find(node)?)),
            Request::Verify(key) => {
                let node = self.state.by_node_key(key);
                let allow = node.is_some_and(NodeRecord::is_visible);
                Ok(Response::Verified { allow })
            }
            Request::Approve(node) => self.approve(node, in_flight),
            Request::Rename(node, name) => self.rename(node, name, in_flight),
            Request::Tag(node, tags) => self.tag(node, tags, in_flight),
            Request::ApproveRoutes(node, routes) => self.approve_routes(node, routes, in_flight),
            Request::Expire(node, at) => self.set_expiry(node, *at, in_flight),
            Request::Remove(node) => {
                let node = self.find(node)?;
                let (id, note) = (node.id, format!("{} was removed", node.name));
                in_flight.effects.push(Effect::Note(note));
                self.remove(id, "the node was removed from the mesh", in_flight);
                Ok(Response::Done {})
            }
            Request::AddStatic(peer) => self.add_static(peer, in_flight),
            Request::Keys => {
                let keys = self.state.keys().map(|key| self.key_info(key));
                Ok(Response::Keys(keys.collect()))
            }
            Request::CreateKey(key) => self.create_key(key, in_flight),
            Request::RevokeKey(key) => {
                let id = key_id(key)?;
                let known = self.state.key(&id);
                known.ok_or_else(|| RequestError::NoKey(key.clone()))?;
                let note = format!("auth key {id} was revoked");
                in_flight.effects.push(Effect::Note(note));
                self.change(Change::Removed(Subject::Key(id)), in_flight);
                Ok(Response::Done {})
            }
        }
    }

    fn find(&self, name: &str) -> Result<&NodeRecord, RequestError> {
        let by_number = name.parse().ok().map(meshvpn_proto::control::map::NodeId);
        let node = self.state.by_name(name);
        node.or_else(|| self.state.node(by_number?))
            .ok_or_else(|| RequestError::NoNode(name.to_owned()))
    }

    /// Stores a node that changed; the answer shows it.
    fn store(&mut self, node: NodeRecord, note: String, in_flight: &mut InFlight) -> Answer {
        in_flight.effects.push(Effect::Note(note));
        let id = node.id;
        self.put(node, in_flight);
        let node = self.state.node(id);
        node.map(|node| self.answer(node))
            .ok_or_else(|| RequestError::NoNode(id.to_string()))
    }

    fn approve(&mut self, name: &str, in_flight: &mut InFlight) -> Answer {
        let mut node = self.find(name)?.clone();
        if node.is_member {
            return Ok(self.answer(&node));
        }
        node.is_member = true;
        let note = format!("{} was approved", node.name);
        let id = node.id;
        let answer = self.store(node, note, in_flight);
        in_flight.effects.push(Effect::Approved(id));
        answer
    }

    fn rename(&mut self, old: &str, name: &str, in_flight: &mut InFlight) -> Answer {
        let mut node = self.find(old)?.clone();
        self.check_name(name, &node.name)?;
        let note = format!("{} is called {name} now", node.name);
        name.clone_into(&mut node.name);
        self.store(node, note, in_flight)
    }

    fn check_name(&self, name: &str, but: &str) -> Result<(), RequestError> {
        let field = "name";
        if let Some(text) = names::defect(name) {
            return Err(RequestError::Invalid { field, text });
        }
        if name != but && self.state.by_name(name).is_some() {
            let text = format!("{name:?} is another node's name already; choose another");
            return Err(RequestError::Conflict { field, text });
        }
        Ok(())
    }

    fn tag(&mut self, name: &str, tags: &[String], in_flight: &mut InFlight) -> Answer {
        let mut node = self.find(name)?.clone();
        if let Some(text) = names::tag_defect(tags) {
            let field = "tags";
            return Err(RequestError::Invalid { field, text });
        }
        node.tags = tags.to_vec();
        let note = format!("{} has tags [{}]", node.name, tags.join(", "));
        self.store(node, note, in_flight)
    }

    fn approve_routes(
        &mut self,
        name: &str,
        routes: &[Prefix],
        in_flight: &mut InFlight,
    ) -> Answer {
        let mut node = self.find(name)?.clone();
        let is_unknown = |route: &&Prefix| !node.is_static && !node.advertised.contains(route);
        if let Some(route) = routes.iter().find(is_unknown) {
            let offers: Vec<_> = node.advertised.iter().map(ToString::to_string).collect();
            let text = format!(
                "{} does not advertise {route}; it advertises [{}]",
                node.name,
                offers.join(", ")
            );
            let field = "routes";
            return Err(RequestError::Invalid { field, text });
        }
        node.approved = routes.to_vec();
        let routes: Vec<_> = routes.iter().map(ToString::to_string).collect();
        let note = format!("{} may route [{}]", node.name, routes.join(", "));
        self.store(node, note, in_flight)
    }

    fn set_expiry(&mut self, name: &str, at: Option<u64>, in_flight: &mut InFlight) -> Answer {
        let mut node = self.find(name)?.clone();
        let unix = self.now.unix.as_secs();
        // Whoever says "now" means from now on.
        node.key_expiry = at.map(|at| at.max(unix));
        node.is_expired = at.is_some_and(|at| at <= unix);
        let note = match node.key_expiry {
            Some(_) if node.is_expired => format!("{}: its key expires now", node.name),
            Some(at) => format!("{}: its key expires at {at}", node.name),
            None => format!("{}: its key never expires", node.name),
        };
        if node.is_expired {
            let refusal = Refusal::new(Reason::KeyExpired, KEY_EXPIRED);
            in_flight.effects.push(Effect::Dismiss(node.id, refusal));
        }
        self.store(node, note, in_flight)
    }

    fn add_static(&mut self, peer: &NewStatic, in_flight: &mut InFlight) -> Answer {
        self.check_name(&peer.name, "")?;
        if self.state.by_node_key(&peer.key).is_some() {
            let (field, text) = ("key", KEY_IN_USE.to_owned());
            return Err(RequestError::Conflict { field, text });
        }
        let id = self.state.next_node();
        let addresses = addresses::allocate(&self.state, &self.config.networks, id);
        let addresses = addresses.map_err(|network| RequestError::Conflict {
            field: "addresses",
            text: format!("none is left in {network}"),
        })?;
        let candidates = peer.endpoint.map(|address| Candidate {
            kind: Kind::Host,
            address,
        });
        let unix = self.now.unix.as_secs();
        let node = NodeRecord {
            id,
            machine_key: None,
            node_key: peer.key,
            name: peer.name.clone(),
            addresses,
            host: HostInfo::default(),
            advertised: Vec::new(),
            approved: peer.routes.clone(),
            candidates: candidates.into_iter().collect(),
            home_relay: None,
            tags: Vec::new(),
            is_member: true,
            is_ephemeral: false,
            is_static: true,
            online_at: None,
            created: unix,
            last_seen: unix,
            key_expiry: None,
            is_expired: false,
            auth_key: None,
        };
        let addresses = node.shown_addresses();
        let note = format!("{} ({addresses}) is a static peer, node {id}", node.name);
        self.change(Change::NextNode(id.0 + 1), in_flight);
        self.store(node, note, in_flight)
    }

    fn create_key(&mut self, new: &NewKey, in_flight: &mut InFlight) -> Answer {
        if let Some(text) = names::tag_defect(&new.tags) {
            let field = "tags";
            return Err(RequestError::Invalid { field, text });
        }
        if new.expires_in == Some(0) {
            let field = "expires_in";
            let text =
                "0 seconds: the key would be worthless; leave it out for one that never expires";
            let text = text.to_owned();
            return Err(RequestError::Invalid { field, text });
        }
        let random = new.random.as_ref();
        let random = random.ok_or_else(|| RequestError::Unavailable("no randomness".to_owned()))?;
        let key = AuthKey::generate(self.public_key, random);
        let unix = self.now.unix.as_secs();
        let record = KeyRecord {
            id: key.id().to_string(),
            hash: hex(&key.hash()),
            description: new.description.chars().take(LONGEST_DESCRIPTION).collect(),
            is_reusable: new.reusable,
            is_ephemeral: new.ephemeral,
            is_preapproved: !new.needs_approval,
            tags: new.tags.clone(),
            created: unix,
            expiry: new.expires_in.map(|seconds| unix.saturating_add(seconds)),
            uses: 0,
        };
        let info = self.key_info(&record);
        let note = format!("auth key {} was made", record.id);
        in_flight.effects.push(Effect::Note(note));
        self.change(Change::Key(record), in_flight);
        let key = key.to_text();
        Ok(Response::NewKey(NewKeyInfo { key, info }))
    }

    fn mesh_info(&self) -> MeshInfo {
        let nodes = self.state.nodes();
        MeshInfo {
            domain: self.config.domain.clone(),
            public_key: self.public_key,
            map_key: self.signer.map_key().to_string(),
            version: self.version,
            networks: self.config.networks.clone(),
            allow_all: self.config.allow_all,
            nodes: nodes.len(),
            online: nodes.filter(|node| node.online_at.is_some()).count(),
        }
    }

    fn answer(&self, node: &NodeRecord) -> Response {
        Response::Node(Box::new(self.node_info(node)))
    }

    fn node_info(&self, node: &NodeRecord) -> NodeInfo {
        let node = node.clone();
        let status = match &node {
            node if !node.is_member => "pending",
            node if node.is_expired => "expired",
            node if node.is_online() => "online",
            _ => "offline",
        };
        let active_routes = active_routes(&self.state, &node);
        NodeInfo {
            id: node.id,
            name: node.name,
            status,
            addresses: node.addresses,
            key: node.node_key,
            tags: node.tags,
            host: node.host,
            candidates: node.candidates,
            home_relay: node.home_relay,
            advertised_routes: node.advertised,
            approved_routes: node.approved,
            active_routes,
            ephemeral: node.is_ephemeral,
            is_static: node.is_static,
            created: node.created,
            last_seen: node.last_seen,
            key_expiry: node.key_expiry,
            auth_key: node.auth_key,
        }
    }

    fn key_info(&self, key: &KeyRecord) -> KeyInfo {
        let key = key.clone();
        let unix = self.now.unix.as_secs();
        let status = match &key {
            key if key.expiry.is_some_and(|at| at <= unix) => "expired",
            key if !key.is_reusable && key.uses > 0 => "used",
            _ => "valid",
        };
        KeyInfo {
            id: key.id,
            status,
            description: key.description,
            reusable: key.is_reusable,
            ephemeral: key.is_ephemeral,
            needs_approval: !key.is_preapproved,
            tags: key.tags,
            uses: key.uses,
            created: key.created,
            expiry: key.expiry,
        }
    }
}
