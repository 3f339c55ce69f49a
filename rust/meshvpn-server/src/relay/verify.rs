//! Who may come: asked once for each client that logs in.
//!
//! Whoever has a key can prove it, so without this a relay serves everyone. A mesh asks its coordinator:
//!
//! ```text
//! POST <coordinator>/relay/verify      {"node_key": "<base64>"}
//! 200                                  {"allow": true}
//! ```
//!
//! While the coordinator is away, who was allowed within the last day still is: a relay that restarts must
//! not cut off nodes that would go on without either.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::uri::{InvalidUri, Scheme};
use axum::http::{Method, Request, StatusCode, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meshvpn_proto::keys::PublicKey;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// What is asked after the coordinator's URL.
const PATH: &str = "/relay/verify";
/// How long an answer may take. The client waits that long for its log-in.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MOST_ANSWER: usize = 4096;
/// For how long and for how many nodes an answer is remembered, for when there is none to be had.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
const MOST_REMEMBERED: usize = 10_000;

/// The answer, when it comes.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<bool, VerifyError>> + Send + 'a>>;

/// Says who may be a client.
pub trait Verifier: Send + Sync + 'static {
    /// Whether the node that this key belongs to may.
    fn verify<'a>(&'a self, node: &'a PublicKey) -> Answer<'a>;
}

/// Why nobody can say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The coordinator cannot be reached, or says nothing in time.
    #[error("the coordinator does not answer: {0}")]
    Unreachable(String),
    /// It answers something else.
    #[error("the coordinator answers {0} instead of {{\"allow\": …}}")]
    Answer(String),
}

/// A URL that no coordinator can have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// No URL.
    #[error("verify_clients: {0}")]
    Invalid(#[from] InvalidUri),
    /// One of another kind.
    #[error("verify_clients: {0} is no http:// or https:// URL with a host")]
    Scheme(Uri),
}

/// Asks a coordinator over HTTP.
pub struct HttpVerifier {
    url: Uri,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    allowed: Mutex<BTreeMap<PublicKey, Instant>>,
}

#[derive(Serialize)]
struct Asked<'a> {
    node_key: &'a PublicKey,
}

#[derive(Deserialize)]
struct Answered {
    allow: bool,
}

impl HttpVerifier {
    /// Asks the coordinator at `url`: `https://mesh.example`, say. Its certificate must be vouched for by one of
    /// the authorities that browsers trust.
    ///
    /// # Errors
    /// That is no such URL.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        let base: Uri = url.parse()?;
        let is_https = base.scheme() == Some(&Scheme::HTTPS);
        let host = base.host().map(ToOwned::to_owned);
        let Some(host) = host.filter(|_| is_https || base.scheme() == Some(&Scheme::HTTP)) else {
            return Err(UrlError::Scheme(base));
        };
        let port = base.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let path = format!("{}{PATH}", base.path().trim_end_matches('/'));
        Ok(Self {
            url: path.parse()?,
            // As in a URL, an IPv6 address comes in brackets.
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tls: is_https.then(connector),
            allowed: Mutex::default(),
        })
    }

    async fn ask(&self, node: &PublicKey) -> Result<bool, VerifyError> {
        let unreachable = |error: &dyn fmt::Display| VerifyError::Unreachable(error.to_string());
        let stream = TcpStream::connect((&*self.host, self.port)).await;
        let stream = stream.map_err(|error| unreachable(&error))?;
        let Some(tls) = &self.tls else {
            return self.ask_over(stream, node).await;
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| unreachable(&error))?;
        let stream = tls.connect(name, stream).await;
        self.ask_over(stream.map_err(|error| unreachable(&error))?, node)
            .await
    }

    async fn ask_over<S>(&self, stream: S, node_key: &PublicKey) -> Result<bool, VerifyError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: hyper::Error| VerifyError::Unreachable(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        let asked = serde_json::to_string(&Asked { node_key });
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, "application/json")
            .body(asked.unwrap_or_default())
            .map_err(|error| VerifyError::Answer(error.to_string()))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(failed)?;
            let (parts, body) = response.into_parts();
            let foreign = |_| VerifyError::Answer("something too long".to_owned());
            let body = to_bytes(Body::new(body), MOST_ANSWER)
                .await
                .map_err(foreign)?;
            if parts.status != StatusCode::OK {
                return Err(VerifyError::Answer(parts.status.to_string()));
            }
            let answered: Result<Answered, _> = serde_json::from_slice(&body);
            answered
                .map(|answered| answered.allow)
                .map_err(|error| VerifyError::Answer(error.to_string()))
        };
        tokio::select! {
            answer = answer => answer,
            ended = connection => match ended {
                Ok(()) => Err(VerifyError::Unreachable("it closes the connection".to_owned())),
                Err(error) => Err(failed(error)),
            },
        }
    }

    fn remember(&self, node: &PublicKey, is_allowed: bool) {
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_allowed {
            allowed.remove(node);
        } else if allowed.len() < MOST_REMEMBERED || allowed.contains_key(node) {
            allowed.insert(*node, Instant::now());
        } else {
            allowed.retain(|_, at| at.elapsed() < REMEMBERED);
        }
    }

    fn was_allowed(&self, node: &PublicKey) -> bool {
        let allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        allowed
            .get(node)
            .is_some_and(|at| at.elapsed() < REMEMBERED)
    }
}

impl Verifier for HttpVerifier {
    fn verify<'a>(&'a self, node: &'a PublicKey) -> Answer<'a> {
        Box::pin(async move {
            let answer = match timeout(PATIENCE, self.ask(node)).await {
                Ok(answer) => answer,
                Err(_) => Err(VerifyError::Unreachable("no answer in time".to_owned())),
            };
            match answer {
                Ok(is_allowed) => self.remember(node, is_allowed),
                Err(_) if self.was_allowed(node) => return Ok(true),
                Err(_) => {}
            }
            answer
        })
    }
}

impl fmt::Debug for HttpVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpVerifier")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

fn connector() -> TlsConnector {
    let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has ciphers for them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
