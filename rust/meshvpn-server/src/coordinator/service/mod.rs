//! The coordinator as a service: a task that drives it, and HTTP around that.
//!
//! | module | holds |
//! |---|---|
//! | `driver` | the one task that owns the machine and the store |
//! | `socket` | a node's WebSocket: the channel's bytes, one task a node |
//! | `api` | the REST API for administrators, and its OpenAPI document |
//! | `running` | all of it on a thread of its own |
//! | `own_relay` | a relay on the same port |
//! | `state_files` | secrets in the state directory |
//! | `metrics` | counters for Prometheus |
//!
//! A [`Service`] is a handle: it can be cloned, and the driver ends when the last one is gone. Its
//! [`router`](Service::router) can be served alone or beside others on one listener.
//!
//! | path | for |
//! |---|---|
//! | `/control` | nodes: WebSocket |
//! | `/api/v1/…` | administrators: a bearer token, over TLS or from this machine |
//! | `/relay/verify` | relays: whether a node key belongs to a member |
//! | `/metrics`, `/health` | monitoring |

mod api;
mod driver;
mod metrics;
#[cfg(feature = "store")]
mod own_relay;
#[cfg(feature = "store")]
pub mod running;
mod socket;
#[cfg(feature = "store")]
mod state_files;
#[cfg(all(test, feature = "store"))]
#[allow(clippy::unwrap_used, reason = "helpers of tests fail with it")]
mod tests;

use std::sync::Arc;

use axum::Router;
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

pub use self::driver::Figures;
use self::driver::{Driver, Input};
use super::config::Config;
use super::request::{NewKey, Request, RequestError, Response};
use super::store::{Secrets, Store, StoreError};
use crate::relay::Relay;

/// What waits for the driver at most, before those who bring it wait, too.
const INPUTS: usize = 4096;

/// A running coordinator.
#[derive(Debug, Clone)]
pub struct Service {
    inputs: mpsc::Sender<Input>,
    identity: Arc<Identity>,
    figures: watch::Receiver<Figures>,
    /// What administrators must show; none: the API is closed.
    token: Option<Arc<Token>>,
}

/// What administrators must show. Wiped on drop, never shown.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes the token's text. The caller wipes its own copy.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether this is it, in a time that depends on its length alone.
    pub fn is(&self, shown: &str) -> bool {
        let (own, shown) = (self.0.as_bytes(), shown.as_bytes());
        let differences = own.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b));
        own.len() == shown.len() && differences == 0
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Token(secret)")
    }
}

impl Service {
    /// Starts a coordinator on a store, on the runtime of the caller.
    ///
    /// # Errors
    /// When the store does not answer, or there is no randomness.
    pub async fn start(
        config: Config,
        mut store: impl Store,
        token: Option<Token>,
    ) -> Result<Self, StoreError> {
        let secrets = store.secrets(fresh_secrets()?).await?;
        let snapshot = store.load().await?;
        let identity = Arc::new(Identity::open(PrivateKey::new(*secrets.control)));
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let (publish, figures) = watch::channel(Figures::default());
        let driver = Driver::new(config, &secrets, snapshot, store, receiver, publish);
        tokio::spawn(driver.run());
        Ok(Self {
            inputs,
            identity,
            figures,
            token: token.map(Arc::new),
        })
    }

    /// The public key that nodes must know.
    pub fn public_key(&self) -> PublicKey {
        *self.identity.public_key()
    }

    /// What has happened so far.
    pub fn figures(&self) -> Figures {
        *self.figures.borrow()
    }

    /// Asks something, as an administrator.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn ask(&self, request: Request) -> Result<Response, RequestError> {
        let gone = || RequestError::Unavailable("the coordinator is shutting down".to_owned());
        let (reply, answer) = oneshot::channel();
        let input = Input::Request(request, reply);
        self.inputs.send(input).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// A new auth key, in the [answer](Response::NewKey).
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn create_key(&self, mut key: NewKey) -> Result<Response, RequestError> {
        let mut random = Zeroizing::new([0; 40]);
        getrandom::fill(&mut *random)
            .map_err(|error| RequestError::Unavailable(error.to_string()))?;
        key.random = Some(random);
        self.ask(Request::CreateKey(key)).await
    }

    /// Everything that it serves over HTTP. Each request must carry a [`Peer`](crate::http::Peer), as
    /// [`Front`](crate::listen::Front) sees to.
    pub fn router(&self) -> Router {
        self.router_beside(None)
    }

    /// The same with the pages of a relay that shares the port.
    pub fn router_beside(&self, relay: Option<Relay>) -> Router {
        let pages = relay.as_ref().map(Relay::pages_without_metrics);
        api::router(self.clone())
            .merge(socket::router(self.clone()))
            .merge(metrics::router(self.clone(), relay))
            .merge(pages.unwrap_or_default())
    }
}

fn fresh_secrets() -> Result<Secrets, StoreError> {
    let draw = || {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| StoreError(error.to_string()))?;
        Ok(bytes)
    };
    Ok(Secrets {
        control: draw()?,
        signing: draw()?,
    })
}
