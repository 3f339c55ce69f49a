//! The resolver, and the system that asks it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use meshvpn_engine::dns as engine;
use meshvpn_engine::dns::system::{self, Method, Place, SystemDnsConfig};
use meshvpn_engine::dns::{ResolverConfig, Upstreams};
use meshvpn_proto::dns::Zone;
use pyo3::prelude::*;

use crate::config::{ip_address, number, prefixes, socket_address};
use crate::errors::{ConfigError, resolver_error, system_dns_error};

/// Names, each with its addresses.
type Names = Vec<(String, Vec<String>)>;

/// A running resolver; `meshvpn.dns.Resolver` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct Resolver(engine::Resolver);

/// A system that asks a resolver; `meshvpn.dns.SystemDns` gives it names and documentation.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct SystemDns(Mutex<system::SystemDns>);

#[pymethods]
impl Resolver {
    /// Starts a resolver. Without `upstreams`, whom the system asks by `resolv_conf`, which is its own file
    /// if it is none.
    #[new]
    #[pyo3(signature = (domain, names, *, listen, upstreams, resolv_conf, clients, mark, netns))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments, with names at the only call"
    )]
    fn new(
        py: Python<'_>,
        domain: &str,
        names: Names,
        listen: Vec<String>,
        upstreams: Option<Vec<String>>,
        resolv_conf: Option<PathBuf>,
        clients: Vec<String>,
        mark: Option<i64>,
        netns: Option<String>,
    ) -> PyResult<Self> {
        let upstreams = match upstreams {
            Some(upstreams) => Upstreams::Given(addresses("upstreams", &upstreams)?),
            None => Upstreams::System(place(resolv_conf, netns.as_deref())?),
        };
        let config = ResolverConfig {
            listen: addresses("listen", &listen)?,
            zone: zone(domain, &names)?,
            upstreams,
            clients: prefixes("clients", &clients)?,
            mark: number("mark", mark, u32::MAX)?,
            netns,
        };
        py.detach(|| engine::Resolver::start(config))
            .map(Self)
            .map_err(|error| resolver_error(&error))
    }

    /// Answers for these names from now on.
    fn set_names(&self, domain: &str, names: Names) -> PyResult<()> {
        self.0.set_zone(zone(domain, &names)?);
        Ok(())
    }

    /// Asks these from now on.
    fn set_upstreams(&self, upstreams: Vec<String>) -> PyResult<()> {
        let upstreams = addresses("upstreams", &upstreams)?;
        self.0.set_upstreams(Upstreams::Given(upstreams));
        Ok(())
    }

    /// Where it answers: "127.0.0.1:53".
    fn addresses(&self) -> Vec<String> {
        self.0.addresses().iter().map(ToString::to_string).collect()
    }

    /// Messages answered here, passed on, refused, failed.
    fn stats(&self) -> (u64, u64, u64, u64) {
        let stats = self.0.stats();
        (stats.answered, stats.forwarded, stats.refused, stats.failed)
    }

    /// Ends it; its sockets are closed when this returns.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

#[pymethods]
impl SystemDns {
    /// Tells the system to ask `resolvers`. `method` is "auto", "resolved" or "resolv.conf".
    #[new]
    #[pyo3(signature = (resolvers, domain, *, method, resolv_conf, networks, interface, netns))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments, with names at the only call"
    )]
    fn new(
        py: Python<'_>,
        resolvers: Vec<String>,
        domain: String,
        method: &str,
        resolv_conf: Option<PathBuf>,
        networks: Vec<String>,
        interface: Option<String>,
        netns: Option<&str>,
    ) -> PyResult<Self> {
        let method = match method {
            "auto" => Method::Auto,
            "resolved" => Method::Resolved,
            "resolv.conf" => Method::ResolvConf,
            _ => {
                let message = format!("method: {method:?} is not auto, resolved or resolv.conf");
                return Err(ConfigError::new_err(message));
            }
        };
        let resolvers = resolvers.iter().map(|text| ip_address("resolvers", text));
        let config = SystemDnsConfig {
            method,
            place: place(resolv_conf, netns)?,
            resolvers: resolvers.collect::<PyResult<_>>()?,
            domain,
            networks: prefixes("networks", &networks)?,
            interface,
        };
        py.detach(|| system::SystemDns::set(&config))
            .map(|dns| Self(Mutex::new(dns)))
            .map_err(|error| system_dns_error(&error))
    }

    /// Takes it back: what came of it, as `restore_system_dns` says it.
    fn restore(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let restore = || {
            let mut dns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            dns.restore()
        };
        py.detach(restore)
            .map(|restored| restored.notice())
            .map_err(|error| system_dns_error(&error))
    }
}

/// Takes back what a crash has left in the system's file. None, or what a person should know.
#[pyfunction]
#[pyo3(signature = (*, resolv_conf, netns))]
pub(crate) fn restore_system_dns(
    py: Python<'_>,
    resolv_conf: Option<PathBuf>,
    netns: Option<&str>,
) -> PyResult<Option<String>> {
    let place = place(resolv_conf, netns)?;
    py.detach(|| system::restore(&place))
        .map(|restored| restored.notice())
        .map_err(|error| system_dns_error(&error))
}

fn place(path: Option<PathBuf>, netns: Option<&str>) -> PyResult<Place> {
    match path {
        Some(path) => Ok(Place::at(path)),
        None => Place::system(netns).map_err(|error| system_dns_error(&error)),
    }
}

fn addresses(field: &str, texts: &[String]) -> PyResult<Vec<std::net::SocketAddr>> {
    texts
        .iter()
        .map(|text| socket_address(field, text))
        .collect()
}

fn zone(domain: &str, names: &Names) -> PyResult<Zone> {
    let parsed: Vec<(&str, Vec<IpAddr>)> = names
        .iter()
        .map(|(name, texts)| {
            let addresses = texts.iter().map(|text| ip_address(name, text));
            Ok((name.as_str(), addresses.collect::<PyResult<_>>()?))
        })
        .collect::<PyResult<_>>()?;
    let names = parsed.iter().map(|(name, at)| (*name, at.as_slice()));
    Ok(Zone::of_names(domain, 0, names))
}
