//! Nodes over real WebSockets, and helpers for that.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use meshvpn_proto::control::client::{Client, Config as ClientConfig, Event, Status};
use meshvpn_proto::control::messages::{HostInfo, Refusal, Register};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::identity::Identity;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::coordinator::config::Config;
use crate::coordinator::request::{NewKey, Request, Response};
use crate::coordinator::service::{Service, Token};
use crate::coordinator::sqlite::SqliteStore;
use crate::coordinator::store::Store;
use crate::listen::Front;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// For anything that must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const TOKEN: &str = "a token for tests";

/// A coordinator that serves on an address of this machine.
pub(super) struct Server {
    pub(super) service: Service,
    pub(super) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) async fn serve(store: impl Store) -> Server {
    let token = Some(Token::new(TOKEN.to_owned()));
    let service = Service::start(Config::default(), store, token)
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(Front::new(None, service.router()).serve(listener));
    Server {
        service,
        address,
        task,
    }
}

pub(super) async fn auth_key(service: &Service, new: NewKey) -> String {
    match service.create_key(new).await {
        Ok(Response::NewKey(key)) => key.key.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A node that lives as long as its connection.
pub(super) struct Node {
    pub(super) client: Client,
    pub(super) refusals: Vec<Refusal>,
    socket: Option<Socket>,
    address: SocketAddr,
}

impl Node {
    pub(super) fn new(server: &Server, seed: u8, auth_key: Option<&str>) -> Self {
        let register = Register {
            auth_key: auth_key.map(|key| key.parse().unwrap()),
            name: format!("n{seed}"),
            node_key: PublicKey::new([seed; 32]),
            host: HostInfo::default(),
            routes: Vec::new(),
            candidates: Vec::new(),
            home_relay: None,
            resume: None,
        };
        let config = ClientConfig {
            machine: Arc::new(Identity::open(PrivateKey::new([seed; 32]))),
            coordinator: server.service.public_key(),
            register,
            map_key: None,
            cached: None,
        };
        Self {
            client: Client::new(Instant::now(), config, [seed; 32]),
            refusals: Vec::new(),
            socket: None,
            address: server.address,
        }
    }

    /// Drives the node until it is as it should be.
    pub(super) async fn until(&mut self, is_reached: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.work_off().await;
            if is_reached(self) {
                return;
            }
            assert!(Instant::now() < deadline, "{:?}", self.client.status());
            let (at, _) = self.client.poll_timeout();
            let Some(socket) = &mut self.socket else {
                tokio::time::sleep_until(at.into()).await;
                self.client.handle_timeout(Instant::now());
                continue;
            };
            match tokio::time::timeout_at(at.into(), socket.next()).await {
                Ok(Some(Ok(Message::Binary(bytes)))) => {
                    self.client.handle_message(Instant::now(), &bytes);
                }
                Ok(Some(Ok(_))) => {}
                Ok(_) => {
                    self.socket = None;
                    self.client.handle_disconnected(Instant::now(), "closed");
                }
                Err(_) => self.client.handle_timeout(Instant::now()),
            }
        }
    }

    pub(super) async fn up(&mut self) {
        self.until(|node| node.client.status() == Status::Up && node.client.map().version > 0)
            .await;
    }

    async fn work_off(&mut self) {
        loop {
            while let Some(frame) = self.client.poll_transmit() {
                if let Some(socket) = &mut self.socket {
                    let _ = socket.send(Message::Binary(frame.into())).await;
                }
            }
            match self.client.poll_event() {
                None => return,
                Some(Event::Open) => {
                    let opened = connect_async(format!("ws://{}/control", self.address)).await;
                    match opened {
                        Ok((socket, _)) => {
                            self.socket = Some(socket);
                            self.client.handle_connected(Instant::now());
                        }
                        Err(error) => {
                            let reason = error.to_string();
                            self.client.handle_disconnected(Instant::now(), &reason);
                        }
                    }
                }
                Some(Event::Close) => self.socket = None,
                Some(Event::Refused(refusal)) => self.refusals.push(refusal),
                Some(_) => {}
            }
        }
    }
}

/// A directory that is gone afterwards.
pub(super) struct Scratch(pub(super) std::path::PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("meshvpn-coordinator-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn database(&self) -> std::path::PathBuf {
        self.0.join("state.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn sqlite(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}

#[tokio::test]
async fn nodes_join_over_websockets_and_a_restart_forgets_nothing() {
    use std::os::unix::fs::PermissionsExt as _;

    let scratch = Scratch::new("restart");
    let server = serve(sqlite(&scratch.database()).await).await;
    let key = auth_key(
        &server.service,
        NewKey {
            reusable: true,
            ..NewKey::default()
        },
    )
    .await;
    let mut a = Node::new(&server, 1, Some(&key));
    a.up().await;
    let mut b = Node::new(&server, 2, Some(&key));
    b.up().await;
    a.until(|a| a.client.map().peers.len() == 1).await;
    let (public_key, map) = (server.service.public_key(), b.client.map().clone());
    drop(server);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scratch.0), 0o700);
    for entry in std::fs::read_dir(&scratch.0).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let server = serve(sqlite(&scratch.database()).await).await;
    assert_eq!(server.service.public_key(), public_key);
    let mut b = Node::new(&server, 2, None);
    b.up().await;
    assert_eq!(b.client.map().version, map.version);
    assert_eq!(b.client.map().node, map.node);
    assert!(matches!(
        server.service.ask(Request::Nodes).await,
        Ok(Response::Nodes(nodes)) if nodes.len() == 2
    ));
}

#[tokio::test]
async fn a_later_version_of_the_database_is_refused() {
    let scratch = Scratch::new("later");
    let path = scratch.database();
    drop(sqlite(&path).await);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    use sqlx::Connection as _;
    let mut database = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    let pragma = sqlx::raw_sql("PRAGMA user_version = 99");
    pragma.execute(&mut database).await.unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err().to_string();
    assert!(
        error.contains("later version of meshvpn (format 99"),
        "{error}"
    );
    let path = scratch.0.join("other.db");
    std::fs::write(
        &path,
        "no database at all, but long enough to be looked at as one",
    )
    .unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err().to_string();
    assert!(
        error.contains("cannot open") && error.contains("not a database"),
        "{error}"
    );
}
