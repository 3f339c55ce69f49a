//! Inbound: from the network to the TUN.
//!
//! ```text
//! buffers ──claim──► open ──► replay window ──► admit ──► join ──► one write per run
//! (a run of datagrams each)   out of place, up to 16 a call        [virtio][headers][payload]…
//! ```
//!
//! The owner receives into buffers of its own, hands them all over in one call to
//! [`Inbound::receive`], writes the [writes](Inbound::writes) to the TUN, and passes the
//! [control messages](Inbound::take_control) and [confirmed sessions](Inbound::take_confirmed) to the
//! driver.

use core::ops::Range;
use std::io::IoSlice;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::arrival::{Arrival, Control, keep};
use super::join::{Joiner, Joins};
use super::peers::{Claim, Path, Peers};
use super::received::Received;
use super::view::IpView;
use super::{DropReason, Tally};
use crate::session::aead::{Aead, MAX_BATCH, Open, TAG_LEN};
use crate::session::transport::{DataMessage, HEADER_LEN, SealedSession};

/// Room before each opened packet: its virtio header, rounded up so that packets stay aligned.
const HEADROOM: usize = 16;

/// The inbound half of a forwarder, with its buffers. One thread owns it.
pub struct Inbound {
    aead: Box<dyn Aead>,
    opened: Box<[u8]>,
    opened_len: usize,
    joiner: Joiner,
    sessions: Vec<KnownSession>,
    received: Received,
    control: Vec<Control>,
    confirmed: Vec<Confirmed>,
    tally: Tally,
}

/// A session that this batch has packets for; looked up once.
struct KnownSession {
    index: u32,
    slot: usize,
    session: Arc<SealedSession>,
}

/// The peer has shown that it has the keys of a session which waited for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// The peer's slot.
    pub slot: usize,
    /// The session, by our number.
    pub index: u32,
}

/// A data message on its way through one AEAD call.
struct Pending<'a> {
    message: DataMessage<'a>,
    known: usize,
    opened: Range<usize>,
    path: Path,
}

impl Inbound {
    /// A forwarder that opens with `aead`, for batches of up to `batch_bytes` received bytes; joins what the device takes.
    pub fn new(aead: Box<dyn Aead>, batch_bytes: usize, joins: Joins) -> Self {
        Self {
            aead,
            // A data message is at least as long as the headroom of its packet; bare IP packets, at
            // least 20 bytes each, can need nearly as much again.
            opened: vec![0; batch_bytes * 2 + HEADROOM].into(),
            opened_len: 0,
            joiner: Joiner::new(joins),
            sessions: Vec::with_capacity(8),
            received: Received::new(),
            control: Vec::new(),
            confirmed: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes a batch of received buffers and prepares what goes to the TUN. What was prepared
    /// before is forgotten.
    pub fn receive<'a>(
        &mut self,
        arrivals: impl IntoIterator<Item = Arrival<'a>>,
        peers: &impl Peers,
    ) {
        self.opened_len = 0;
        self.joiner.clear();
        let mut pending = ArrayVec::<Pending<'a>, MAX_BATCH>::new();
        for arrival in arrivals {
            let refused = match arrival {
                Arrival {
                    is_truncated: true, ..
                } => Some(DropReason::Truncated),
                Arrival { bytes: [], .. } => Some(DropReason::UnknownType),
                _ => None,
            };
            if let Some(reason) = refused {
                self.tally.drop(reason, 1);
                continue;
            }
            for datagram in arrival.bytes.chunks(arrival.segment_size.max(1)) {
                match self.claim(datagram, &arrival, peers) {
                    Ok(Some(message)) => pending.push(message),
                    Ok(None) => {}
                    Err(reason) => self.tally.drop(reason, 1),
                }
                if pending.is_full() {
                    self.open(&mut pending, peers);
                }
            }
        }
        self.open(&mut pending, peers);
        self.joiner.finish(&mut self.opened);
        self.sessions.clear();
        self.received.note(peers);
    }

    /// The frames to write to the TUN, each as the pieces that make it up.
    pub fn writes(&self) -> impl Iterator<Item = (u32, impl Iterator<Item = IoSlice<'_>>)> {
        self.joiner.writes().map(|write| {
            (
                write.packets,
                write.map(|range| IoSlice::new(&self.opened[range])),
            )
        })
    }

    /// Joins nothing from now on: the device refuses what it said it would take.
    pub fn stop_joining(&mut self) {
        self.joiner.stop_joining();
    }

    /// What the driver should see, oldest first.
    pub fn take_control(&mut self) -> impl Iterator<Item = Control> {
        self.control.drain(..)
    }

    /// Sessions that the peer has confirmed. Each is told once a batch until
    /// [somebody takes note](SealedSession::confirm), so a lost report is repeated.
    pub fn take_confirmed(&mut self) -> impl Iterator<Item = Confirmed> {
        self.confirmed.drain(..)
    }

    /// What was counted since the last call.
    pub fn take_tally(&mut self) -> Tally {
        core::mem::take(&mut self.tally)
    }

    /// Counts packets that the TUN refused.
    pub fn count_drop(&mut self, reason: DropReason, count: u64) {
        self.tally.drop(reason, count);
    }

    fn claim<'a>(
        &mut self,
        datagram: &'a [u8],
        arrival: &Arrival<'a>,
        peers: &impl Peers,
    ) -> Result<Option<Pending<'a>>, DropReason> {
        let message = DataMessage::parse(datagram);
        if let Some(message) = message
            && let Some(known) = self
                .sessions
                .iter()
                .rposition(|known| known.index == message.receiver)
        {
            return Ok(Some(self.pending(message, known, arrival)));
        }
        match peers.claim(datagram, arrival.source)? {
            Claim::Plain { slot } => self
                .take_plain(datagram, slot, arrival, peers)
                .map(|()| None),
            Claim::Sealed { slot, session } => {
                let message = message.ok_or(DropReason::UnknownType)?;
                let index = message.receiver;
                self.sessions.push(KnownSession {
                    index,
                    slot,
                    session,
                });
                Ok(Some(self.pending(
                    message,
                    self.sessions.len() - 1,
                    arrival,
                )))
            }
            Claim::Control => {
                keep(&mut self.control, None, datagram, arrival.path()).map(|()| None)
            }
        }
    }

    fn pending<'a>(
        &mut self,
        message: DataMessage<'a>,
        known: usize,
        arrival: &Arrival<'a>,
    ) -> Pending<'a> {
        let opened = self.make_room(message.sealed.len() - TAG_LEN);
        Pending {
            message,
            known,
            opened,
            path: arrival.path(),
        }
    }

    fn make_room(&mut self, len: usize) -> Range<usize> {
        let start = self.opened_len + HEADROOM;
        self.opened_len = start + len;
        start..self.opened_len
    }

    fn open(&mut self, pending: &mut ArrayVec<Pending<'_>, MAX_BATCH>, peers: &impl Peers) {
        if pending.is_empty() {
            return;
        }
        let verdicts = self.open_all(pending);
        let mut pending = pending.drain(..).zip(verdicts).peekable();
        while let Some((first, _)) = pending.peek() {
            // One lock for all packets of a session that follow each other.
            let known = first.known;
            let session = Arc::clone(&self.sessions[known].session);
            let mut window = session.replay_window();
            let mut is_confirmed = false;
            while let Some((message, valid)) =
                pending.next_if(|(message, _)| message.known == known)
            {
                let result = match (valid, valid && window.accept(message.message.counter)) {
                    (false, _) => Err(DropReason::BadTag),
                    (true, false) => Err(DropReason::Replayed),
                    (true, true) => {
                        is_confirmed = true;
                        self.deliver(&message, peers)
                    }
                };
                if let Err(reason) = result {
                    self.tally.drop(reason, 1);
                }
            }
            if is_confirmed && session.awaits_confirmation() {
                // At once: the peer may have no other session left, and what this packet sets off must not
                // leave in one that the peer has forgotten. The driver has the last word.
                peers
                    .slot(self.sessions[known].slot)
                    .send_with(Some(&session));
                self.note_confirmed(known);
            }
        }
    }

    fn open_all(&mut self, pending: &[Pending<'_>]) -> ArrayVec<bool, MAX_BATCH> {
        let Self {
            aead,
            opened,
            sessions,
            ..
        } = self;
        let mut jobs = ArrayVec::<Open<'_>, MAX_BATCH>::new();
        let mut position = 0;
        let mut rest = &mut opened[..];
        for Pending {
            message,
            known,
            opened,
            ..
        } in pending
        {
            let (_, following) = rest.split_at_mut(opened.start - position);
            let (out, following) = following.split_at_mut(opened.len());
            position = opened.end;
            rest = following;
            jobs.push(Open {
                key: sessions[*known].session.receive_key(),
                counter: message.counter,
                sealed: message.sealed,
                out,
                valid: false,
            });
        }
        aead.open(&mut jobs);
        jobs.iter().map(|job| job.valid).collect()
    }

    fn note_confirmed(&mut self, known: usize) {
        let KnownSession { slot, index, .. } = self.sessions[known];
        let confirmed = Confirmed { slot, index };
        if !self.confirmed.contains(&confirmed) {
            self.confirmed.push(confirmed);
        }
    }

    /// Passes on an authentic packet: to the TUN, to the driver, or, when it is empty, to nobody.
    fn deliver(&mut self, message: &Pending<'_>, peers: &impl Peers) -> Result<(), DropReason> {
        let slot = self.sessions[message.known].slot;
        let plaintext = &self.opened[message.opened.clone()];
        let version = plaintext.first().map(|byte| byte >> 4);
        // Messages between drivers are like keepalives: they ask for no answer from those who keep timers.
        let has_data = matches!(version, Some(4 | 6));
        let bytes = HEADER_LEN + message.message.sealed.len();
        self.received.count(slot, bytes, has_data, message.path);
        match version {
            None => Ok(()),
            Some(4 | 6) => {
                let view = IpView::parse(plaintext)?;
                self.push_packet(message.opened.start, &view, slot, peers)
            }
            Some(_) => keep(&mut self.control, Some(slot), plaintext, message.path),
        }
    }

    fn take_plain(
        &mut self,
        packet: &[u8],
        slot: usize,
        arrival: &Arrival<'_>,
        peers: &impl Peers,
    ) -> Result<(), DropReason> {
        self.received
            .count(slot, packet.len(), true, arrival.path());
        if !matches!(packet.first().map(|byte| byte >> 4), Some(4 | 6)) {
            return keep(&mut self.control, Some(slot), packet, arrival.path());
        }
        let view = IpView::parse(packet)?;
        let range = self.make_room(view.total_len);
        self.opened[range.clone()].copy_from_slice(&packet[..view.total_len]);
        self.push_packet(range.start, &view, slot, peers)
    }

    fn push_packet(
        &mut self,
        start: usize,
        view: &IpView,
        slot: usize,
        peers: &impl Peers,
    ) -> Result<(), DropReason> {
        let range = start..start + view.total_len;
        peers.admit(slot, view, &self.opened[range.clone()])?;
        self.tally.packets += 1;
        self.tally.bytes += view.total_len as u64;
        self.joiner.push(&self.opened, range, view);
        Ok(())
    }
}

impl core::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inbound")
            .field("aead", &self.aead.name())
            .finish_non_exhaustive()
    }
}
