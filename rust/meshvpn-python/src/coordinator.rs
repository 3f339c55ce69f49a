//! Running coordinators.

use meshvpn_engine::netns;
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::route::Prefix;
use meshvpn_server::coordinator::file::FileConfig;
use meshvpn_server::coordinator::request::{NewKey, NewStatic, Request, RequestError, Response};
use meshvpn_server::coordinator::service::running::RunningCoordinator;
use pyo3::prelude::*;
use serde::de::DeserializeOwned;

use crate::errors::{config_error, coordinator_error, request_error};

/// A running coordinator; `meshvpn.Coordinator` gives it names and documentation. Answers are JSON, as
/// the REST API gives them.
#[pyclass(frozen, module = "meshvpn._meshvpn")]
pub(crate) struct Coordinator {
    running: RunningCoordinator,
    url: Option<String>,
    scheme: &'static str,
}

#[pymethods]
impl Coordinator {
    /// Starts a coordinator from the text of a configuration file, in a network namespace if one is named.
    #[new]
    #[pyo3(signature = (config, *, netns))]
    fn new(py: Python<'_>, config: &str, netns: Option<String>) -> PyResult<Self> {
        let config = FileConfig::parse(config).map_err(|error| {
            config_error(
                &error.to_string(),
                "all fields: python -m pydoc meshvpn.coordinator",
            )
        })?;
        let url = config.url.clone();
        let scheme = if config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let name = netns.clone();
        let enter = move || name.as_deref().map_or(Ok(()), netns::enter);
        let running = py
            .detach(|| RunningCoordinator::start(config, Box::new(enter)))
            .map_err(|error| coordinator_error(&error, netns.as_deref()))?;
        Ok(Self {
            running,
            url,
            scheme,
        })
    }

    /// How nodes reach it: what the configuration says, or where it listens.
    fn url(&self) -> String {
        let local = || format!("{}://{}", self.scheme, self.running.local_address());
        self.url.clone().unwrap_or_else(local)
    }

    /// Where it listens.
    fn local_address(&self) -> String {
        self.running.local_address().to_string()
    }

    /// The public key that nodes must know, in base64.
    fn public_key(&self) -> String {
        self.running.public_key().to_string()
    }

    fn mesh(&self, py: Python<'_>) -> PyResult<String> {
        self.ask(py, Request::Mesh)
    }

    fn nodes(&self, py: Python<'_>) -> PyResult<String> {
        self.ask(py, Request::Nodes)
    }

    fn node(&self, py: Python<'_>, node: String) -> PyResult<String> {
        self.ask(py, Request::Node(node))
    }

    fn approve(&self, py: Python<'_>, node: String) -> PyResult<String> {
        self.ask(py, Request::Approve(node))
    }

    fn rename(&self, py: Python<'_>, node: String, name: String) -> PyResult<String> {
        self.ask(py, Request::Rename(node, name))
    }

    fn tag(&self, py: Python<'_>, node: String, tags: Vec<String>) -> PyResult<String> {
        self.ask(py, Request::Tag(node, tags))
    }

    fn approve_routes(
        &self,
        py: Python<'_>,
        node: String,
        routes: Vec<String>,
    ) -> PyResult<String> {
        let routes = routes.iter().map(|route| {
            let parsed: Result<Prefix, _> = route.parse();
            parsed.map_err(|error| config_error(&format!("route: {route:?} is {error}"), ""))
        });
        let routes = routes.collect::<PyResult<_>>()?;
        self.ask(py, Request::ApproveRoutes(node, routes))
    }

    /// Seconds since 1970; None: never.
    #[pyo3(signature = (node, at))]
    fn expire(&self, py: Python<'_>, node: String, at: Option<u64>) -> PyResult<String> {
        self.ask(py, Request::Expire(node, at))
    }

    fn remove(&self, py: Python<'_>, node: String) -> PyResult<String> {
        self.ask(py, Request::Remove(node))
    }

    /// A WireGuard peer of another make, from JSON as the REST API takes it.
    fn add_peer(&self, py: Python<'_>, peer: &str) -> PyResult<String> {
        let peer: NewStatic = parse(peer)?;
        self.ask(py, Request::AddStatic(peer))
    }

    /// Whether this node key belongs to a member.
    fn verify(&self, py: Python<'_>, key: &str) -> PyResult<String> {
        let key: PublicKey = key
            .parse()
            .map_err(|error: meshvpn_proto::keys::KeyError| config_error(&error.to_string(), ""))?;
        self.ask(py, Request::Verify(key))
    }

    fn keys(&self, py: Python<'_>) -> PyResult<String> {
        self.ask(py, Request::Keys)
    }

    /// A new auth key, from JSON as the REST API takes it.
    fn create_key(&self, py: Python<'_>, key: &str) -> PyResult<String> {
        let key: NewKey = parse(key)?;
        answer(py.detach(|| self.running.create_key(key)))
    }

    fn revoke_key(&self, py: Python<'_>, key: String) -> PyResult<String> {
        self.ask(py, Request::RevokeKey(key))
    }

    /// Ends it; its port is free when it returns.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.running.close());
    }
}

impl Coordinator {
    fn ask(&self, py: Python<'_>, request: Request) -> PyResult<String> {
        answer(py.detach(|| self.running.ask(request)))
    }
}

fn answer(answer: Result<Response, RequestError>) -> PyResult<String> {
    let answer = answer.map_err(|error| request_error(&error))?;
    Ok(serde_json::to_string(&answer).expect("plain data"))
}

fn parse<T: DeserializeOwned>(json: &str) -> PyResult<T> {
    serde_json::from_str(json).map_err(|error| config_error(&error.to_string(), ""))
}
