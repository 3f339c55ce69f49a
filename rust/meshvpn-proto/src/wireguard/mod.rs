//! A WireGuard device: everything about it that decides.
//!
//! [`WireGuard`] is driven like every machine here: after each `handle_*` call drain
//! [`poll_transmit`](WireGuard::poll_transmit) and [`poll_event`](WireGuard::poll_event), then sleep until
//! [`poll_timeout`](WireGuard::poll_timeout).
//!
//! ```text
//!              driver                          threads that forward
//!  datagrams ──► WireGuard ──changes──► WireGuardPeers ◄──read── Outbound, Inbound
//!  timeouts  ──►   peers                 slots, sessions,            │
//!                  timers  ◄──takes───── allowed IPs    ◄──note──────┘
//! ```
//!
//! # How the halves meet
//!
//! The machine owns the table that the data plane reads, and changes it itself: when a call returns,
//! every session that it agreed on can be received with, and nothing that it answers is sent before
//! that. So the engine has nothing to install, and cannot do so in the wrong order. What remains for it:
//!
//! | it sees | it calls |
//! |---|---|
//! | a bare datagram ([`Control`](crate::forward::Control) without a slot) | [`handle_datagram`](WireGuard::handle_datagram) |
//! | [`Outbound::take_waiting`](crate::forward::Outbound::take_waiting) | [`handle_no_session`](WireGuard::handle_no_session), at once |
//! | [`Inbound::take_confirmed`](crate::forward::Inbound::take_confirmed) | [`handle_confirmed`](WireGuard::handle_confirmed), at once |
//! | some 50 ms have passed, while there is traffic | [`handle_activity`](WireGuard::handle_activity) |
//! | [`Event::Session`], [`Event::GaveUp`] | wakes the sending thread: [`Outbound::push_parked`](crate::forward::Outbound::push_parked) |
//!
//! # What it costs
//!
//! A peer with which nothing happens costs nothing: deadlines are one ordered set, with one entry for
//! each peer that has a timer running, and activity is found by reading a bit a peer. Finding a session
//! by its number and a peer by its key or address takes the same time for ten peers and for 100,000.
//!
//! # Another suite
//!
//! Between our own nodes, sessions may one day be sealed with another cipher. A handshake ends in
//! [`SessionKeys`](crate::noise::handshake::SessionKeys), whose [`Key`](crate::session::aead::Key) is all
//! that the data plane knows of a cipher: there it would say which.
//!
//! | module | holds |
//! |---|---|
//! | [`table`] | what the data plane sees |
//! | `slots`, `indices` | peers by slot, sessions by number |
//! | [`load`] | floods of handshakes |
//! | [`output`] | transmits, events, status |
//! | `configure` | keys, peers, allowed IPs |
//! | `receive` | handshake messages |
//! | [`key_log`] | keys for those who read a capture |

mod configure;
pub(crate) mod indices;
pub mod key_log;
pub mod load;
pub mod output;
mod receive;
pub(crate) mod slots;
pub mod table;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use load::Load;
pub use load::{Limits, Rate};
pub use output::{Event, PeerStatus, Role, Transmit};
pub use table::WireGuardPeers;

use crate::forward::{Activity, Confirmed};
use crate::keys::PublicKey;
use crate::noise::cookie::Checker;
use crate::noise::entropy::Entropy;
use crate::noise::identity::Identity;
use crate::peer::{Context, Peer};
use crate::route::AllowedIps;
use crate::time::Now;

/// Time from one handshake to the next where many are begun at once.
const RENEWAL_INTERVAL: Duration = Duration::from_millis(1);

/// A device with its peers.
#[derive(Debug)]
pub struct WireGuard {
    /// None before there is a private key.
    identity: Option<Own>,
    by_key: BTreeMap<PublicKey, usize>,
    /// By slot; none where a peer was removed.
    peers: Vec<Option<Entry>>,
    /// Slots of removed peers, and since when.
    vacant: VecDeque<(Instant, usize)>,
    allowed: AllowedIps<usize>,
    table: Arc<WireGuardPeers>,
    deadlines: BTreeSet<(Instant, usize)>,
    load: Load,
    entropy: Entropy,
    /// While it is down, nothing is sent and nobody is answered.
    is_up: bool,
    is_revealing: bool,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// Who we are.
#[derive(Debug)]
struct Own {
    identity: Arc<Identity>,
    checker: Checker,
}

/// A peer and its entry among the deadlines.
#[derive(Debug)]
struct Entry {
    peer: Box<Peer>,
    deadline: Option<Instant>,
}

impl WireGuard {
    /// A device without a key and without peers. `seed` must come from a cryptographic source and never be
    /// used for anything else.
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            identity: None,
            by_key: BTreeMap::new(),
            peers: Vec::new(),
            vacant: VecDeque::new(),
            allowed: AllowedIps::new(),
            table: Arc::new(WireGuardPeers::new()),
            deadlines: BTreeSet::new(),
            load: Load::new(limits),
            entropy: Entropy::new(seed),
            is_up: true,
            is_revealing: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What the data plane sees of this device.
    pub fn table(&self) -> Arc<WireGuardPeers> {
        Arc::clone(&self.table)
    }

    /// Adds randomness: keys made from now on are safe even from who knew all of the device's memory until
    /// now, a copy of a virtual machine say.
    pub fn reseed(&mut self, seed: &[u8; 32]) {
        self.entropy.mix(seed);
    }

    /// From now on, tells the ephemeral key of each handshake ([`Event::EphemeralKey`]): with those, and the
    /// static keys, recorded traffic can be read. Whoever records takes events before transmits: the keys belong
    /// before the message.
    pub fn reveal_secrets(&mut self, on: bool) {
        self.is_revealing = on;
    }

    /// Begins a handshake with each peer that has a session or is agreeing on one, as soon as the last one is
    /// [`REKEY_TIMEOUT`](crate::peer::timers::REKEY_TIMEOUT) ago: for somebody who wants keys that begin now. The
    /// sessions there are go on until then. Returns how many peers that are.
    pub fn renew_sessions(&mut self, now: Now) -> usize {
        let mut renewed = 0;
        for slot in 0..self.peers.len() {
            // One after the other: a handshake takes a fraction of a millisecond of this thread.
            let delay = RENEWAL_INTERVAL * renewed as u32;
            let renew = |peer: &mut Peer, context: &mut Context<'_>| peer.renew(context, delay);
            renewed += usize::from(self.with_peer(now, slot, renew) == Some(true));
        }
        renewed
    }

    /// A packet waits because the peer in `slot` has no session.
    pub fn handle_no_session(&mut self, now: Now, slot: usize) {
        self.with_peer(now, slot, Peer::handle_no_session);
    }

    /// A peer has shown that it has the keys of a session that it began.
    pub fn handle_confirmed(&mut self, now: Now, confirmed: Confirmed) {
        let Confirmed { slot, index } = confirmed;
        if let Some(session) = self
            .table
            .indices
            .get(index)
            .and_then(|entry| entry.session.clone())
        {
            session.confirm();
        }
        self.with_peer(now, slot, |peer, context| {
            peer.handle_confirmed(context, index)
        });
    }

    /// Takes what the data plane has noted since the last call.
    pub fn handle_activity(&mut self, now: Now) {
        self.handle_activity_with(now, |_, _| {});
    }

    /// Begins a handshake, unless one has just begun: the peer may have forgotten the session that there is.
    pub(crate) fn begin_handshake(&mut self, now: Now, slot: usize) {
        self.with_peer(now, slot, Peer::want_handshake);
    }

    /// Takes what was noted, and tells it.
    pub(crate) fn handle_activity_with(&mut self, now: Now, mut tell: impl FnMut(usize, Activity)) {
        let table = Arc::clone(&self.table);
        table.slots.take_marked(|slot| {
            let activity = table.slot(slot).noted.take();
            tell(slot, activity);
            self.with_peer(now, slot, |peer, context| {
                peer.handle_activity(context, activity);
            });
        });
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, slot)) = self.deadlines.first().copied()
            && at <= now.instant
        {
            self.deadlines.pop_first();
            if let Some(Some(entry)) = self.peers.get_mut(slot) {
                entry.deadline = None;
            }
            self.with_peer(now, slot, Peer::handle_timeout);
        }
    }

    /// When to call [`Self::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What is known of the peer in `slot`.
    pub fn status(&self, slot: usize) -> Option<PeerStatus<'_>> {
        let peer = &self.peers.get(slot)?.as_ref()?.peer;
        let state = self.table.slot(slot);
        Some(PeerStatus {
            public_key: peer.key,
            preshared_key: peer.preshared.as_ref(),
            slot,
            path: state.path.load().as_deref().copied(),
            last_handshake: peer.last_handshake,
            received_bytes: state.received_bytes.load(Ordering::Relaxed),
            sent_bytes: state.sent_bytes.load(Ordering::Relaxed),
            persistent_keepalive: peer.persistent_keepalive,
            has_session: state.session.load().is_some(),
        })
    }

    /// Calls `f` with a peer and what it needs, and keeps its deadline. Without a private key, without such a
    /// peer, or while the device is down, nothing happens.
    fn with_peer<R>(
        &mut self,
        now: Now,
        slot: usize,
        f: impl FnOnce(&mut Peer, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let entry = self.peers.get_mut(slot)?.as_mut().filter(|_| self.is_up)?;
        let mut context = Context {
            now,
            slot,
            identity: &self.identity.as_ref()?.identity,
            table: &self.table,
            entropy: &mut self.entropy,
            transmits: &mut self.transmits,
            events: &mut self.events,
            is_revealing: self.is_revealing,
        };
        let result = f(&mut entry.peer, &mut context);
        let deadline = entry.peer.poll_timeout();
        if deadline != entry.deadline {
            entry.deadline.map(|at| self.deadlines.remove(&(at, slot)));
            deadline.map(|at| self.deadlines.insert((at, slot)));
            entry.deadline = deadline;
        }
        Some(result)
    }
}
