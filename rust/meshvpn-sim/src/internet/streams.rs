//! Streams between machines: which end is whose, and their packets.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::{HostId, Internet, MachineId, What};
use crate::machine::{StreamAction, StreamEvent, StreamId};
use crate::packet::{HOPS, Packet, Protocol};
use crate::stream::{Closed, Endpoint, Event, opens, reset_for};

/// All ends of all streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    next: u64,
    ends: BTreeMap<u64, End>,
    by_address: BTreeMap<(HostId, SocketAddr, SocketAddr), u64>,
    by_number: BTreeMap<(MachineId, StreamId), u64>,
}

#[derive(Debug)]
struct End {
    endpoint: Endpoint,
    host: HostId,
    machine: MachineId,
    number: StreamId,
    local: SocketAddr,
    remote: SocketAddr,
    wakes_at: Option<Duration>,
}

impl Internet {
    /// Does what a machine wants with a stream.
    pub(super) fn act(&mut self, id: MachineId, action: StreamAction) {
        let now = self.now;
        let host = self.machines[id.0].host;
        match action {
            StreamAction::Listen(port) => {
                self.hosts[host.0].listeners.insert(port, id);
            }
            StreamAction::Open(number, to) => self.open_stream(id, number, to),
            StreamAction::Send(number, bytes) => {
                self.with_end(id, number, |end| end.endpoint.send(now, &bytes));
            }
            StreamAction::Close(number) => {
                self.with_end(id, number, |end| end.endpoint.close(now));
            }
        }
    }

    /// A packet of a stream has reached a host.
    pub(super) fn receive_stream(&mut self, host: HostId, packet: &Packet) {
        let name = &self.hosts[host.0].name;
        self.log.add(self.now, format_args!("{name} gets {packet}"));
        let key = (host, packet.to, packet.from);
        if let Some(index) = self.streams.by_address.get(&key).copied() {
            let now = self.now;
            if let Some(end) = self.streams.ends.get_mut(&index) {
                end.endpoint.handle(now, &packet.payload);
            }
            self.pump(index);
            return;
        }
        let listener = self.hosts[host.0].listeners.get(&packet.to.port()).copied();
        match listener.filter(|_| opens(&packet.payload)) {
            Some(machine) => {
                let number = StreamId(StreamId::FIRST_ACCEPTED + self.streams.next);
                let (local, remote) = (packet.to, packet.from);
                let index = self.add_end(Endpoint::accept(), host, machine, number, local, remote);
                self.tell(machine, number, StreamEvent::Accepted(remote));
                self.pump(index);
            }
            None => {
                if let Some(reset) = reset_for(&packet.payload) {
                    self.send(host, stream_packet(packet.to, packet.from, reset));
                }
            }
        }
    }

    /// A stream may want to send something again.
    pub(super) fn wake_stream(&mut self, index: u64) {
        let now = self.now;
        let Some(end) = self.streams.ends.get_mut(&index) else {
            return;
        };
        if end.wakes_at.is_some_and(|at| at <= now) {
            end.wakes_at = None;
            end.endpoint.handle_timeout(now);
            self.pump(index);
        }
    }

    /// Ends all streams of a machine that is no more, as its system would.
    pub(super) fn reset_streams(&mut self, id: MachineId) {
        let of_it = |(_, end): &(&u64, &End)| end.machine == id;
        let ends = self.streams.ends.iter().filter(of_it);
        let indices: Vec<_> = ends.map(|(index, _)| *index).collect();
        for index in indices {
            if let Some(end) = self.remove_end(index) {
                let reset = reset_for(&[0; 17]).unwrap_or_default();
                self.send(end.host, stream_packet(end.local, end.remote, reset));
            }
        }
    }

    fn open_stream(&mut self, id: MachineId, number: StreamId, to: SocketAddr) {
        let host = self.machines[id.0].host;
        let is_alike = |ip: core::net::IpAddr| ip.is_ipv4() == to.is_ipv4();
        let addresses = self.addresses(host);
        let Some(ip) = addresses.into_iter().find(|ip| is_alike(*ip)) else {
            self.tell(id, number, StreamEvent::Closed(Closed::TimedOut));
            return;
        };
        let local = SocketAddr::new(ip, self.free_port(host));
        let endpoint = Endpoint::open(self.now);
        let index = self.add_end(endpoint, host, id, number, local, to);
        self.pump(index);
    }

    fn add_end(
        &mut self,
        endpoint: Endpoint,
        host: HostId,
        machine: MachineId,
        number: StreamId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> u64 {
        let index = self.streams.next;
        self.streams.next += 1;
        let end = End {
            endpoint,
            host,
            machine,
            number,
            local,
            remote,
            wakes_at: None,
        };
        self.streams.ends.insert(index, end);
        self.streams.by_address.insert((host, local, remote), index);
        self.streams.by_number.insert((machine, number), index);
        index
    }

    fn remove_end(&mut self, index: u64) -> Option<End> {
        let end = self.streams.ends.remove(&index)?;
        self.streams
            .by_address
            .remove(&(end.host, end.local, end.remote));
        if self.streams.by_number.get(&(end.machine, end.number)) == Some(&index) {
            self.streams.by_number.remove(&(end.machine, end.number));
        }
        Some(end)
    }

    fn with_end(&mut self, id: MachineId, number: StreamId, act: impl FnOnce(&mut End)) {
        let Some(index) = self.streams.by_number.get(&(id, number)).copied() else {
            return;
        };
        if let Some(end) = self.streams.ends.get_mut(&index) {
            act(end);
            self.pump(index);
        }
    }

    /// Sends an end's packets, tells its machine what has happened, and asks when it wants to be woken.
    fn pump(&mut self, index: u64) {
        while let Some(end) = self.streams.ends.get_mut(&index) {
            let (machine, number) = (end.machine, end.number);
            if let Some(payload) = end.endpoint.poll_packet() {
                let (host, packet) = (end.host, stream_packet(end.local, end.remote, payload));
                self.send(host, packet);
            } else if let Some(event) = end.endpoint.poll_event() {
                let event = match event {
                    Event::Connected => StreamEvent::Connected,
                    Event::Data(data) => StreamEvent::Data(data),
                    Event::Closed(why) => StreamEvent::Closed(why),
                };
                self.tell(machine, number, event);
            } else {
                break;
            }
        }
        let Some(end) = self.streams.ends.get_mut(&index) else {
            return;
        };
        if end.endpoint.is_over() {
            self.remove_end(index);
            return;
        }
        let at = end.endpoint.poll_timeout();
        if end.wakes_at != at {
            end.wakes_at = at;
            if let Some(at) = at {
                self.plan_at(at, What::WakeStream(index));
            }
        }
    }

    fn tell(&mut self, id: MachineId, number: StreamId, event: StreamEvent) {
        let now = self.clock();
        let runner = &mut self.machines[id.0];
        if runner.is_running {
            runner.machine.handle_stream(now, number, event);
            self.drain(id);
        }
    }
}

fn stream_packet(from: SocketAddr, to: SocketAddr, payload: Vec<u8>) -> Packet {
    Packet {
        protocol: Protocol::Tcp,
        from,
        to,
        hops: HOPS,
        payload,
    }
}
