//! Outbound: from the TUN to the network.
//!
//! ```text
//! frame ──parse, route, judge──► split and checksum ──► staged ──seal──► sealed ──► one send per run
//! [virtio][up to 64 KB]          one pass over the payload      out of place     of equal sizes
//! ```
//!
//! The owner reads frames into [`Outbound::frame_buffer`] and [pushes](Outbound::push) them until
//! the TUN is dry or the batch [is full](Outbound::is_full); then it [seals](Outbound::seal), sends
//! the [transmits](Outbound::transmits), writes the [replies](Outbound::replies) back to the TUN,
//! and [clears](Outbound::clear).
//!
//! Frames for a peer that agrees on keys only now [wait](super::parked). The owner tells the driver
//! [whose](Outbound::take_waiting) that is, and when the driver says that sessions have come or will not come,
//! [pushes](Outbound::push_parked) them.

use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;

use super::parked::Parked;
use super::peers::Peers;
use super::replies::{IPV6_MIN_MTU, Replies};
use super::send::{MAX_SEND_BYTES, Staged, Target, Transmit, run_len};
use super::split::{MAX_HEADERS, MAX_SEGMENTS, SinglePacket, SuperPacket};
use super::view::IpView;
use super::virtio::{self, Header};
use super::{DropReason, Tally};
use crate::session::aead::{Aead, MAX_BATCH, Seal};
use crate::session::transport::{OVERHEAD, PADDING, Session, padded_len, write_header};

/// Longest frame: a virtio header and the longest IP packet.
const FRAME_LEN: usize = virtio::LEN + 65_535;
/// Frames are taken until this much is staged: nearly a full send, and less than a full super-packet,
/// so that one of those goes out at once.
const STAGED_FULL: usize = 60 * 1024;
/// What is staged when full, and then one more frame with all its copies of headers and padding.
const STAGED_LEN: usize = STAGED_FULL + 65_535 + MAX_SEGMENTS * (MAX_HEADERS + PADDING);
/// Packets are staged until there are this many: super-packets may be of tiny segments.
const FULL_PACKETS: usize = 256;
/// What is staged when full, and then one more frame.
const MAX_PACKETS: usize = FULL_PACKETS + MAX_SEGMENTS;
/// Frames per batch, so that a flood of small packets still leaves now and then.
const MAX_FRAMES: usize = 64;
/// The outbound half of a forwarder, with its buffers. One thread owns it.
pub struct Outbound {
    aead: Box<dyn Aead>,
    frame: Box<[u8]>,
    staged: Box<[u8]>,
    staged_len: usize,
    sealed: Box<[u8]>,
    packets: Vec<Staged>,
    targets: Vec<Target>,
    frames: usize,
    replies: Replies,
    parked: Parked,
    /// Slots for which a first frame waits.
    waiting: Vec<usize>,
    tally: Tally,
}

impl Outbound {
    /// A forwarder that seals with `aead`.
    pub fn new(aead: Box<dyn Aead>) -> Self {
        Self {
            aead,
            frame: vec![0; FRAME_LEN].into(),
            staged: vec![0; STAGED_LEN].into(),
            staged_len: 0,
            sealed: vec![0; STAGED_LEN + MAX_PACKETS * OVERHEAD].into(),
            packets: Vec::with_capacity(MAX_PACKETS),
            targets: Vec::with_capacity(MAX_FRAMES),
            frames: 0,
            replies: Replies::new(),
            parked: Parked::default(),
            waiting: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Where to read the next frame.
    pub fn frame_buffer(&mut self) -> &mut [u8] {
        &mut self.frame
    }

    /// Takes the frame of `len` bytes that was read into [`Self::frame_buffer`]. There is room for
    /// it as long as the batch is not full.
    pub fn push(&mut self, len: usize, peers: &impl Peers) {
        self.frames += 1;
        if let Err(reason) = self.try_push(len, peers) {
            self.tally.drop(reason, 1);
        }
    }

    /// Takes frames that waited for a session which is there now, as many as the batch has room for; returns
    /// whether there are more. To be called when a session was installed or waiting frames were given up,
    /// on an empty batch and before any new frame, which would overtake them.
    pub fn push_parked(&mut self, peers: &impl Peers) -> bool {
        let given_up = self.parked.release(peers);
        self.tally.drop(DropReason::NoSession, given_up);
        while !self.is_full()
            && let Some(frame) = self.parked.next()
        {
            self.frames += 1;
            if let Err(reason) = self.push_frame(&frame, peers) {
                self.tally.drop(reason, 1);
            }
        }
        self.parked.has_released()
    }

    /// The slots for which a first frame has begun to wait: each is told once, so somebody should see to
    /// it soon. (That more is wanted shows in the slot's [activity](super::activity), too.)
    pub fn take_waiting(&mut self) -> impl Iterator<Item = usize> {
        self.waiting.drain(..)
    }

    /// The batch should be sealed and sent before the next frame is read.
    pub fn is_full(&self) -> bool {
        self.staged_len >= STAGED_FULL
            || self.packets.len() >= FULL_PACKETS
            || self.frames >= MAX_FRAMES
    }

    /// Seals everything staged.
    pub fn seal(&mut self) {
        let Self {
            aead,
            staged,
            sealed,
            packets,
            targets,
            ..
        } = self;
        let mut rest = &mut sealed[..];
        let mut offset = 0;
        for chunk in packets.chunk_by_mut(|a, b| a.target == b.target) {
            let target = &targets[chunk[0].target];
            let Session::Sealed(session) = &*target.session else {
                chunk
                    .iter_mut()
                    .for_each(|packet| packet.datagram = packet.range.clone());
                continue;
            };
            for chunk in chunk.chunks_mut(MAX_BATCH) {
                let mut jobs = ArrayVec::<Seal<'_>, MAX_BATCH>::new();
                for packet in chunk {
                    let len = packet.range.len() + OVERHEAD;
                    let (datagram, remaining) = rest.split_at_mut(len);
                    rest = remaining;
                    packet.datagram = offset..offset + len;
                    offset += len;
                    let (header, out) = datagram
                        .split_first_chunk_mut()
                        .expect("OVERHEAD holds a header");
                    write_header(header, session.remote_index, packet.counter);
                    jobs.push(Seal {
                        key: session.send_key(),
                        counter: packet.counter,
                        plaintext: &staged[packet.range.clone()],
                        out,
                    });
                }
                aead.seal(&mut jobs);
            }
        }
    }

    /// What to send, in order. Call after [`Self::seal`].
    pub fn transmits(&self) -> impl Iterator<Item = Transmit<'_>> {
        let mut rest = &self.packets[..];
        core::iter::from_fn(move || {
            let (first, following) = rest.split_first()?;
            let run = 1 + run_len(first, following);
            let last = &rest[run - 1];
            rest = &rest[run..];
            let target = &self.targets[first.target];
            let buffer = match *target.session {
                Session::Plain => &self.staged,
                Session::Sealed(_) => &self.sealed,
            };
            Some(Transmit {
                path: &target.path,
                contents: &buffer[first.datagram.start..last.datagram.end],
                segment_size: (run > 1).then_some(first.datagram.len()),
                may_fragment: first.may_fragment,
                slot: target.slot,
            })
        })
    }

    /// Frames to write back to the TUN: ICMP errors.
    pub fn replies(&self) -> impl Iterator<Item = &[u8]> {
        self.replies.iter()
    }

    /// Forgets the batch, and counts it.
    pub fn clear(&mut self, peers: &impl Peers) {
        for target in self.targets.drain(..) {
            if target.packets > 0 {
                let slot = peers.slot(target.slot);
                slot.count_sent(target.packets, target.bytes);
                if slot.noted.sent_data() {
                    peers.mark_active(target.slot);
                }
            }
        }
        self.packets.clear();
        self.staged_len = 0;
        self.frames = 0;
        self.replies.clear();
    }

    /// What was counted since the last call.
    pub fn take_tally(&mut self) -> Tally {
        core::mem::take(&mut self.tally)
    }

    /// Counts datagrams that could not be sent.
    pub fn count_drop(&mut self, reason: DropReason, count: u64) {
        self.tally.drop(reason, count);
    }

    /// The AEAD implementation's name.
    pub fn aead_name(&self) -> &'static str {
        self.aead.name()
    }

    fn try_push(&mut self, len: usize, peers: &impl Peers) -> Result<(), DropReason> {
        let frame = core::mem::take(&mut self.frame);
        let result = self.push_frame(&frame[..len], peers);
        self.frame = frame;
        result
    }

    fn push_frame(&mut self, frame: &[u8], peers: &impl Peers) -> Result<(), DropReason> {
        let (header, packet) = frame.split_first_chunk().ok_or(DropReason::Malformed)?;
        let header = Header::parse(header).ok_or(DropReason::Malformed)?;
        let view = IpView::parse(packet)?;
        let slot = peers.route(&view, packet)?;
        match self.stage_frame(&header, packet, &view, slot, peers) {
            Err(DropReason::NoSession) => self.park(slot, frame, peers),
            result => result,
        }
    }

    fn stage_frame(
        &mut self,
        header: &Header,
        packet: &[u8],
        view: &IpView,
        slot: usize,
        peers: &impl Peers,
    ) -> Result<(), DropReason> {
        let target = self.target(slot, peers)?;
        let Target {
            ref session,
            datagram_max,
            ..
        } = self.targets[target];
        let largest = datagram_max.saturating_sub(session.overhead());
        let result = if header.gso.is_some() {
            self.stage_segments(header, packet, view, target, largest)
        } else {
            self.stage_single(header, &packet[..view.total_len], view, target, largest)
        };
        if result == Err(DropReason::TooBig) {
            self.replies.push_too_big(packet, view, largest);
        }
        result
    }

    /// Keeps a frame until there is a session, where one may come.
    fn park(&mut self, slot: usize, frame: &[u8], peers: &impl Peers) -> Result<(), DropReason> {
        let state = peers.slot(slot);
        if !state.parks.load(Ordering::Relaxed) {
            return Err(DropReason::NoSession);
        }
        let epoch = state.discards.load(Ordering::Relaxed);
        let outcome = self.parked.park(slot, epoch, frame);
        self.tally.drop(DropReason::NoSession, outcome.dropped);
        if outcome.is_first && !self.waiting.contains(&slot) {
            self.waiting.push(slot);
        }
        if state.noted.wants_session() {
            peers.mark_active(slot);
        }
        Ok(())
    }

    fn target(&mut self, slot: usize, peers: &impl Peers) -> Result<usize, DropReason> {
        if let Some(known) = self.targets.iter().rposition(|target| target.slot == slot) {
            return Ok(known);
        }
        self.targets.push(Target::load(slot, peers)?);
        Ok(self.targets.len() - 1)
    }

    fn stage_segments(
        &mut self,
        header: &Header,
        packet: &[u8],
        view: &IpView,
        target: usize,
        largest: usize,
    ) -> Result<(), DropReason> {
        let super_packet = SuperPacket::parse(header, packet, view, largest)?;
        self.check_length(super_packet.longest(), view, target, largest)?;
        let segments = super_packet.segments();
        let first = self.targets[target].reserve(segments)?;
        for index in 0..segments {
            let len = super_packet.segment_len(index);
            let out = self.stage(len, target, first + index as u64, largest);
            super_packet.write_segment(index, out);
        }
        Ok(())
    }

    fn stage_single(
        &mut self,
        header: &Header,
        packet: &[u8],
        view: &IpView,
        target: usize,
        largest: usize,
    ) -> Result<(), DropReason> {
        self.check_length(packet.len(), view, target, largest)?;
        if packet.len() > largest
            && let Some(header) = header.as_stream(view)
        {
            // Cut like a super-packet rather than sent in fragments, which some paths drop.
            return self.stage_segments(&header, packet, view, target, largest);
        }
        let single = SinglePacket::parse(header, packet, view)?;
        let counter = self.targets[target].reserve(1)?;
        single.write(self.stage(packet.len(), target, counter, largest));
        Ok(())
    }

    /// Refuses a packet of `len` bytes that neither fits the path nor may go in fragments.
    fn check_length(
        &self,
        len: usize,
        view: &IpView,
        target: usize,
        largest: usize,
    ) -> Result<(), DropReason> {
        let must_fit = view.dont_fragment && !(view.source.is_ipv6() && len <= IPV6_MIN_MTU);
        let limit = MAX_SEND_BYTES - self.targets[target].session.overhead();
        if (len > largest && must_fit) || len > limit {
            return Err(DropReason::TooBig);
        }
        Ok(())
    }

    /// Makes room for a packet of `len` bytes and pads it; returns the room.
    fn stage(&mut self, len: usize, target: usize, counter: u64, largest: usize) -> &mut [u8] {
        let to = &mut self.targets[target];
        to.packets += 1;
        self.tally.packets += 1;
        self.tally.bytes += len as u64;
        let padded = match *to.session {
            Session::Plain => len,
            Session::Sealed(_) => padded_len(len, largest),
        };
        to.bytes += (padded + to.session.overhead()) as u64;
        let start = self.staged_len;
        let range = start..start + padded;
        self.staged_len = range.end;
        self.staged[start + len..range.end].fill(0);
        let may_fragment = len > largest;
        self.packets.push(Staged {
            range,
            target,
            counter,
            may_fragment,
            datagram: 0..0,
        });
        &mut self.staged[start..start + len]
    }
}

impl core::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Outbound")
            .field("aead", &self.aead.name())
            .field("staged", &self.packets.len())
            .finish_non_exhaustive()
    }
}
