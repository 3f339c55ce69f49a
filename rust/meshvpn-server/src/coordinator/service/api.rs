//! The REST API: what administrators ask, and how they are refused.
//!
//! Everything under `/api/v1/` takes and gives JSON. A request needs the header `Authorization: Bearer ‹token›`
//! and a connection on which nobody listens: TLS, or one that does not leave the machine. `openapi.json`
//! describes it all, and is served to whoever asks; a test holds the two together.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router};
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::route::Prefix;
use serde::Deserialize;
use serde_json::json;

use super::Service;
use crate::coordinator::request::{NewKey, NewStatic, Request, RequestError, Response};
use crate::http::Peer;

/// The description of the API, OpenAPI 3.1.
pub(super) const OPENAPI: &str = include_str!("openapi.json");
/// Bytes of the longest request.
const LONGEST_REQUEST: usize = 64 * 1024;

/// Every route under `/api/v1`, with its methods.
fn routes() -> Vec<(&'static str, MethodRouter<Service>)> {
    vec![
        ("/mesh", get(mesh)),
        ("/nodes", get(nodes)),
        ("/nodes/{node}", get(node).patch(change).delete(remove)),
        ("/nodes/{node}/approve", post(approve)),
        ("/nodes/{node}/routes", post(routes_of_node)),
        ("/nodes/{node}/expire", post(expire)),
        ("/peers", post(add_peer)),
        ("/keys", get(keys).post(create_key)),
        ("/keys/{key}", delete(revoke_key)),
    ]
}

pub(super) fn router(service: Service) -> Router {
    let mut guarded = Router::new();
    for (path, methods) in routes() {
        guarded = guarded.route(path, methods);
    }
    let guarded = guarded
        .layer(DefaultBodyLimit::max(LONGEST_REQUEST))
        .fallback(unknown)
        .method_not_allowed_fallback(not_so)
        .route_layer(from_fn_with_state(service.clone(), guard));
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .nest("/api/v1", guarded)
        .route("/relay/verify", post(verify))
        .with_state(service)
}

/// A refusal, as JSON: `{"error": "…", "field": "…"}`.
struct Refused {
    status: StatusCode,
    field: Option<&'static str>,
    text: String,
}

impl Refused {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            field: None,
            text: text.into(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> HttpResponse {
        let body = Json(json!({"error": self.text, "field": self.field}));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Self {
        let (status, field) = match &error {
            RequestError::NoNode(_) | RequestError::NoKey(_) => (StatusCode::NOT_FOUND, None),
            RequestError::Invalid { field, .. } => (StatusCode::UNPROCESSABLE_ENTITY, Some(*field)),
            RequestError::Conflict { field, .. } => (StatusCode::CONFLICT, Some(*field)),
            RequestError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        Self {
            status,
            field,
            text: error.to_string(),
        }
    }
}

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

type Answer = Result<Json<Response>, Refused>;

/// Lets nobody pass without the token, and nobody whom others could overhear.
async fn guard(
    State(service): State<Service>,
    request: HttpRequest,
    next: Next,
) -> Result<HttpResponse, Refused> {
    let peer = request.extensions().get::<Peer>();
    if !peer.is_some_and(Peer::is_private) {
        let text = "the API is served over TLS, or to this machine alone: anyone on the way could read \
                    the token";
        return Err(Refused::new(StatusCode::FORBIDDEN, text));
    }
    let header = request.headers().get(AUTHORIZATION);
    let shown = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let is_right = service.token.as_ref().zip(shown);
    if !is_right.is_some_and(|(token, shown)| token.is(shown)) {
        let text = "the API needs `Authorization: Bearer TOKEN`; the token is in the file api-token of \
                    the coordinator's state directory";
        return Err(Refused::new(StatusCode::UNAUTHORIZED, text));
    }
    Ok(next.run(request).await)
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn unknown() -> Refused {
    let text = "there is nothing here: /api/v1/openapi.json lists what there is";
    Refused::new(StatusCode::NOT_FOUND, text)
}

async fn not_so() -> Refused {
    let text = "not with this method: /api/v1/openapi.json lists what there is";
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, text)
}

async fn ask(service: &Service, request: Request) -> Answer {
    Ok(Json(service.ask(request).await?))
}

async fn mesh(State(service): State<Service>) -> Answer {
    ask(&service, Request::Mesh).await
}

async fn nodes(State(service): State<Service>) -> Answer {
    ask(&service, Request::Nodes).await
}

async fn node(State(service): State<Service>, Path(node): Path<String>) -> Answer {
    ask(&service, Request::Node(node)).await
}

async fn approve(State(service): State<Service>, Path(node): Path<String>) -> Answer {
    ask(&service, Request::Approve(node)).await
}

async fn remove(State(service): State<Service>, Path(node): Path<String>) -> Answer {
    ask(&service, Request::Remove(node)).await
}

/// What of a node can be changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeChange {
    name: Option<String>,
    tags: Option<Vec<String>>,
}

async fn change(
    State(service): State<Service>,
    Path(mut node): Path<String>,
    change: Result<Json<NodeChange>, JsonRejection>,
) -> Answer {
    let Json(change) = change?;
    if let Some(tags) = change.tags {
        service.ask(Request::Tag(node.clone(), tags)).await?;
    }
    if let Some(name) = change.name {
        service.ask(Request::Rename(node, name.clone())).await?;
        node = name;
    }
    ask(&service, Request::Node(node)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Routes {
    routes: Vec<Prefix>,
}

async fn routes_of_node(
    State(service): State<Service>,
    Path(node): Path<String>,
    routes: Result<Json<Routes>, JsonRejection>,
) -> Answer {
    let Json(Routes { routes }) = routes?;
    ask(&service, Request::ApproveRoutes(node, routes)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expiry {
    /// Seconds since 1970; null: never.
    at: Option<u64>,
}

async fn expire(
    State(service): State<Service>,
    Path(node): Path<String>,
    expiry: Result<Json<Expiry>, JsonRejection>,
) -> Answer {
    let Json(Expiry { at }) = expiry?;
    ask(&service, Request::Expire(node, at)).await
}

async fn add_peer(
    State(service): State<Service>,
    peer: Result<Json<NewStatic>, JsonRejection>,
) -> Answer {
    let Json(peer) = peer?;
    ask(&service, Request::AddStatic(peer)).await
}

async fn keys(State(service): State<Service>) -> Answer {
    ask(&service, Request::Keys).await
}

async fn create_key(
    State(service): State<Service>,
    key: Result<Json<NewKey>, JsonRejection>,
) -> Answer {
    let Json(key) = key?;
    Ok(Json(service.create_key(key).await?))
}

async fn revoke_key(State(service): State<Service>, Path(key): Path<String>) -> Answer {
    ask(&service, Request::RevokeKey(key)).await
}

#[derive(Deserialize)]
struct Verify {
    node_key: PublicKey,
}

/// For relays, which need no token: whoever asks must know the key already.
async fn verify(
    State(service): State<Service>,
    verify: Result<Json<Verify>, JsonRejection>,
) -> Answer {
    let Json(Verify { node_key }) = verify?;
    ask(&service, Request::Verify(node_key)).await
}
