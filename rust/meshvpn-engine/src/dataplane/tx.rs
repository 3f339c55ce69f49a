//! The sending thread: TUN → forwarder → network.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};

use meshvpn_proto::forward::{DropReason, Outbound, Peers, SharedPeers, Transmit};
use meshvpn_proto::tunnel::Outer;

use super::sockets::Place;
use super::{Report, Shared};
use crate::capture::taps::Listening;
use crate::udp::{SendOutcome, UdpSocket};
use crate::wait::Waiter;

/// The position of the waker that says that frames need not wait any more.
pub(super) const RESUME: usize = 2;

/// What a slot says of a path where the kernel refuses to segment, for kernels that refuse it everywhere.
static NEVER_SEGMENTED: AtomicBool = AtomicBool::new(true);

/// Forwards until the data plane stops or the device is gone.
pub(super) fn run<P: SharedPeers>(
    shared: &Shared<P>,
    waiter: &Waiter,
    mut outbound: Outbound,
) -> io::Result<()> {
    while !shared.is_stopping() {
        let mut is_resumed = false;
        waiter.wait(None, |position| is_resumed |= position == RESUME)?;
        if is_resumed {
            // Before the flag is looked at: who sets the flag now sets this again.
            shared.resume.reset();
        }
        resume(shared, &mut outbound);
        // Giving way for a moment costs less than sleeping and being woken, and then there is
        // more to take at once. Sleep when that brought nothing.
        while drain(shared, &mut outbound)? {
            std::thread::yield_now();
        }
    }
    Ok(())
}

/// Forwards frames that waited for a session and need not any more, before any newer one.
fn resume<P: SharedPeers>(shared: &Shared<P>, outbound: &mut Outbound) {
    let mut has_more = shared.must_resume.load(Ordering::Relaxed)
        && shared.must_resume.swap(false, Ordering::AcqRel);
    while has_more {
        let peers = shared.peers.batch();
        has_more = outbound.push_parked(&peers);
        flush(shared, outbound, &peers);
    }
}

/// Forwards what waits at the TUN, a batch at a time, until there is nothing left; returns whether
/// there was anything.
fn drain<P: SharedPeers>(shared: &Shared<P>, outbound: &mut Outbound) -> io::Result<bool> {
    let mut is_dry = false;
    let mut had_any = false;
    while !is_dry && !shared.is_stopping() {
        resume(shared, outbound);
        let peers = shared.peers.batch();
        while !is_dry && !outbound.is_full() {
            match shared.queue.read(outbound.frame_buffer()) {
                Ok(len) => {
                    outbound.push(len, &peers);
                    had_any = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => is_dry = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        flush(shared, outbound, &peers);
    }
    Ok(had_any)
}

/// Seals and sends a batch, and tells who has to know.
fn flush<P: SharedPeers>(shared: &Shared<P>, outbound: &mut Outbound, peers: &P::Batch<'_>) {
    outbound.seal();
    send(shared, outbound, peers);
    for reply in outbound.replies() {
        // An ICMP error that gets lost is repeated when its cause is.
        let _ = shared.queue.write(&[IoSlice::new(reply)]);
    }
    for slot in outbound.take_waiting() {
        // When it is lost, the slot's activity says the same a little later.
        shared.report(Report::Waiting(slot));
    }
    outbound.clear(peers);
    shared.report_activity();
    shared.counters.tx.add(&outbound.take_tally());
}

fn send<P: SharedPeers>(shared: &Shared<P>, outbound: &mut Outbound, peers: &P::Batch<'_>) {
    let sockets = shared.sockets.load();
    let listeners = shared.taps.load();
    let mut total = SendOutcome::default();
    for transmit in outbound.transmits() {
        let place = transmit.path.socket;
        total += match sockets.get(place) {
            Some(Some(Place::Udp(socket))) => {
                let listening = listeners.as_ref().map(|listeners| listeners.at(place));
                transmit_one(shared, socket, &transmit, peers, listening)
            }
            Some(Some(Place::Relay(port))) => {
                port.send(transmit.path, transmit.contents, transmit.segment_size)
            }
            _ => SendOutcome::failed(transmit.datagrams()),
        };
    }
    if total.too_long > 0 {
        outbound.count_drop(DropReason::PathTooNarrow, total.too_long);
        shared.report(Report::TooLong);
    }
    outbound.count_drop(DropReason::SendFailed, total.failed);
    outbound.count_drop(DropReason::RelayCongested, total.congested);
}

fn transmit_one<P: SharedPeers>(
    shared: &Shared<P>,
    socket: &UdpSocket,
    transmit: &Transmit<'_>,
    peers: &P::Batch<'_>,
    listening: Option<Listening<'_>>,
) -> SendOutcome {
    let path = transmit.path;
    let slot = peers.slot(transmit.slot);
    if !transmit.may_fragment {
        let Transmit {
            contents,
            segment_size,
            ..
        } = *transmit;
        return socket.send(
            contents,
            segment_size,
            path.source,
            path.destination,
            if shared.can_segment {
                &slot.sends_singly
            } else {
                &NEVER_SEGMENTED
            },
            listening,
        );
    }
    let headers = Outer::towards(path.destination.ip()).overhead();
    let path_mtu = (slot.datagram_max.load(Ordering::Relaxed) as u16).saturating_add(headers);
    socket.send_fragmented(
        transmit.contents,
        path.source,
        path.destination,
        path_mtu,
        listening,
    )
}
