//! What a peer needs of its device, and what it wants done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::forward::{Path, Slot};
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::noise::entropy::Entropy;
use crate::noise::identity::Identity;
use crate::session::transport::SealedSession;
use crate::time::Now;
use crate::wireguard::{Event, Transmit, WireGuardPeers};

/// The device around a peer, for the length of a call.
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    pub(crate) slot: usize,
    pub(crate) identity: &'a Arc<Identity>,
    pub(crate) table: &'a WireGuardPeers,
    pub(crate) entropy: &'a mut Entropy,
    pub(crate) transmits: &'a mut VecDeque<Transmit>,
    pub(crate) events: &'a mut VecDeque<Event>,
    pub(crate) is_revealing: bool,
}

impl Context<'_> {
    pub(super) fn state(&self) -> &Slot {
        self.table.slot(self.slot)
    }

    pub(super) fn path(&self) -> Option<Path> {
        self.state().path.load().as_deref().copied()
    }

    /// Sends a datagram where the peer is; nowhere, when nobody knows where that is.
    pub(super) fn send(&mut self, datagram: &[u8]) {
        if let Some(path) = self.path() {
            self.send_to(path, datagram);
        }
    }

    pub(super) fn send_to(&mut self, path: Path, datagram: &[u8]) {
        self.state()
            .sent_bytes
            .fetch_add(datagram.len() as u64, Ordering::Relaxed);
        self.transmits.push_back(Transmit {
            path,
            datagram: datagram.to_vec(),
            slot: Some(self.slot),
        });
    }

    pub(super) fn count_received(&self, datagram: &[u8]) {
        self.state()
            .received_bytes
            .fetch_add(datagram.len() as u64, Ordering::Relaxed);
    }

    /// An authentic handshake message came from `path`.
    pub(super) fn follow(&mut self, path: Path) {
        if self.state().follow(path) {
            let slot = self.slot;
            self.events.push_back(Event::Moved { slot, path });
        }
    }

    /// Nothing comes back: the local address that was right before may not be any more.
    pub(super) fn forget_source(&self) {
        if let Some(path) = self.path().filter(|path| path.source.is_some()) {
            let source = None;
            self.state()
                .path
                .store(Some(Arc::new(Path { source, ..path })));
        }
    }

    /// A new ephemeral key, which is told to whoever asked for such things.
    pub(super) fn ephemeral(
        &mut self,
        peer: &PublicKey,
        preshared: Option<&PresharedKey>,
    ) -> PrivateKey {
        let key = PrivateKey::new(*self.entropy.draw());
        if self.is_revealing {
            self.events.push_back(Event::EphemeralKey {
                slot: self.slot,
                peer: *peer,
                key: key.clone(),
                preshared_key: preshared.cloned(),
            });
        }
        key
    }

    pub(super) fn reserve_index(&mut self) -> u32 {
        let Self { table, entropy, .. } = self;
        table.indices.reserve(self.slot, || entropy.number())
    }

    pub(super) fn forget_index(&self, index: u32) {
        self.table.indices.remove(index);
    }

    /// Packets go out with `session` from now on; they wait when there is none.
    pub(super) fn send_with(&self, session: Option<&Arc<SealedSession>>) {
        self.state().send_with(session);
    }
}
