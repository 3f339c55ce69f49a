//! What the data plane sees of a connection to a relay: a place to leave packets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use meshvpn_proto::forward::Path;
use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::relay::numbers::PeerNumbers;
use meshvpn_proto::relay::queue::{DEFAULT_BYTES, FrameQueue};
use tokio::sync::Notify;

use crate::udp::SendOutcome;

/// Which number stands for which peer, on all relays of a device.
#[derive(Debug, Default)]
pub struct RelayPeers(RwLock<PeerNumbers>);

impl RelayPeers {
    /// The number of `peer`, a new one if it has none. Only from peers that have one, something is accepted.
    pub fn assign(&self, peer: PublicKey) -> u64 {
        let mut numbers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        numbers.assign(peer)
    }

    /// The number of `peer`, if it has one.
    pub fn number(&self, peer: &PublicKey) -> Option<u64> {
        let numbers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        numbers.number(peer)
    }

    /// Whose number it is.
    pub fn key(&self, number: u64) -> Option<PublicKey> {
        let numbers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        numbers.key(number)
    }
}

/// The way into a connection. Any thread may send, and none waits: what the connection does not take in time
/// makes room for what is newer.
#[derive(Debug)]
pub struct RelayPort {
    peers: Arc<RelayPeers>,
    queue: Mutex<FrameQueue>,
    /// The connection waits to be told that there is something.
    is_idle: AtomicBool,
    wake: Notify,
    is_connected: AtomicBool,
}

impl RelayPort {
    pub(super) fn new(peers: Arc<RelayPeers>) -> Self {
        Self {
            peers,
            queue: Mutex::new(FrameQueue::new(DEFAULT_BYTES)),
            is_idle: AtomicBool::new(false),
            wake: Notify::new(),
            is_connected: AtomicBool::new(false),
        }
    }

    /// Sends `contents`, cut into packets of `segment_size` bytes if given, to the peer that `path` names. Before
    /// there is a connection they wait for it.
    pub fn send(&self, path: &Path, contents: &[u8], segment_size: Option<usize>) -> SendOutcome {
        let packets = segment_size.map_or(1, |size| contents.len().div_ceil(size.max(1)) as u64);
        let peer = path
            .relayed_number()
            .and_then(|number| self.peers.key(number));
        let Some(peer) = peer else {
            return SendOutcome::failed(packets);
        };
        let mut queue = self.queue();
        queue.push_packets(&peer, contents, segment_size);
        let congested = queue.take_dropped();
        drop(queue);
        if self.is_idle.swap(false, Ordering::AcqRel) {
            self.wake.notify_one();
        }
        SendOutcome {
            sent: packets,
            congested,
            ..SendOutcome::default()
        }
    }

    /// Packets pass.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    pub(super) fn set_connected(&self, is_connected: bool) {
        self.is_connected.store(is_connected, Ordering::Relaxed);
        if !is_connected {
            // Whoever waits for an answer has given up when there is a connection again.
            self.queue().discard();
        }
    }

    /// Appends everything that waits to `out`; false when there is nothing.
    pub(super) fn take_into(&self, out: &mut Vec<u8>) -> bool {
        let mut queue = self.queue();
        if queue.is_empty() {
            // Set while nobody can add anything: who does so afterwards sees it.
            self.is_idle.store(true, Ordering::Release);
            return false;
        }
        queue.take_into(out);
        true
    }

    /// Waits until there is something, after [`Self::take_into`] has said that there is not.
    pub(super) async fn wait(&self) {
        self.wake.notified().await;
    }

    fn queue(&self) -> MutexGuard<'_, FrameQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
