//! One node of the mesh, and where it is.

use std::collections::BTreeMap;
use std::time::Duration;

use meshvpn_proto::control::map::NodeId;
use meshvpn_proto::keys::PrivateKey;
use meshvpn_proto::time::Now;
use meshvpn_sim::internet::Carrier;
use meshvpn_sim::machines::MeshNode;
use meshvpn_sim::machines::node::Start;
use meshvpn_sim::oracle::Side;
use meshvpn_sim::{Behavior, Conditions, Home, HostId, Kind, LinkId, MachineId};

use crate::plan::Mesh;

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) host: HostId,
    pub(crate) link: LinkId,
    /// Where it is at home; which home, so that a guest can come.
    pub(crate) home: usize,
    pub(crate) side: Side,
    pub(crate) id: Option<NodeId>,
    pub(crate) machine: Option<MachineId>,
    /// Something has happened to it: nothing is expected before then.
    pub(crate) disturbed_until: Duration,
    /// Numbers of packets of this window that came, and from whom.
    pub(crate) received: BTreeMap<usize, Vec<u64>>,
    private_key: PrivateKey,
    machine_key: PrivateKey,
}

/// What a mesh is made of. The commonest kinds are there more than once.
const KINDS: [Kind; 20] = [
    Kind::PortRestricted,
    Kind::PortRestricted,
    Kind::PortRestricted,
    Kind::PortRestricted,
    Kind::PortRestricted,
    Kind::PortRestrictedRemapped,
    Kind::PortRestrictedRemapped,
    Kind::AddressRestricted,
    Kind::FullCone,
    Kind::FullCone,
    Kind::Hairpin,
    Kind::Open,
    Kind::Open,
    Kind::SymmetricRandom,
    Kind::SymmetricRandom,
    Kind::SymmetricSequential,
    Kind::PortBlock,
    Kind::AddressDependent,
    Kind::HostileCone,
    Kind::UdpBlocked,
];

impl Member {
    pub(crate) fn build_all(mesh: &mut Mesh, nodes: usize) {
        let carriers = [true, false].map(|hairpin| {
            let behavior = Behavior {
                hairpin,
                ..Behavior::of(Kind::Cgnat)
            };
            let name = format!("carrier-{hairpin}");
            let line = Conditions::latency_ms(3);
            mesh.net.carrier(&name, behavior, line)
        });
        let mut homes: Vec<Home> = Vec::new();
        let mut sides: Vec<Side> = Vec::new();
        for number in 0..nodes {
            let name = format!("node-{number}");
            let is_guest = !homes.is_empty() && mesh.chance.hits(0.1);
            let home = if is_guest {
                mesh.chance.below(homes.len() as u64) as usize
            } else {
                let (home, side) = Self::home(mesh, &name, homes.len(), &carriers);
                homes.push(home);
                sides.push(side);
                homes.len() - 1
            };
            // Two hosts without a home between them share no network.
            let shares = is_guest && !homes[home].routers.is_empty();
            let (host, link, home) = if shares {
                let host = mesh.net.housemate(&mut homes[home], &name);
                (host, mesh.net.links(host)[0], home)
            } else if is_guest {
                let (own, side) = Self::home(mesh, &name, homes.len(), &carriers);
                homes.push(own);
                sides.push(side);
                let own = &homes[homes.len() - 1];
                (own.host, own.link, homes.len() - 1)
            } else {
                (homes[home].host, homes[home].link, home)
            };
            mesh.members.push(Self {
                name,
                host,
                link,
                home,
                side: sides[home],
                id: None,
                machine: None,
                disturbed_until: Duration::ZERO,
                received: BTreeMap::new(),
                private_key: PrivateKey::new(mesh.chance.seed()),
                machine_key: PrivateKey::new(mesh.chance.seed()),
            });
        }
        mesh.homes = homes;
        mesh.sides = sides;
    }

    fn home(mesh: &mut Mesh, name: &str, number: usize, carriers: &[Carrier; 2]) -> (Home, Side) {
        let line = Conditions {
            latency: Duration::from_millis(2 + mesh.chance.below(30)),
            jitter: Duration::from_millis(mesh.chance.below(8)),
            loss: mesh.chance.below(20) as f64 / 1000.0,
            reordering: 0.005,
            ..Conditions::default()
        };
        let lan = number as u32;
        if mesh.chance.hits(0.12) {
            let which = usize::from(mesh.chance.hits(0.5));
            let kind = Kind::PortRestricted;
            let home = mesh.net.subscriber(name, &carriers[which], kind, line);
            let side = Side::of(Kind::Cgnat).of_carrier(which as u32, which == 0);
            return (home, side.in_lan(lan));
        }
        let kind = KINDS[mesh.chance.below(KINDS.len() as u64) as usize];
        let has_v6 = mesh.chance.hits(0.3);
        let (home, side) = if has_v6 {
            (
                mesh.net.home_with_v6(name, kind, line),
                Side::of(kind).with_v6(),
            )
        } else {
            (mesh.net.home(name, kind, line), Side::of(kind))
        };
        let is_shared = !home.routers.is_empty();
        (home, if is_shared { side.in_lan(lan) } else { side })
    }
}

impl Mesh {
    /// Starts a node, for the first time or again.
    pub(crate) fn start(&mut self, index: usize) {
        let seed = self.chance.seed();
        let member = &self.members[index];
        let start = Start {
            name: member.name.clone(),
            private_key: member.private_key.clone(),
            machine_key: member.machine_key.clone(),
            auth_key: self.auth_key.clone(),
            coordinator: self.coordinator_address,
            stun: self.stun.clone(),
            home_relay: index % self.relays.len(),
            seed,
        };
        let host = member.host;
        let machine = MeshNode::attach(&mut self.net, host, start);
        self.members[index].machine = Some(machine);
    }

    /// Kills a node.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(machine) = self.members[index].machine.take() {
            self.net.stop(machine);
        }
    }

    pub(crate) fn with_node(&mut self, index: usize, act: impl FnOnce(&mut MeshNode, Now)) {
        if let Some(machine) = self.members[index].machine {
            self.net.with_machine(machine, act);
        }
    }

    /// Nothing is expected of a node for some time.
    pub(crate) fn disturb(&mut self, index: usize, seconds: u64) {
        let until = self.net.now() + Duration::from_secs(seconds);
        let member = &mut self.members[index];
        member.disturbed_until = member.disturbed_until.max(until);
    }

    /// Learns what the nodes have received, and which numbers they have.
    pub(crate) fn collect(&mut self) {
        for member in &mut self.members {
            let Some(machine) = member.machine else {
                continue;
            };
            let take = |node: &mut MeshNode, _| (node.id(), node.take_received());
            let (id, received) = self.net.with_machine(machine, take);
            member.id = id.or(member.id);
            for (_, packet) in received {
                let (from, number) = ((packet >> 32) as usize, packet & 0xffff_ffff);
                member.received.entry(from).or_default().push(number);
            }
        }
    }
}
