//! What the data plane sees of a WireGuard device: slots, sessions by number, and allowed IPs.
//!
//! The [`WireGuard`](super::WireGuard) machine changes all of it; the threads that forward read it, and
//! never wait:
//!
//! * a slot is found by arithmetic, and stays where it is (`slots`);
//! * a session is found in one step by the number in a data message (`indices`);
//! * a peer is found by an address in a table of prefixes that is swapped whole
//!   ([`PrefixTable`]).

use core::net::{IpAddr, SocketAddr};
use std::cell::Cell;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::indices::Indices;
use super::slots::Slots;
use crate::forward::filter::{Direction, Question};
use crate::forward::{Claim, DropReason, Filter, IpView, Peers, SharedPeers, Slot};
use crate::noise::messages::{
    COOKIE_REPLY, COOKIE_REPLY_LEN, INITIATION, INITIATION_LEN, RESPONSE, RESPONSE_LEN,
};
use crate::route::PrefixTable;
use crate::session::transport::DataMessage;

/// The peers of a WireGuard device.
#[derive(Debug)]
pub struct WireGuardPeers {
    pub(crate) slots: Slots,
    pub(crate) indices: Indices,
    pub(crate) allowed: ArcSwap<PrefixTable<usize>>,
    /// What judges packets that have a peer; with none, all may pass.
    pub(crate) filter: ArcSwapOption<Box<dyn Filter>>,
}

impl WireGuardPeers {
    pub(super) fn new() -> Self {
        Self {
            slots: Slots::new(),
            indices: Indices::new(),
            allowed: ArcSwap::from_pointee(PrefixTable::new()),
            filter: ArcSwapOption::empty(),
        }
    }

    /// The slot of this number.
    pub fn slot(&self, slot: usize) -> &Slot {
        self.slots.get(slot)
    }

    /// Sessions and handshakes that have a number.
    pub fn indices_in_use(&self) -> usize {
        self.indices.len()
    }
}

/// [`WireGuardPeers`] for the length of a batch: one and the same table of allowed IPs for all its
/// packets, asked once for a run of packets from one source, and one and the same filter.
pub struct Batch<'a> {
    peers: &'a WireGuardPeers,
    allowed: Guard<Arc<PrefixTable<usize>>>,
    filter: Guard<Option<Arc<Box<dyn Filter>>>>,
    /// The last packet admitted: from which slot, with which source.
    admitted: Cell<Option<(usize, IpAddr)>>,
}

impl SharedPeers for WireGuardPeers {
    type Batch<'a> = Batch<'a>;

    fn batch(&self) -> Batch<'_> {
        Batch {
            peers: self,
            allowed: self.allowed.load(),
            filter: self.filter.load(),
            admitted: Cell::new(None),
        }
    }

    fn has_activity(&self) -> bool {
        self.slots.has_marks()
    }
}

impl Peers for Batch<'_> {
    fn route(&self, view: &IpView, packet: &[u8]) -> Result<usize, DropReason> {
        let slot = self.allowed.lookup(view.destination);
        let slot = *slot.ok_or(DropReason::NoRoute)?;
        self.judge(Direction::Out, slot, view, packet)?;
        Ok(slot)
    }

    fn slot(&self, slot: usize) -> &Slot {
        self.peers.slots.get(slot)
    }

    fn claim(&self, datagram: &[u8], _source: SocketAddr) -> Result<Claim, DropReason> {
        if let Some(message) = DataMessage::parse(datagram) {
            let entry = self.peers.indices.get(message.receiver);
            let entry = entry.ok_or(DropReason::UnknownSession)?;
            let session = entry.session.clone().ok_or(DropReason::UnknownSession)?;
            let slot = entry.slot;
            return Ok(Claim::Sealed { slot, session });
        }
        match (datagram.first(), datagram.len()) {
            (Some(&INITIATION), INITIATION_LEN)
            | (Some(&RESPONSE), RESPONSE_LEN)
            | (Some(&COOKIE_REPLY), COOKIE_REPLY_LEN) => Ok(Claim::Control),
            _ => Err(DropReason::UnknownType),
        }
    }

    fn admit(&self, slot: usize, view: &IpView, packet: &[u8]) -> Result<(), DropReason> {
        let asked = Some((slot, view.source));
        if self.admitted.get() != asked {
            if self.allowed.lookup(view.source) != Some(&slot) {
                return Err(DropReason::SourceNotAllowed);
            }
            self.admitted.set(asked);
        }
        self.judge(Direction::In, slot, view, packet)
    }

    fn mark_active(&self, slot: usize) {
        self.peers.slots.mark(slot);
    }
}

impl Batch<'_> {
    fn judge(
        &self,
        direction: Direction,
        slot: usize,
        view: &IpView,
        packet: &[u8],
    ) -> Result<(), DropReason> {
        let Some(filter) = &*self.filter else {
            return Ok(());
        };
        let question = Question {
            direction,
            slot,
            view,
            packet,
        };
        filter.judge(&question).check()
    }
}

impl core::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}
