//! Driving machines: what comes to their sockets, what they send, when they wake.

use core::net::SocketAddr;

use super::{HostId, Internet, MachineId, SPINS, What};
use crate::machine::Transmit;
use crate::packet::{HOPS, Packet, Protocol};

impl Internet {
    /// A packet has reached a host.
    pub(super) fn receive(&mut self, host: HostId, packet: Packet) {
        if packet.protocol == Protocol::Tcp {
            self.receive_stream(host, &packet);
            return;
        }
        let name = &self.hosts[host.0].name;
        let Some((id, socket)) = self.hosts[host.0].ports.get(&packet.to.port()).copied() else {
            self.log
                .add(self.now, format_args!("{name} has no socket for {packet}"));
            return;
        };
        self.log.add(self.now, format_args!("{name} gets {packet}"));
        let now = self.clock();
        let runner = &mut self.machines[id.0];
        if runner.is_running {
            runner
                .machine
                .handle_datagram(now, socket, packet.to, packet.from, &packet.payload);
            self.drain(id);
        }
    }

    /// The time that a machine named has come, if that is still what it wants.
    pub(super) fn wake(&mut self, id: MachineId) {
        let (now, clock) = (self.now, self.clock());
        let runner = &mut self.machines[id.0];
        if !runner.is_running || runner.wakes_at.is_none_or(|at| at > now) {
            return;
        }
        runner.wakes_at = None;
        runner.machine.handle_timeout(clock);
        self.drain(id);
    }

    /// Takes all that a machine wants sent, and asks when it wants to be woken.
    pub(super) fn drain(&mut self, id: MachineId) {
        if !self.machines[id.0].is_running {
            return;
        }
        loop {
            if let Some(transmit) = self.machines[id.0].machine.poll_transmit() {
                self.transmit(id, transmit);
            } else if let Some(action) = self.machines[id.0].machine.poll_stream() {
                self.act(id, action);
            } else {
                break;
            }
        }
        let runner = &mut self.machines[id.0];
        while let Some(note) = runner.machine.poll_note() {
            let name = &runner.name;
            self.log.add(self.now, format_args!("{name}: {note}"));
        }
        let at = runner.machine.poll_timeout();
        let at = at.map(|at| at.saturating_duration_since(self.start).max(self.now));
        runner.spins = if at == Some(self.now) {
            runner.spins + 1
        } else {
            0
        };
        assert!(
            runner.spins < SPINS,
            "{} wants to be woken again and again at {:?}",
            runner.name,
            self.now
        );
        if at != runner.wakes_at {
            runner.wakes_at = at;
            if let Some(at) = at {
                self.plan_at(at, What::Wake(id));
            }
        }
    }

    fn transmit(&mut self, id: MachineId, transmit: Transmit) {
        let Transmit {
            socket,
            source,
            to,
            hops,
            datagram,
        } = transmit;
        let host = self.machines[id.0].host;
        let port = match self.machines[id.0].sockets.get(&socket) {
            Some(port) => *port,
            None => self.open(id, socket, 0),
        };
        let source = source.or_else(|| {
            let link = self.link_of(host, |address| address.is_ipv4() == to.is_ipv4())?;
            let addresses = &self.links[link.0].addresses;
            addresses
                .iter()
                .copied()
                .find(|ip| ip.is_ipv4() == to.is_ipv4())
        });
        let Some(source) = source else {
            let name = &self.hosts[host.0].name;
            self.log
                .add(self.now, format_args!("{name} has no way to {to}"));
            return;
        };
        let packet = Packet {
            protocol: Protocol::Udp,
            from: SocketAddr::new(source, port),
            to,
            hops: hops.unwrap_or(HOPS),
            payload: datagram,
        };
        self.send(host, packet);
    }
}
