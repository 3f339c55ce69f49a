//! What goes wrong, and what moves.

use core::net::IpAddr;

use super::{HostId, Internet, LinkId, MachineId, NetworkId, RouterId};
use crate::link::Conditions;

impl Internet {
    /// Changes a link's conditions in both directions. What is on its way arrives as before.
    pub fn set_conditions(&mut self, link: LinkId, conditions: Conditions) {
        let link = &mut self.links[link.0];
        (link.up.conditions, link.down.conditions) = (conditions, conditions);
    }

    /// Takes a link down, or up again. A host whose link goes down has lost its addresses.
    pub fn set_link(&mut self, id: LinkId, is_up: bool) {
        self.links[id.0].is_up = is_up;
        let (name, state) = (&self.links[id.0].name, if is_up { "up" } else { "down" });
        self.log.add(self.now, format_args!("{name} is {state}"));
        self.tell_addresses(id);
    }

    /// Moves a host's link to another network, with other addresses there: roaming.
    pub fn move_link(&mut self, id: LinkId, network: NetworkId, addresses: &[IpAddr]) {
        let old = self.links[id.0].network;
        self.networks[old.0].addresses.retain(|_, link| *link != id);
        for address in addresses {
            let before = self.networks[network.0].addresses.insert(*address, id);
            assert!(before.is_none(), "{address} is taken");
        }
        let link = &mut self.links[id.0];
        (link.network, link.addresses) = (network, addresses.to_vec());
        let name = self.links[id.0].name.clone();
        self.note(format_args!("{name} moves, and has {addresses:?}"));
        self.tell_addresses(id);
    }

    /// A router loses power for a moment, and with it all mappings.
    pub fn reboot(&mut self, router: RouterId) {
        let router = &mut self.routers[router.0];
        router.v4.reboot();
        router.v6.reboot();
        let name = &router.name;
        self.log.add(self.now, format_args!("{name} reboots"));
    }

    /// The provider gives a router another outer IPv4 address; mappings to the old one are gone.
    pub fn readdress(&mut self, id: RouterId, address: IpAddr) {
        let router = &mut self.routers[id.0];
        router.v4.readdress(vec![address]);
        let (outer, name) = (router.outer, router.name.clone());
        let network = self.links[outer.0].network;
        let addresses = &mut self.networks[network.0].addresses;
        addresses.retain(|ip, link| *link != outer || ip.is_ipv6());
        let before = addresses.insert(address, outer);
        assert!(before.is_none(), "{address} is taken");
        let link = &mut self.links[outer.0];
        link.addresses.retain(IpAddr::is_ipv6);
        link.addresses.push(address);
        self.note(format_args!("{name} has {address} now"));
    }

    /// Stops a machine as `kill -9` would; its sockets and streams are closed.
    pub fn stop(&mut self, id: MachineId) {
        self.reset_streams(id);
        let runner = &mut self.machines[id.0];
        runner.is_running = false;
        runner.wakes_at = None;
        runner.sockets.clear();
        let host = runner.host;
        self.hosts[host.0]
            .ports
            .retain(|_, (owner, _)| *owner != id);
        let name = self.machines[id.0].name.clone();
        self.note(format_args!("{name} stops"));
    }

    /// Whether a machine has not been stopped.
    pub fn is_running(&self, id: MachineId) -> bool {
        self.machines[id.0].is_running
    }

    /// The host that a machine is on.
    pub fn host_of(&self, id: MachineId) -> HostId {
        self.machines[id.0].host
    }

    /// Tells the machines of a link's host which addresses it has now.
    fn tell_addresses(&mut self, link: LinkId) {
        let super::End::Host(host) = self.links[link.0].end else {
            return;
        };
        let addresses = self.addresses(host);
        for index in 0..self.machines.len() {
            let now = self.clock();
            let runner = &mut self.machines[index];
            if runner.host == host && runner.is_running {
                runner.machine.handle_addresses(now, &addresses);
                self.drain(MachineId(index));
            }
        }
    }
}
