//! The REST API, held to its description.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::Extension;
use axum::http::{Method, Request as HttpRequest, StatusCode};
use axum::response::Response;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use super::nodes::{Node, TOKEN, auth_key, serve};
use crate::coordinator::config::Config;
use crate::coordinator::request::NewKey;
use crate::coordinator::service::api::OPENAPI;
use crate::coordinator::service::{Service, Token};
use crate::coordinator::store::MemoryStore;
use crate::http::Peer;

/// One request, from this machine unless it says otherwise.
struct Call<'a> {
    method: &'a str,
    path: &'a str,
    body: Option<Value>,
    token: Option<&'a str>,
    from: &'a str,
    is_encrypted: bool,
}

impl<'a> Call<'a> {
    fn new(method: &'a str, path: &'a str, body: Option<Value>) -> Self {
        Self {
            method,
            path,
            body,
            token: Some(TOKEN),
            from: "127.0.0.1:1",
            is_encrypted: false,
        }
    }

    async fn send(self, service: &Service) -> (StatusCode, Value) {
        let peer = Peer {
            address: self.from.parse::<SocketAddr>().unwrap(),
            is_encrypted: self.is_encrypted,
        };
        let mut request = HttpRequest::builder()
            .method(Method::from_bytes(self.method.as_bytes()).unwrap())
            .uri(self.path);
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match self.body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let router = service.router().layer(Extension(peer));
        let router = TowerToHyperService::new(router);
        let response: Response = router.call(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (status, value)
    }
}

async fn service() -> Service {
    let token = Some(Token::new(TOKEN.to_owned()));
    Service::start(Config::default(), MemoryStore::default(), token)
        .await
        .unwrap()
}

fn schema<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(name) => document.pointer(&name[1..]).expect(name),
        None => schema,
    }
}

/// What is wrong with a value, by its description.
fn check(document: &Value, described: &Value, value: &Value, at: &str) {
    let described = schema(document, described);
    if let Some(choices) = described["anyOf"].as_array() {
        let choice = choices
            .iter()
            .find(|choice| (choice["type"] == "null") == value.is_null());
        return check(document, choice.expect("a choice"), value, at);
    }
    let is_right = match described["type"].as_str().expect(at) {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    assert!(is_right, "{at}: {value} is no {}", described["type"]);
    if let Some(choices) = described["enum"].as_array() {
        assert!(choices.contains(value), "{at}: {value}");
    }
    for item in value.as_array().into_iter().flatten() {
        check(document, &described["items"], item, at);
    }
    let Some(properties) = described["properties"].as_object() else {
        return;
    };
    for (name, value) in value.as_object().into_iter().flatten() {
        let described = properties
            .get(name)
            .unwrap_or_else(|| panic!("{at}: {name} is not described"));
        check(document, described, value, name);
    }
    for name in described["required"].as_array().into_iter().flatten() {
        assert!(
            !value[name.as_str().unwrap()].is_null() || is_nullable(properties, name),
            "{at}: {name}"
        );
    }
}

fn is_nullable(properties: &serde_json::Map<String, Value>, name: &Value) -> bool {
    properties[name.as_str().unwrap()]["anyOf"].is_array()
}

#[tokio::test]
async fn answers_are_as_the_description_says_and_all_of_it_is_there() {
    let server = serve(MemoryStore::default()).await;
    let service = &server.service;
    let key = auth_key(service, NewKey::default()).await;
    let mut node = Node::new(&server, 1, Some(&key));
    node.up().await;
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let peer_key = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let id = key.split('_').nth(1).unwrap();
    let revoke = format!("/api/v1/keys/{id}");
    let calls = [
        ("GET", "/api/v1/openapi.json", "/api/v1/openapi.json", None),
        ("GET", "/api/v1/mesh", "/api/v1/mesh", None),
        ("GET", "/api/v1/nodes", "/api/v1/nodes", None),
        ("GET", "/api/v1/nodes/n1", "/api/v1/nodes/{node}", None),
        (
            "PATCH",
            "/api/v1/nodes/1",
            "/api/v1/nodes/{node}",
            Some(json!({"name": "laptop", "tags": ["a"]})),
        ),
        (
            "POST",
            "/api/v1/nodes/laptop/approve",
            "/api/v1/nodes/{node}/approve",
            None,
        ),
        (
            "POST",
            "/api/v1/nodes/laptop/routes",
            "/api/v1/nodes/{node}/routes",
            Some(json!({"routes": []})),
        ),
        (
            "POST",
            "/api/v1/nodes/laptop/expire",
            "/api/v1/nodes/{node}/expire",
            Some(json!({"at": null})),
        ),
        (
            "POST",
            "/api/v1/peers",
            "/api/v1/peers",
            Some(json!({"name": "phone", "key": peer_key})),
        ),
        ("GET", "/api/v1/keys", "/api/v1/keys", None),
        (
            "POST",
            "/api/v1/keys",
            "/api/v1/keys",
            Some(json!({"reusable": true, "expires_in": 60})),
        ),
        ("DELETE", revoke.as_str(), "/api/v1/keys/{key}", None),
        (
            "POST",
            "/relay/verify",
            "/relay/verify",
            Some(json!({"node_key": peer_key})),
        ),
        (
            "DELETE",
            "/api/v1/nodes/laptop",
            "/api/v1/nodes/{node}",
            None,
        ),
    ];
    let mut tried = BTreeSet::new();
    for (method, path, template, body) in calls {
        let operation = &document["paths"][template][method.to_lowercase()];
        if let Some(body) = &body {
            let described = &operation["requestBody"]["content"]["application/json"]["schema"];
            check(&document, described, body, path);
        }
        let (status, value) = Call::new(method, path, body).send(service).await;
        assert_eq!(status, StatusCode::OK, "{method} {path}: {value}");
        let described = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        check(&document, described, &value, path);
        tried.insert((template.to_owned(), method.to_lowercase()));
    }
    let described: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            let methods = methods.filter(|method| *method != "parameters");
            methods.map(move |method| (path.clone(), method.clone()))
        })
        .collect();
    assert_eq!(tried, described);
}

#[tokio::test]
async fn nothing_is_told_without_the_token_or_where_others_listen() {
    let service = service().await;
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let is_open = |operation: &Value| operation["security"] == json!([]);
        let operations = methods.as_object().unwrap().iter();
        for (method, _) in operations.filter(|(name, it)| *name != "parameters" && !is_open(it)) {
            let method = method.to_uppercase();
            let path = path.replace(['{', '}'], "");
            for token in [
                None,
                Some(""),
                Some("a token for testz"),
                Some("a token for tests "),
            ] {
                let mut call = Call::new(&method, &path, None);
                call.token = token;
                let (status, value) = call.send(&service).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                assert!(
                    value["error"]
                        .as_str()
                        .unwrap()
                        .contains("Authorization: Bearer")
                );
            }
            let mut call = Call::new(&method, &path, None);
            call.from = "192.0.2.1:1";
            let (status, value) = call.send(&service).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
            assert!(value["error"].as_str().unwrap().contains("TLS"));
        }
    }
    let mut call = Call::new("GET", "/api/v1/mesh", None);
    (call.from, call.is_encrypted) = ("192.0.2.1:1", true);
    assert_eq!(call.send(&service).await.0, StatusCode::OK);
    let mut call = Call::new("GET", "/api/v1/mesh", None);
    call.from = "[::ffff:127.0.0.1]:1";
    assert_eq!(call.send(&service).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_cannot_be_taken_says_why() {
    let service = service().await;
    for (method, path, body, status, expected) in [
        (
            "GET",
            "/api/v1/nodes/nobody",
            None,
            404,
            "no node is called \"nobody\"",
        ),
        ("GET", "/api/v1/nothing", None, 404, "openapi.json"),
        (
            "DELETE",
            "/api/v1/keys/none",
            None,
            404,
            "no auth key is called \"none\"",
        ),
        ("DELETE", "/api/v1/mesh", None, 405, "not with this method"),
        (
            "POST",
            "/api/v1/keys",
            Some(json!({"resuable": true})),
            422,
            "resuable",
        ),
        (
            "POST",
            "/api/v1/keys",
            Some(json!({"tags": ["tag:a"]})),
            422,
            "\"tag:a\" is not a tag",
        ),
        (
            "POST",
            "/api/v1/keys",
            Some(json!({"expires_in": 0})),
            422,
            "0 seconds",
        ),
        (
            "POST",
            "/api/v1/peers",
            Some(json!({"name": "A b", "key": "x"})),
            422,
            "public key",
        ),
        ("POST", "/relay/verify", Some(json!({})), 422, "node_key"),
        ("POST", "/api/v1/keys", None, 415, "application/json"),
    ] {
        let (code, value) = Call::new(method, path, body).send(&service).await;
        let text = value["error"].as_str().unwrap_or_default();
        assert_eq!(code.as_u16(), status, "{method} {path}: {value}");
        assert!(text.contains(expected), "{method} {path}: {text}");
    }
    let huge = json!({"description": "x".repeat(100_000)});
    let (status, _) = Call::new("POST", "/api/v1/keys", Some(huge))
        .send(&service)
        .await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_service_without_a_token_has_no_api() {
    let service = Service::start(Config::default(), MemoryStore::default(), None)
        .await
        .unwrap();
    let mut call = Call::new("GET", "/api/v1/mesh", None);
    call.token = Some("");
    assert_eq!(call.send(&service).await.0, StatusCode::UNAUTHORIZED);
}
