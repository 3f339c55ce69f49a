//! Connections to relays, for peers that cannot be reached directly.
//!
//! A device that uses relays has one thread for all of them. Each connection has a [`RelayPort`], which stands in
//! a place of the data plane's sockets: the sending thread hands it whole runs of sealed packets, and what comes
//! is opened on the relays' thread and written to the TUN from there.
//!
//! ```text
//! tx ──► RelayPort (bounded, the oldest make room) ──► connection ──► TLS ──► relay
//! TUN ◄── Sink (opens, joins, writes) ◄────────────────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `address` | where a relay is, and how to know it |
//! | `port` | what the data plane sees of a connection |
//! | `dial` | TCP, a proxy, TLS |
//! | `upgrade` | the little HTTP there is |
//! | `connection` | one connection, from log-in to its end |
//! | `keeper` | connecting again and again |

mod address;
mod connection;
mod dial;
mod keeper;
mod port;
mod tls;
mod upgrade;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::frame::GoneReason;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tracing::warn;

pub use self::address::{Proxy, RelayAddress, UrlError};
pub use self::connection::ConnectionError;
pub use self::dial::DialError;
use self::keeper::Keeper;
pub use self::port::{RelayPeers, RelayPort};
use crate::dataplane::delivery::Sink;

/// Events that may wait; what does not fit is not told, and each of them is told again in another way.
const EVENTS: usize = 256;

/// How connections to relays are made.
#[derive(Debug, Clone, Default)]
pub struct RelaySettings {
    /// A firewall mark for everything that is sent; it needs `CAP_NET_ADMIN`.
    pub mark: Option<u32>,
    /// An HTTP proxy to go through.
    pub proxy: Option<Proxy>,
}

/// Something that happened to a connection.
#[derive(Debug)]
pub struct RelayEvent {
    /// The place of the connection.
    pub place: usize,
    /// What.
    pub kind: RelayEventKind,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum RelayEventKind {
    /// Packets pass.
    Connected {
        /// The relay's key.
        relay: PublicKey,
    },
    /// They do not, and it is tried again after a while.
    Disconnected {
        /// Why.
        error: ConnectionError,
        /// How long.
        retry_in: Duration,
    },
    /// A peer cannot be reached through this relay, or no longer.
    PeerGone {
        /// By its [number](RelayPeers).
        number: u64,
        /// Why.
        reason: GoneReason,
    },
    /// The relay has answered: a round trip takes so long.
    RoundTrip(Duration),
}

/// All connections of a device, and their thread. Ends when it is dropped.
#[derive(Debug)]
pub struct Relays {
    peers: Arc<RelayPeers>,
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
    ports: Mutex<BTreeMap<usize, Arc<RelayPort>>>,
}

enum Command {
    Connect(usize, RelayAddress, Arc<RelayPort>),
    Disconnect(usize),
    Home(Option<usize>),
    Measure(RelayAddress, oneshot::Sender<Result<Duration, DialError>>),
}

impl Relays {
    /// Starts the thread, in the calling thread's namespace, for a device called `device` whose node is known to
    /// relays by `key`. What comes is left with `sink`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        device: &str,
        key: PrivateKey,
        settings: RelaySettings,
        sink: Box<dyn Sink>,
    ) -> io::Result<(Self, mpsc::Receiver<RelayEvent>)> {
        let (commands, asked) = mpsc::unbounded_channel();
        let (events, receiver) = mpsc::channel(EVENTS);
        let peers = Arc::<RelayPeers>::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let body = {
            let peers = Arc::clone(&peers);
            move || {
                let shared = Shared {
                    key,
                    settings,
                    peers,
                    events,
                    sink: RefCell::new(sink),
                };
                let tasks = LocalSet::new();
                tasks.block_on(&runtime, serve(Rc::new(shared), asked));
            }
        };
        let thread = std::thread::Builder::new()
            .name(format!("{device}-relay"))
            .spawn(body)?;
        let relays = Self {
            peers,
            commands: Some(commands),
            thread: Some(thread),
            ports: Mutex::default(),
        };
        Ok((relays, receiver))
    }

    /// Connects to a relay and stays connected; the port is for `place` among the data plane's sockets. A
    /// connection that had that place is closed.
    pub fn connect(&self, place: usize, address: RelayAddress) -> Arc<RelayPort> {
        let port = Arc::new(RelayPort::new(Arc::clone(&self.peers)));
        self.ports().insert(place, Arc::clone(&port));
        self.ask(Command::Connect(place, address, Arc::clone(&port)));
        port
    }

    /// Closes the connection of a place.
    pub fn disconnect(&self, place: usize) {
        self.ports().remove(&place);
        self.ask(Command::Disconnect(place));
    }

    /// Says which relay is the node's home, to that relay and to the one that was.
    pub fn set_home(&self, place: Option<usize>) {
        self.ask(Command::Home(place));
    }

    /// Measures how long a round trip to a relay takes, over a connection of its own.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn measure(&self, address: RelayAddress) -> Result<Duration, DialError> {
        let (answer, measured) = oneshot::channel();
        self.ask(Command::Measure(address, answer));
        measured.await.unwrap_or(Err(DialError::Stopped))
    }

    /// Which peers have which numbers, on all relays.
    pub fn peers(&self) -> &RelayPeers {
        &self.peers
    }

    /// The port of a place.
    pub fn port(&self, place: usize) -> Option<Arc<RelayPort>> {
        self.ports().get(&place).cloned()
    }

    fn ports(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Arc<RelayPort>>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // Fails only when the thread has panicked, which it has said on stderr.
            let _ = commands.send(command);
        }
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on stderr; there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// What all connections of a device share, on their thread.
struct Shared {
    key: PrivateKey,
    settings: RelaySettings,
    peers: Arc<RelayPeers>,
    events: mpsc::Sender<RelayEvent>,
    sink: RefCell<Box<dyn Sink>>,
}

impl Shared {
    fn tell(&self, place: usize, kind: RelayEventKind) {
        // Nobody listens any more, or too slowly.
        let _ = self.events.try_send(RelayEvent { place, kind });
    }
}

async fn serve(shared: Rc<Shared>, mut asked: mpsc::UnboundedReceiver<Command>) {
    let mut keepers: BTreeMap<usize, (Rc<Keeper>, AbortHandle)> = BTreeMap::new();
    let mut home = None;
    let close = |(_, task): (Rc<Keeper>, AbortHandle)| task.abort();
    while let Some(command) = asked.recv().await {
        match command {
            Command::Connect(place, address, port) => {
                let keeper = Keeper::new(Rc::clone(&shared), place, address, port);
                let keeper = match keeper {
                    Ok(keeper) => Rc::new(keeper),
                    Err(error) => {
                        warn!(place, %error, "no connection to a relay can be made");
                        continue;
                    }
                };
                keeper.set_home(home == Some(place));
                let task = spawn_local(Rc::clone(&keeper).keep()).abort_handle();
                keepers.insert(place, (keeper, task)).map(close);
            }
            Command::Disconnect(place) => drop(keepers.remove(&place).map(close)),
            Command::Home(place) => {
                home = place;
                for (place, (keeper, _)) in &keepers {
                    keeper.set_home(home == Some(*place));
                }
            }
            Command::Measure(address, answer) => {
                let shared = Rc::clone(&shared);
                spawn_local(async move {
                    // Who asked may have gone.
                    let _ = answer.send(upgrade::measure(&address, &shared.settings).await);
                });
            }
        }
    }
}
