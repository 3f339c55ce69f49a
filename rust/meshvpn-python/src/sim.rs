//! A simulated internet; `meshvpn.sim` gives it names and documentation.

use core::time::Duration;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meshvpn_proto::nat::discovery::SOCKETS;
use meshvpn_sim::internet::{Carrier, PUBLIC};
use meshvpn_sim::machines::{DiscoveryMachine, Mailbox, StunServer};
use meshvpn_sim::oracle::{Budget, Outlook, Side, outlook};
use meshvpn_sim::{
    Behavior, Conditions, Home, HostId, Internet, Kind, LinkId, MachineId, RouterId,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::config::socket_address;
use crate::errors::config_error;
use crate::nat::NatReport;

/// How long a discovery takes at most, with some to spare.
const DISCOVERY: Duration = Duration::from_secs(10);

/// The whole of it.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct SimInternet(Mutex<Internet>);

/// What a link does to packets: times in seconds, probabilities from 0 to 1.
#[pyclass(frozen, from_py_object, module = "meshvpn._meshvpn")]
#[derive(Clone)]
pub(crate) struct SimConditions(Conditions);

/// A host and its first link.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct SimHost {
    id: HostId,
    link: LinkId,
}

/// A home's network, its routers, and what it takes to add hosts.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct SimHome {
    home: Mutex<Home>,
}

/// A carrier whose subscribers share an outer address.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct SimCarrier(Carrier);

/// A UDP socket of a host.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct SimSocket(MachineId);

/// Seconds since the beginning, source, destination, payload.
type Received<'py> = (f64, String, String, Bound<'py, PyBytes>);

#[pymethods]
impl SimConditions {
    #[new]
    #[pyo3(signature = (*, latency, jitter, loss, reordering, repetition, rate, queue, mtu))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments, with names at the only call"
    )]
    fn new(
        latency: f64,
        jitter: f64,
        loss: f64,
        reordering: f64,
        repetition: f64,
        rate: Option<u64>,
        queue: usize,
        mtu: u16,
    ) -> PyResult<Self> {
        Ok(Self(Conditions {
            latency: seconds("latency", latency)?,
            jitter: seconds("jitter", jitter)?,
            loss,
            reordering,
            repetition,
            rate,
            queue,
            mtu,
        }))
    }
}

#[pymethods]
impl SimInternet {
    /// An empty internet; everything that happens in it follows from `seed`.
    #[new]
    fn new(seed: u64) -> Self {
        let mut internet = Internet::new(seed);
        internet.keep_log();
        Self(Mutex::new(internet))
    }

    /// Seconds since the beginning.
    fn now(&self) -> f64 {
        self.lock().now().as_secs_f64()
    }

    /// Lets so many seconds pass.
    fn run(&self, py: Python<'_>, time: f64) -> PyResult<()> {
        let time = seconds("time", time)?;
        py.detach(|| self.lock().run_for(time));
        Ok(())
    }

    /// What has happened so far, line by line.
    fn log(&self) -> String {
        self.lock().log().text().to_owned()
    }

    /// BLAKE2s-256 of the log, in hex.
    fn digest(&self) -> String {
        self.lock().log().digest()
    }

    /// A host with so many public IPv4 addresses, and as many of IPv6.
    fn public_host(&self, name: &str, addresses: u8, conditions: &SimConditions) -> SimHost {
        let mut net = self.lock();
        let id = net.public_host(name, addresses, conditions.0);
        let link = net.links(id)[0];
        SimHost { id, link }
    }

    /// A home behind a NAT of this kind, with its first host.
    fn home(
        &self,
        name: &str,
        kind: &str,
        conditions: &SimConditions,
        has_ipv6: bool,
        carrier: Option<&SimCarrier>,
    ) -> PyResult<(SimHome, SimHost)> {
        let (kind, mut net) = (kind_of("nat", kind)?, self.lock());
        let home = match carrier {
            Some(carrier) => net.subscriber(name, &carrier.0, kind, conditions.0),
            None if has_ipv6 => net.home_with_v6(name, kind, conditions.0),
            None => net.home(name, kind, conditions.0),
        };
        let (id, link) = (home.host, home.link);
        let home = Mutex::new(home);
        Ok((SimHome { home }, SimHost { id, link }))
    }

    /// Another host at home.
    fn add_host(&self, home: &SimHome, name: &str) -> SimHost {
        let mut net = self.lock();
        let id = net.housemate(&mut home.lock(), name);
        let link = net.links(id)[0];
        SimHost { id, link }
    }

    /// A carrier with a NAT of this kind.
    fn carrier(
        &self,
        name: &str,
        kind: &str,
        hairpin: bool,
        conditions: &SimConditions,
    ) -> PyResult<SimCarrier> {
        let behavior = Behavior {
            hairpin,
            ..Behavior::of(kind_of("nat", kind)?)
        };
        let carrier = self.lock().carrier(name, behavior, conditions.0);
        Ok(SimCarrier(carrier))
    }

    /// A host's addresses.
    fn addresses(&self, host: &SimHost) -> Vec<String> {
        let addresses = self.lock().addresses(host.id);
        addresses.iter().map(ToString::to_string).collect()
    }

    /// Starts a STUN server on a host with two addresses; returns the first, with its port.
    fn start_stun(&self, host: &SimHost) -> String {
        StunServer::attach(&mut self.lock(), host.id).to_string()
    }

    /// Finds out what the NAT before `host` does, which takes some seconds of virtual time.
    fn discover(
        &self,
        py: Python<'_>,
        host: &SimHost,
        servers: Vec<String>,
    ) -> PyResult<Option<NatReport>> {
        let servers = servers
            .iter()
            .map(|server| socket_address("server", server));
        let servers = servers.collect::<PyResult<Vec<_>>>()?;
        Ok(py.detach(|| {
            let mut net = self.lock();
            let machine = DiscoveryMachine::attach(&mut net, host.id, &servers);
            let end = net.now() + DISCOVERY;
            let is_over =
                |net: &Internet| net.machine::<DiscoveryMachine>(machine).report().is_some();
            net.run_until(end, is_over);
            let report = net.machine::<DiscoveryMachine>(machine).report();
            let report = report.map(NatReport::from);
            net.stop(machine);
            report
        }))
    }

    /// How many sockets a discovery opens.
    #[classattr]
    const DISCOVERY_SOCKETS: usize = SOCKETS;

    /// Opens a socket on a host; port 0 is any.
    fn open(&self, host: &SimHost, port: u16) -> PyResult<SimSocket> {
        let mut net = self.lock();
        if port != 0 && !net.is_free(host.id, port) {
            let message = format!("port: {port} is in use on this host");
            return Err(config_error(&message, "choose another one, or 0 for any"));
        }
        Ok(SimSocket(Mailbox::attach(&mut net, host.id, port)))
    }

    /// A socket's local address; of IPv4 if the host has one.
    fn local_address(&self, socket: &SimSocket) -> Option<String> {
        let net = self.lock();
        let v4 = net.socket_address(socket.0, 0, true);
        let address = v4.or_else(|| net.socket_address(socket.0, 0, false));
        address.map(|address| address.to_string())
    }

    /// Sends a datagram, which may take `hops` hops.
    fn send(&self, socket: &SimSocket, data: &[u8], to: &str, hops: Option<u8>) -> PyResult<()> {
        let to = socket_address("address", to)?;
        self.lock()
            .with_machine(socket.0, |socket: &mut Mailbox, _| {
                socket.send(to, data, hops);
            });
        Ok(())
    }

    /// What has come since the last call.
    fn receive<'py>(&self, py: Python<'py>, socket: &SimSocket) -> Vec<Received<'py>> {
        let mut net = self.lock();
        let begin = net.clock().unix - net.now();
        let received = net.with_machine(socket.0, |socket: &mut Mailbox, _| socket.take());
        let received = received.into_iter().map(|one| {
            let at = (one.at - begin).as_secs_f64();
            let data = PyBytes::new(py, &one.datagram);
            (at, one.from.to_string(), one.local.to_string(), data)
        });
        received.collect()
    }

    /// Closes a socket.
    fn close(&self, socket: &SimSocket) {
        self.lock().stop(socket.0);
    }

    /// Watches a host's link.
    fn capture_host(&self, host: &SimHost) {
        self.lock().capture(host.link);
    }

    /// Watches the links of a home's routers, both sides.
    fn capture_routers(&self, home: &SimHome) {
        let mut net = self.lock();
        for router in home.routers() {
            for link in net.router_links(router) {
                net.capture(link);
            }
        }
    }

    /// What was captured: a file in the pcapng format.
    fn pcapng<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.lock().pcapng())
    }

    /// Changes the conditions of a host's link.
    fn set_host_conditions(&self, host: &SimHost, conditions: &SimConditions) {
        self.lock().set_conditions(host.link, conditions.0);
    }

    /// Changes the conditions of a home's line to its provider.
    fn set_home_conditions(&self, home: &SimHome, conditions: &SimConditions) {
        let mut net = self.lock();
        if let Some(router) = home.routers().first() {
            let [_, outer] = net.router_links(*router);
            net.set_conditions(outer, conditions.0);
        }
    }

    /// Takes a host's link down, or up again.
    fn set_link(&self, host: &SimHost, is_up: bool) {
        self.lock().set_link(host.link, is_up);
    }

    /// Moves a host's link to a home, or to the public network.
    fn move_host(&self, host: &SimHost, home: Option<&SimHome>) {
        let mut net = self.lock();
        match home {
            Some(home) => {
                let home = &mut home.lock();
                net.move_home(host.link, home);
            }
            None => {
                let address: IpAddr = net.public_v4();
                net.move_link(host.link, PUBLIC, &[address]);
            }
        }
    }

    /// The home's router loses its mappings, as when the power was off.
    fn reboot(&self, home: &SimHome) {
        let mut net = self.lock();
        if let Some(router) = home.routers().first() {
            net.reboot(*router);
        }
    }

    /// The provider gives the home's router another address; false when it has none of its own.
    fn change_address(&self, home: &SimHome) -> bool {
        let routers = home.routers();
        let [router] = routers[..] else {
            return false;
        };
        let mut net = self.lock();
        let address = net.public_v4();
        net.readdress(router, address);
        true
    }

    /// The mappings of the home's own router: protocol, inner, outer, remotes.
    fn mappings(&self, home: &SimHome) -> Vec<(String, String, Vec<String>)> {
        let net = self.lock();
        let now = net.now();
        let views = home
            .routers()
            .first()
            .map(|router| net.nat(*router).mappings(now));
        let view = |view: meshvpn_sim::nat::View| {
            let remotes = view.remotes.iter().map(ToString::to_string);
            (
                view.inner.to_string(),
                view.outer.to_string(),
                remotes.collect(),
            )
        };
        views.into_iter().flatten().map(view).collect()
    }
}

impl SimInternet {
    fn lock(&self) -> MutexGuard<'_, Internet> {
        // A panic in there is a defect that was reported; what is left is still readable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimHome {
    fn lock(&self) -> MutexGuard<'_, Home> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routers(&self) -> Vec<RouterId> {
        self.lock().routers.clone()
    }
}

/// What can be expected of two nodes behind NATs of these kinds: "direct", "guessed" or "relayed", the odds, and
/// in words.
#[pyfunction]
pub(crate) fn sim_outlook(
    a: &str,
    b: &str,
    same_lan: bool,
    both_ipv6: bool,
    same_carrier: Option<bool>,
) -> PyResult<(&'static str, f64, String)> {
    let side = |field, kind| -> PyResult<Side> {
        let mut side = Side::of(kind_of(field, kind)?);
        side.lan = same_lan.then_some(0);
        side.has_v6 = both_ipv6;
        side.carrier = same_carrier.map(|hairpins| (0, hairpins));
        Ok(side)
    };
    let expected = outlook(&side("a", a)?, &side("b", b)?, &Budget::default());
    let kind = match expected {
        Outlook::Direct(_) => "direct",
        Outlook::Guessed { .. } => "guessed",
        Outlook::Relayed(_) => "relayed",
    };
    Ok((kind, expected.odds(), expected.to_string()))
}

/// Where two logs part: the number of the line, and what each has there.
#[pyfunction]
pub(crate) fn sim_first_difference(
    first: &str,
    second: &str,
) -> Option<(usize, Option<String>, Option<String>)> {
    let difference = meshvpn_sim::log::first_difference(first, second)?;
    Some((difference.line, difference.first, difference.second))
}

fn kind_of(field: &str, name: &str) -> PyResult<Kind> {
    Kind::from_str(name).map_err(|error| {
        config_error(
            &format!("{field}: {error}"),
            "give a member of meshvpn.sim.Nat",
        )
    })
}

fn seconds(field: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        let message = format!("{field}: {value} is not a number of seconds from 0 on");
        config_error(&message, "give seconds, 0.02 say")
    })
}
