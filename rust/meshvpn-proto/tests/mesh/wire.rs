//! What is between hosts: the relay, NATs, and direct paths with their faults.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshvpn_proto::forward::Path;

use crate::host::{Host, Leaving, RELAY};
use crate::world::{Sent, World};

/// What becomes of a datagram on its way.
pub(crate) enum Way {
    /// By the relay, to this host.
    Relay(usize),
    /// From and to these addresses; private ones behind this NAT.
    Direct(SocketAddr, SocketAddr, Option<usize>),
}

impl World {
    pub(crate) fn leave(&mut self, from: usize, leaving: Vec<Leaving>) {
        for (path, datagram) in leaving {
            let at = self.now - self.start;
            let sent = Sent {
                at,
                from,
                path,
                datagram,
            };
            self.transcript.push(sent.clone());
            let to = path.destination;
            let (way, delay) = match path.relayed_number() {
                Some(_) if !self.is_relay_up => continue,
                Some(number) => (Way::Relay(number as usize), self.relay_delay),
                None if (self.swallows)(&sent) || self.chance.hits(self.loss) => continue,
                None => {
                    let Host { address, nat, .. } = self.hosts[from];
                    let is_private = matches!(to.ip(), IpAddr::V4(ip) if ip.is_private());
                    let source = match nat {
                        Some(nat) if !is_private => self.nats[nat].leave(self.now, address, to),
                        _ => address,
                    };
                    let within = nat.filter(|_| is_private);
                    let late = self.chance.below(self.jitter + 1);
                    let delay = self.delay + Duration::from_micros(late);
                    (Way::Direct(source, to, within), delay)
                }
            };
            self.order += 1;
            self.on_the_way
                .insert((self.now + delay, self.order), (from, way, sent.datagram));
        }
    }

    pub(crate) fn deliver(&mut self, from: usize, way: &Way, datagram: &[u8]) {
        let (to, back) = match *way {
            Way::Relay(to) => (Some(to), Path::relayed(RELAY, from as u64)),
            Way::Direct(source, to, within) => {
                let nat = self
                    .nats
                    .iter()
                    .position(|nat| to.ip() == nat.public && within.is_none());
                let inside = match nat {
                    Some(nat) => self.nats[nat].enter(self.now, to.port(), source),
                    None => Some(to),
                };
                let within = nat.or(within);
                let is_there = |host: &Host| Some(host.address) == inside && host.nat == within;
                let back = Path {
                    socket: 0,
                    source: None,
                    destination: source,
                };
                (self.hosts.iter().position(is_there), back)
            }
        };
        if let Some(to) = to {
            let now = self.clock();
            let leaving = self.hosts[to].receive(now, back, datagram);
            self.leave(to, leaving);
        }
    }
}
