//! The sending thread: TUN → forwarder → network.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::atomic::Ordering;

use meshvpn_proto::forward::{DropReason, Outbound, Peers, Transmit};
use meshvpn_proto::tunnel::Outer;

use super::{Report, Shared};
use crate::udp::{SendOutcome, UdpSocket};
use crate::wait::Waiter;

/// Forwards until the data plane stops or the device is gone.
pub(super) fn run<P: Peers>(
    shared: &Shared<P>,
    waiter: &Waiter,
    mut outbound: Outbound,
) -> io::Result<()> {
    while !shared.is_stopping() {
        waiter.wait(None, |_| {})?;
        // Giving way for a moment costs less than sleeping and being woken, and then there is
        // more to take at once. Sleep when that brought nothing.
        while drain(shared, &mut outbound)? {
            std::thread::yield_now();
        }
    }
    Ok(())
}

/// Forwards what waits at the TUN, a batch at a time, until there is nothing left; returns whether
/// there was anything.
fn drain<P: Peers>(shared: &Shared<P>, outbound: &mut Outbound) -> io::Result<bool> {
    let peers = &*shared.peers;
    let mut is_dry = false;
    let mut had_any = false;
    while !is_dry && !shared.is_stopping() {
        while !is_dry && !outbound.is_full() {
            match shared.queue.read(outbound.frame_buffer()) {
                Ok(len) => {
                    outbound.push(len, peers);
                    had_any = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => is_dry = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        outbound.seal();
        send(shared, outbound);
        for reply in outbound.replies() {
            // An ICMP error that gets lost is repeated when its cause is.
            let _ = shared.queue.write(&[IoSlice::new(reply)]);
        }
        outbound.clear(peers);
        shared.counters.tx.add(&outbound.take_tally());
    }
    Ok(had_any)
}

fn send<P: Peers>(shared: &Shared<P>, outbound: &mut Outbound) {
    let sockets = shared.sockets.load();
    let mut total = SendOutcome::default();
    for transmit in outbound.transmits() {
        total += match sockets.get(transmit.path.socket) {
            Some(Some(socket)) => transmit_one(shared, socket, &transmit),
            _ => SendOutcome::failed(transmit.datagrams()),
        };
    }
    if total.too_long > 0 {
        outbound.count_drop(DropReason::PathTooNarrow, total.too_long);
        shared.report(Report::TooLong);
    }
    outbound.count_drop(DropReason::SendFailed, total.failed);
}

fn transmit_one<P: Peers>(
    shared: &Shared<P>,
    socket: &UdpSocket,
    transmit: &Transmit<'_>,
) -> SendOutcome {
    let path = transmit.path;
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
            &shared.can_segment,
        );
    }
    let slot = shared.peers.slot(transmit.slot);
    let headers = Outer::towards(path.destination.ip()).overhead();
    let path_mtu = slot.datagram_max.load(Ordering::Relaxed) as u16 + headers;
    socket.send_fragmented(transmit.contents, path.source, path.destination, path_mtu)
}
