//! A relay, and nodes that keep what they receive.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use meshvpn_engine::dataplane::delivery::Sink;
use meshvpn_engine::relay::{
    RelayAddress, RelayEvent, RelayEventKind, RelayPort, RelaySettings, Relays,
};
use meshvpn_proto::forward::{Arrival, Path};
use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::server::Limits;
use meshvpn_server::listen::Certificate;
use meshvpn_server::relay::running::{RelayConfig, RunningRelay};
use tokio::sync::mpsc;

/// How long anything may take, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The place of the only connection.
pub(crate) const PLACE: usize = 2;

pub(crate) fn relay(listen: &str, certificate: Option<&Certificate>) -> RunningRelay {
    RunningRelay::start(RelayConfig {
        listen: listen.parse().unwrap(),
        key: PrivateKey::new([200; 32]),
        certificate: certificate.cloned(),
        limits: Limits::default(),
        verifier: None,
        on_thread: Box::new(|| Ok(())),
    })
    .unwrap()
}

pub(crate) fn certificate() -> Certificate {
    Certificate::self_signed("127.0.0.1").unwrap()
}

/// The address of a relay on this machine.
pub(crate) fn address(relay: &RunningRelay, certificate: Option<&Certificate>) -> RelayAddress {
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{}", relay.local_address());
    let hex = |bytes: [u8; 32]| bytes.map(|byte| format!("{byte:02x}")).concat();
    let pinned = certificate.map(|certificate| hex(certificate.sha256()));
    RelayAddress::parse(&url, pinned.as_deref()).unwrap()
}

pub(crate) fn key(byte: u8) -> PublicKey {
    PrivateKey::new([byte; 32]).public_key()
}

/// What came: by which path, and what.
pub(crate) type Received = (Path, Vec<u8>);

struct Keep(Sender<Received>);

impl Sink for Keep {
    fn receive(&mut self, arrivals: &[Arrival<'_>]) -> io::Result<()> {
        for arrival in arrivals {
            let _ = self.0.send((arrival.path(), arrival.bytes.to_vec()));
        }
        Ok(())
    }
}

/// A node with one connection.
pub(crate) struct Node {
    pub(crate) relays: Relays,
    pub(crate) port: Arc<RelayPort>,
    pub(crate) received: Receiver<Received>,
    events: Mutex<mpsc::Receiver<RelayEvent>>,
}

impl Node {
    pub(crate) fn connect(byte: u8, address: RelayAddress) -> Self {
        Self::connect_with(byte, address, RelaySettings::default())
    }

    pub(crate) fn connect_with(byte: u8, address: RelayAddress, settings: RelaySettings) -> Self {
        let (sender, received) = channel();
        let key = PrivateKey::new([byte; 32]);
        let sink = Box::new(Keep(sender));
        let (relays, events) = Relays::start("test", key, settings, sink).unwrap();
        let port = relays.connect(PLACE, address);
        Self {
            relays,
            port,
            received,
            events: Mutex::new(events),
        }
    }

    /// The next thing that happens to the connection.
    pub(crate) fn next_event(&self) -> RelayEventKind {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(event) = events.try_recv() {
                assert_eq!(event.place, PLACE);
                return event.kind;
            }
            assert!(Instant::now() < deadline, "nothing happens");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn wait_connected(&self) {
        loop {
            if matches!(self.next_event(), RelayEventKind::Connected { .. }) {
                return;
            }
        }
    }

    /// The way to the node with the key of this byte.
    pub(crate) fn path_to(&self, byte: u8) -> Path {
        Path::relayed(PLACE, self.relays.peers().assign(key(byte)))
    }

    pub(crate) fn receive(&self) -> Received {
        self.received.recv_timeout(PATIENCE).expect("a packet")
    }
}
