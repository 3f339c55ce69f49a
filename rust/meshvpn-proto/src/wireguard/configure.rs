//! What people decide: keys, peers, endpoints, allowed IPs.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Entry, Own, WireGuard};
use crate::forward::{Filter, Path};
use crate::keys::{PresharedKey, PrivateKey, PublicKey};
use crate::noise::cookie::Checker;
use crate::noise::identity::Identity;
use crate::peer::{Context, Peer, keepalive_interval};
use crate::route::AllowedIps;
use crate::time::Now;

/// A removed peer's slot is given to another one no sooner than this: threads that forward may still
/// hold its number, for the length of a batch.
const QUARANTINE: Duration = Duration::from_secs(60);

impl WireGuard {
    /// Sets who we are; without a key, the device is deaf and dumb. All sessions end, since they were agreed
    /// on by somebody else. Setting the same key again does nothing. A peer with the same key is removed: nobody is their own peer.
    pub fn set_private_key(&mut self, now: Now, key: Option<PrivateKey>) {
        if self.private_key() == key.as_ref() {
            return;
        }

        for slot in 0..self.peers.len() {
            self.with_peer(now, slot, Peer::begin_anew);
        }
        self.identity = key.map(|key| {
            let identity = Arc::new(Identity::new(key));
            let checker = Checker::new(identity.public_key());
            Own { identity, checker }
        });
        let Some(own) = &self.identity else { return };
        let public = *own.identity.public_key();
        self.by_key
            .keys()
            .for_each(|peer| own.identity.learn(*peer));
        self.remove_peer(now, &public);
        for slot in 0..self.peers.len() {
            self.with_peer(now, slot, Peer::begin_keepalives);
        }
    }

    /// Says whether the device takes packets; it does to begin with. Going down ends all sessions, and while
    /// it is down nothing is sent and nobody is answered. Coming up begins keepalives where they are wanted.
    pub fn set_up(&mut self, now: Now, is_up: bool) {
        if is_up == self.is_up {
            return;
        }
        if !is_up {
            for slot in 0..self.peers.len() {
                self.with_peer(now, slot, Peer::begin_anew);
                self.table.slot(slot).discard_parked();
            }
        }
        self.is_up = is_up;
        for slot in 0..self.peers.len() {
            self.with_peer(now, slot, Peer::begin_keepalives);
        }
    }

    /// Whether it takes packets, as far as was [said](Self::set_up).
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Our private key.
    pub fn private_key(&self) -> Option<&PrivateKey> {
        let own = self.identity.as_ref()?;
        Some(own.identity.private_key())
    }

    /// What peers know us by.
    pub fn public_key(&self) -> Option<&PublicKey> {
        let own = self.identity.as_ref()?;
        Some(own.identity.public_key())
    }

    /// The slot of the peer with this key, which is added when there is none; `None` when the key is our own.
    /// A new peer has no endpoint and no allowed IPs, and takes datagrams of `datagram_max` bytes.
    pub fn add_peer(&mut self, now: Now, key: PublicKey, datagram_max: usize) -> Option<usize> {
        if self.public_key() == Some(&key) {
            return None;
        }
        if let Some(slot) = self.by_key.get(&key) {
            return Some(*slot);
        }
        if let Some(own) = &self.identity {
            own.identity.learn(key);
        }
        let reusable = |(since, _): &mut (_, _)| now.instant >= *since + QUARANTINE;
        let slot = match self.vacant.pop_front_if(reusable) {
            Some((_, slot)) => slot,
            None => self.table.slots.push(),
        };
        let state = self.table.slot(slot);
        let counters = [
            &state.sent_packets,
            &state.sent_bytes,
            &state.received_packets,
            &state.received_bytes,
        ];
        for counter in counters {
            counter.store(0, Ordering::Relaxed);
        }
        // Threads that forward may have put back what belonged to the slot's former owner.
        state.send_with(None);
        state.path.store(None);
        let _ = state.noted.take();
        state.arrivals.clear();
        state.sends_singly.store(false, Ordering::Relaxed);
        state.datagram_max.store(datagram_max, Ordering::Relaxed);
        state.roams.store(true, Ordering::Relaxed);
        state.parks.store(true, Ordering::Relaxed);
        let entry = Entry {
            peer: Box::new(Peer::new(key)),
            deadline: None,
        };
        self.peers
            .resize_with(self.peers.len().max(slot + 1), || None);
        self.peers[slot] = Some(entry);
        self.by_key.insert(key, slot);
        Some(slot)
    }

    /// Removes a peer with all that it had; false when there is none with this key.
    pub fn remove_peer(&mut self, now: Now, key: &PublicKey) -> bool {
        let Some(slot) = self.by_key.remove(key) else {
            return false;
        };
        self.with_peer(now, slot, Peer::begin_anew);
        if let Some(own) = &self.identity {
            own.identity.forget(key);
        }
        if let Some(at) = self.peers[slot].take().and_then(|entry| entry.deadline) {
            self.deadlines.remove(&(at, slot));
        }
        self.edit_allowed_ips(|allowed| allowed.remove_all(&slot));
        let state = self.table.slot(slot);
        state.parks.store(false, Ordering::Relaxed);
        state.roams.store(false, Ordering::Relaxed);
        state.path.store(None);
        state.discard_parked();
        self.vacant.push_back((now.instant, slot));
        true
    }

    /// The slot of the peer with this key.
    pub fn slot_of(&self, key: &PublicKey) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// All peers, by key.
    pub fn peers(&self) -> impl Iterator<Item = (&PublicKey, usize)> {
        self.by_key.iter().map(|(key, slot)| (key, *slot))
    }

    /// Sets what both sides mix into their handshakes; used from the next handshake on.
    pub fn set_preshared_key(&mut self, slot: usize, key: Option<PresharedKey>) {
        if let Some(Some(entry)) = self.peers.get_mut(slot) {
            entry.peer.preshared = key;
        }
    }

    /// Sets where the peer is taken to be, until it shows itself elsewhere.
    pub fn set_endpoint(&mut self, now: Now, slot: usize, path: Path) {
        if self.peers.get(slot).is_none_or(Option::is_none) {
            return;
        }
        let before = self.table.slot(slot).path.swap(Some(Arc::new(path)));
        if before.is_none() {
            self.with_peer(now, slot, Peer::begin_keepalives);
        }
    }

    /// Sets how often the peer hears from us even when there is nothing to say; the first time is now. Never,
    /// for none or zero.
    pub fn set_persistent_keepalive(&mut self, now: Now, slot: usize, interval: Option<Duration>) {
        let set = |peer: &mut Peer, context: &mut Context<'_>| {
            peer.set_persistent_keepalive(context, interval);
        };
        if self.with_peer(now, slot, set).is_none()
            && let Some(Some(entry)) = self.peers.get_mut(slot)
        {
            entry.peer.persistent_keepalive = interval.and_then(keepalive_interval);
        }
    }

    /// Sets what judges packets that have a peer; with none, all may pass. It takes effect with the next batch.
    pub fn set_filter(&self, filter: Option<Box<dyn Filter>>) {
        self.table.filter.store(filter.map(Arc::new));
    }

    /// Who may send from where, and gets what goes there.
    pub fn allowed_ips(&self) -> &AllowedIps<usize> {
        &self.allowed
    }

    /// Changes allowed IPs, whose owners are slots. The data plane sees all of the changes at once.
    pub fn edit_allowed_ips<R>(&mut self, edit: impl FnOnce(&mut AllowedIps<usize>) -> R) -> R {
        let result = edit(&mut self.allowed);
        self.table.allowed.store(Arc::new(self.allowed.snapshot()));
        result
    }
}
