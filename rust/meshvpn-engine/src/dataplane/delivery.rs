//! From what was received to the TUN: whoever received it, this is the rest of its way.

use std::io::{self, IoSlice};
use std::sync::Arc;

use arrayvec::ArrayVec;
use meshvpn_proto::forward::split::{MAX_SEGMENTS, SuperPacket};
use meshvpn_proto::forward::virtio::{self, Header};
use meshvpn_proto::forward::{Arrival, DropReason, Inbound, IpView, SharedPeers};

use super::counters::Direction;
use super::{Report, Shared};
use crate::udp::BUFFER_LEN;

/// Passes on what came otherwise than by the sockets of the data plane, over a relay say, on whichever thread
/// that came to. One thread owns it. The device lives as long as this does.
#[derive(Debug)]
pub struct Injector<P> {
    pub(super) shared: Arc<Shared<P>>,
    pub(super) inbound: Inbound,
}

/// Where those who receive over relays leave it.
pub trait Sink: Send {
    /// Takes a batch of received datagrams.
    ///
    /// # Errors
    /// The device is gone.
    fn receive(&mut self, arrivals: &[Arrival<'_>]) -> io::Result<()>;
}

impl<P: SharedPeers> Sink for Injector<P> {
    fn receive(&mut self, arrivals: &[Arrival<'_>]) -> io::Result<()> {
        let Self { shared, inbound } = self;
        deliver(shared, inbound, arrivals, &shared.counters.relayed)
    }
}

/// Forwards what was received, about 64 KB at a time: what is opened is written while it is still
/// in the cache, and the sockets behind the TUN get time to drain between two writes.
pub(super) fn deliver<P: SharedPeers>(
    shared: &Shared<P>,
    inbound: &mut Inbound,
    arrivals: &[Arrival<'_>],
    counters: &Direction,
) -> io::Result<()> {
    let mut rest = arrivals;
    while !rest.is_empty() {
        let (batch, following) = rest.split_at(batch_len(rest));
        rest = following;
        inbound.receive(batch.iter().copied(), &shared.peers.batch());
        write(shared, inbound)?;
        for confirmed in inbound.take_confirmed() {
            // Told again with the next packet, until the driver has taken note.
            shared.report(Report::Confirmed(confirmed));
        }
        let messages = inbound.take_control();
        let lost = messages
            .map(|message| shared.report(Report::Control(message)))
            .filter(|is_told| !is_told)
            .count();
        inbound.count_drop(DropReason::ControlOverflow, lost as u64);
    }
    shared.report_activity();
    counters.add(&inbound.take_tally());
    Ok(())
}

/// How many of `arrivals` fit in one buffer's length together; at least one.
fn batch_len(arrivals: &[Arrival<'_>]) -> usize {
    let mut total = 0;
    let fitting = arrivals.iter().take_while(|arrival| {
        total += arrival.bytes.len();
        total <= BUFFER_LEN
    });
    fitting.count().max(1)
}

/// Writes the frames that a batch was joined into.
fn write<P>(shared: &Shared<P>, inbound: &mut Inbound) -> io::Result<()> {
    let mut refused = 0;
    let mut must_stop_joining = false;
    for (packets, pieces) in inbound.writes() {
        let pieces: ArrayVec<IoSlice<'_>, MAX_SEGMENTS> = pieces.collect();
        match shared.queue.write(&pieces) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && packets > 1 => {
                must_stop_joining = true;
                refused += write_singly(shared, &pieces, u64::from(packets));
            }
            // The device is being deleted.
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => return Err(error),
            Err(_) => refused += u64::from(packets),
        }
    }
    inbound.count_drop(DropReason::DeviceRefused, refused);
    if must_stop_joining {
        inbound.stop_joining();
    }
    Ok(())
}

/// Takes a joined frame apart again, for a kernel that will not have it (Linux 6.6.44); returns how
/// many packets it refuses even so.
fn write_singly<P>(shared: &Shared<P>, pieces: &[IoSlice<'_>], packets: u64) -> u64 {
    let frame: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| piece.iter().copied())
        .collect();
    let Some((header, packet)) = frame.split_first_chunk() else {
        return packets;
    };
    let split = Header::parse(header)
        .and_then(|header| Some((header, IpView::parse(packet).ok()?)))
        .and_then(|(header, view)| SuperPacket::parse(&header, packet, &view, packet.len()).ok());
    let Some(split) = split else { return packets };
    let mut refused = 0;
    for index in 0..split.segments() {
        let mut single = vec![0; virtio::LEN + split.segment_len(index)];
        split.write_segment(index, &mut single[virtio::LEN..]);
        refused += u64::from(shared.queue.write(&[IoSlice::new(&single)]).is_err());
    }
    refused
}
