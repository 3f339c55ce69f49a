//! Places that most tests want: servers with public addresses, homes behind NATs of a kind.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meshvpn_proto::route::Prefix;

use super::build::Port;
use super::{HostId, Internet, LinkId, NetworkId, PUBLIC, RouterId};
use crate::link::Conditions;
use crate::nat::{Behavior, Kind};

/// A home: a network behind a router, and a first host in it.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its host.
    pub host: HostId,
    /// The host's link.
    pub link: LinkId,
    /// The home's own network.
    pub network: NetworkId,
    /// The routers between it and the public network, the home's own first; none where hosts are public.
    pub routers: Vec<RouterId>,
    /// How many hosts it has.
    hosts: u8,
    number: u16,
    is_v6: bool,
}

/// A carrier whose subscribers share an outer address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// Its inner network, 100.64.0.0/10 (RFC 6598).
    pub network: NetworkId,
    /// Its router.
    pub router: RouterId,
}

/// Numbers that were given out.
#[derive(Debug, Default)]
pub(super) struct Plan {
    public: u32,
    homes: u16,
    subscribers: u32,
}

impl Internet {
    /// A host on the public network with so many IPv4 addresses and as many of IPv6.
    pub fn public_host(&mut self, name: &str, addresses: u8, conditions: Conditions) -> HostId {
        let host = self.host(name);
        let v4: Vec<_> = (0..addresses).map(|_| self.public_v4()).collect();
        let v6 = v4.iter().map(|v4| match v4 {
            IpAddr::V4(v4) => IpAddr::V6(public_v6(*v4)),
            IpAddr::V6(v6) => IpAddr::V6(*v6),
        });
        let all: Vec<_> = v4.iter().copied().chain(v6).collect();
        self.connect(host, PUBLIC, &all, conditions);
        host
    }

    /// A home behind a NAT of this kind; `conditions` are those of its line to the provider. Homes have IPv4
    /// alone: [`Self::home_with_v6`] has both.
    pub fn home(&mut self, name: &str, kind: Kind, conditions: Conditions) -> Home {
        self.build_home(name, kind, conditions, None, false)
    }

    /// A home with IPv6 as well: public addresses behind a firewall that lets answers in.
    pub fn home_with_v6(&mut self, name: &str, kind: Kind, conditions: Conditions) -> Home {
        self.build_home(name, kind, conditions, None, true)
    }

    /// A carrier with a NAT of this behavior.
    pub fn carrier(&mut self, name: &str, behavior: Behavior, conditions: Conditions) -> Carrier {
        let network = self.network(name);
        let inner = Port {
            network,
            addresses: vec![IpAddr::V4(Ipv4Addr::new(100, 64, 0, 1))],
            conditions: Conditions::default(),
        };
        let outer = Port {
            network: PUBLIC,
            addresses: vec![self.public_v4()],
            conditions,
        };
        let router = self.router(name, inner, outer, behavior, Behavior::FIREWALL);
        Carrier { network, router }
    }

    /// A home that is a subscriber of `carrier`, with a router of its own of this kind.
    pub fn subscriber(
        &mut self,
        name: &str,
        carrier: &Carrier,
        kind: Kind,
        conditions: Conditions,
    ) -> Home {
        self.build_home(name, kind, conditions, Some(*carrier), false)
    }

    /// Another host in a home's network.
    pub fn housemate(&mut self, home: &mut Home, name: &str) -> HostId {
        home.hosts += 1;
        let host = self.host(name);
        let addresses = home.addresses();
        self.connect(host, home.network, &addresses, Conditions::default());
        host
    }

    /// Moves a host's link into a home's network: the host comes home, or goes to see somebody.
    pub fn move_home(&mut self, link: LinkId, home: &mut Home) {
        home.hosts += 1;
        let addresses = home.addresses();
        self.move_link(link, home.network, &addresses);
    }

    /// A public IPv4 address that nobody has: of 198.18.0.0/15, which is for such networks (RFC 2544).
    pub fn public_v4(&mut self) -> IpAddr {
        self.plan.public += 1;
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
        IpAddr::V4(Ipv4Addr::from(base + self.plan.public))
    }

    fn build_home(
        &mut self,
        name: &str,
        kind: Kind,
        conditions: Conditions,
        carrier: Option<Carrier>,
        is_v6: bool,
    ) -> Home {
        self.plan.homes += 1;
        let number = self.plan.homes;
        let carrier = match (kind, carrier) {
            (Kind::Cgnat, None) => {
                let carrier = format!("{name}-carrier");
                Some(self.carrier(&carrier, Behavior::of(kind), Conditions::default()))
            }
            (_, carrier) => carrier,
        };
        let own = match kind {
            Kind::Cgnat => Kind::PortRestricted,
            kind => kind,
        };
        let host = self.host(name);
        let mut home = Home {
            host,
            link: LinkId(0),
            network: PUBLIC,
            routers: Vec::new(),
            hosts: 1,
            number,
            is_v6,
        };
        if kind == Kind::Open && carrier.is_none() {
            let v4 = self.public_v4();
            let mut addresses = vec![v4];
            if let (true, IpAddr::V4(v4)) = (is_v6, v4) {
                addresses.push(IpAddr::V6(public_v6(v4)));
            }
            home.link = self.connect(host, PUBLIC, &addresses, conditions);
            return home;
        }
        home.network = self.network(&format!("{name}-home"));
        let inner = Port {
            network: home.network,
            addresses: vec![IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1))],
            conditions: Conditions::default(),
        };
        let outside = carrier.map_or(PUBLIC, |carrier| carrier.network);
        let address = match carrier {
            None => self.public_v4(),
            Some(_) => {
                self.plan.subscribers += 1;
                let base = u32::from(Ipv4Addr::new(100, 64, 0, 10));
                IpAddr::V4(Ipv4Addr::from(base + self.plan.subscribers))
            }
        };
        let outer = Port {
            network: outside,
            addresses: vec![address],
            conditions,
        };
        let router = format!("{name}-router");
        let v4 = Behavior::of(own);
        let v6 = Behavior {
            udp: v4.udp,
            ..Behavior::FIREWALL
        };
        let router = self.router(&router, inner, outer, v4, v6);
        home.routers.push(router);
        home.routers.extend(carrier.map(|carrier| carrier.router));
        if is_v6 {
            let prefix = Prefix::new(IpAddr::V6(home.v6_network()), 64);
            self.route(outside, prefix.expect("64 bits of 128"), router);
        }
        home.link = self.connect(host, home.network, &home.addresses(), Conditions::default());
        home
    }
}

impl Home {
    /// Its network has no address left.
    pub fn is_full(&self) -> bool {
        self.hosts > 250
    }

    /// The addresses of its newest host. Homes use the same private network, as real ones do.
    fn addresses(&self) -> Vec<IpAddr> {
        let last = 1 + self.hosts;
        let mut addresses = vec![IpAddr::V4(Ipv4Addr::new(192, 168, 1, last))];
        if self.is_v6 {
            let network = self.v6_network().to_bits();
            addresses.push(IpAddr::V6(Ipv6Addr::from_bits(network + u128::from(last))));
        }
        addresses
    }

    /// A /64 of 2001:db8::/32, which is for examples (RFC 3849).
    fn v6_network(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 1, self.number, 0, 0, 0, 0)
    }
}

fn public_v6(v4: Ipv4Addr) -> Ipv6Addr {
    let [_, _, high, low] = v4.octets();
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, u16::from(high), u16::from(low))
}
