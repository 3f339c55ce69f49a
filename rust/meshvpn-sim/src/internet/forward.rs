//! A packet's way: up a link, through networks and routers, down another link, to a machine.

use core::net::IpAddr;

use meshvpn_proto::packet::pcapng::Direction as Seen;

use super::{End, HostId, Internet, LinkId, RouterId, Side, WALL_CLOCK, What};
use crate::link::Lost;
use crate::nat::{Nat, Refused};
use crate::packet::Packet;

impl Internet {
    /// A host sends: over the link that has the source address, to itself if that is where the packet goes.
    pub(super) fn send(&mut self, host: HostId, packet: Packet) {
        let name = &self.hosts[host.0].name;
        self.log
            .add(self.now, format_args!("{name} sends {packet}"));
        let own = self.link_of(host, |address| address == packet.to.ip());
        if let Some(link) = own {
            self.plan_at(self.now, What::AtEnd(link, packet));
            return;
        }
        match self.link_of(host, |address| address == packet.from.ip()) {
            Some(link) => self.go_up(link, packet),
            None => {
                let name = &self.hosts[host.0].name;
                self.log
                    .add(self.now, format_args!("{name} has no address for {packet}"));
            }
        }
    }

    /// The link of a host that has an address like this.
    pub(super) fn link_of(&self, host: HostId, is: impl Fn(IpAddr) -> bool) -> Option<LinkId> {
        let links = self.hosts[host.0].links.iter().copied();
        links.into_iter().find(|link| {
            let link = &self.links[link.0];
            link.is_up && link.addresses.iter().any(|address| is(*address))
        })
    }

    /// A packet has gone up `link`, into its network.
    pub(super) fn at_network(&mut self, link: LinkId, mut packet: Packet) {
        let network = &self.networks[self.links[link.0].network.0];
        let Some(hops) = packet
            .hops
            .checked_sub(network.hops)
            .filter(|left| *left > 0)
        else {
            self.drop(link, &packet, "too many hops");
            return;
        };
        packet.hops = hops;
        let to = packet.to.ip();
        let routes = network
            .routes
            .iter()
            .filter(|(prefix, _)| prefix.contains(to));
        let routed = routes
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(_, link)| *link);
        let by_address = network.addresses.get(&to).copied();
        let next = by_address.or(routed).or(network.gateway);
        match next {
            // What the gateway itself sends in and nobody has goes nowhere.
            Some(next) if next != link => self.go_down(next, packet),
            _ => self.drop(link, &packet, "nobody has that address"),
        }
    }

    /// A packet has come down `link`, to the host or router at its end.
    pub(super) fn at_end(&mut self, link: LinkId, packet: Packet) {
        self.record(link, Seen::Inbound, &packet);
        match self.links[link.0].end {
            End::Host(host) => self.receive(host, packet),
            End::Router(router, Side::Inner) => self.pass_outward(router, link, packet),
            End::Router(router, Side::Outer) => self.pass_inward(router, link, packet),
        }
    }

    fn pass_outward(&mut self, id: RouterId, link: LinkId, mut packet: Packet) {
        let Some(hops) = packet.hops.checked_sub(1).filter(|left| *left > 0) else {
            self.drop(link, &packet, "too many hops");
            return;
        };
        packet.hops = hops;
        if self.links[link.0].addresses.contains(&packet.to.ip()) {
            self.drop(link, &packet, "the router itself has nothing there");
            return;
        }
        let (now, outer) = (self.now, self.routers[id.0].outer);
        let is_own = self.links[outer.0].addresses.contains(&packet.to.ip());
        let router = &mut self.routers[id.0];
        let nat = if packet.to.is_ipv4() {
            &mut router.v4
        } else {
            &mut router.v6
        };
        if is_own && !nat.behavior().hairpin {
            self.refuse(link, &packet, Refused::NoHairpin);
            return;
        }
        let (inner, name) = (packet.from, router.name.clone());
        match nat.outbound(now, packet.protocol, inner, packet.to) {
            Err(refused) => self.refuse(link, &packet, refused),
            Ok(translated) => {
                packet.from = translated.outer;
                if translated.is_new {
                    let (outer, to) = (translated.outer, packet.to);
                    self.note(format_args!("{name} maps {inner} to {outer} towards {to}"));
                }
                if is_own {
                    self.hairpin(id, link, packet);
                } else {
                    self.go_up(outer, packet);
                }
            }
        }
    }

    fn hairpin(&mut self, id: RouterId, link: LinkId, mut packet: Packet) {
        let now = self.now;
        let nat: &mut Nat = &mut self.routers[id.0].v4;
        match nat.inbound(now, packet.protocol, packet.from, packet.to) {
            Err(refused) => self.refuse(link, &packet, refused),
            Ok(inner) => {
                packet.to = inner;
                self.go_up(link, packet);
            }
        }
    }

    fn pass_inward(&mut self, id: RouterId, link: LinkId, mut packet: Packet) {
        let now = self.now;
        let router = &mut self.routers[id.0];
        let inside = router.inner;
        let nat = if packet.to.is_ipv4() {
            &mut router.v4
        } else {
            &mut router.v6
        };
        match nat.inbound(now, packet.protocol, packet.from, packet.to) {
            Err(refused) => self.refuse(link, &packet, refused),
            Ok(inner) => {
                let Some(hops) = packet.hops.checked_sub(1).filter(|left| *left > 0) else {
                    self.drop(link, &packet, "too many hops");
                    return;
                };
                packet.hops = hops;
                packet.to = inner;
                self.go_up(inside, packet);
            }
        }
    }

    /// Into the link's network, from its end.
    fn go_up(&mut self, id: LinkId, packet: Packet) {
        self.record(id, Seen::Outbound, &packet);
        self.travel(id, packet, true);
    }

    /// From the link's network to its end.
    fn go_down(&mut self, id: LinkId, packet: Packet) {
        self.travel(id, packet, false);
    }

    fn travel(&mut self, id: LinkId, packet: Packet, is_up: bool) {
        let link = &mut self.links[id.0];
        let direction = if is_up { &mut link.up } else { &mut link.down };
        let sent = if link.is_up {
            direction.send(self.now, packet.size(), &mut link.chance)
        } else {
            Err(Lost::Down)
        };
        let what = |packet| match is_up {
            true => What::AtNetwork(id, packet),
            false => What::AtEnd(id, packet),
        };
        match sent {
            Ok((at, again)) => {
                if let Some(again) = again {
                    self.plan_at(again, what(packet.clone()));
                }
                self.plan_at(at, what(packet));
            }
            Err(lost) => {
                let reason = match lost {
                    Lost::Down => "the link is down",
                    Lost::Loss => "lost",
                    Lost::TooLong => "longer than the link takes",
                    Lost::QueueFull => "the queue is full",
                };
                self.drop(id, &packet, reason);
            }
        }
    }

    fn record(&mut self, id: LinkId, seen: Seen, packet: &Packet) {
        if let Some(interface) = self.links[id.0].interface {
            let time = WALL_CLOCK + self.now;
            self.capture.packet(interface, time, seen, packet);
        }
    }

    fn refuse(&mut self, link: LinkId, packet: &Packet, refused: Refused) {
        let reason = match refused {
            Refused::NoMapping => "no mapping",
            Refused::Filtered => "filtered",
            Refused::Blocked => "blocked",
            Refused::Full => "no port left",
            Refused::NoHairpin => "no hairpin",
        };
        self.drop(link, packet, reason);
    }

    fn drop(&mut self, link: LinkId, packet: &Packet, reason: &str) {
        let name = &self.links[link.0].name;
        self.log
            .add(self.now, format_args!("{name} drops {packet}: {reason}"));
    }
}
