//! The receiving thread: network → forwarder → TUN.

use std::io::{self, IoSlice};
use std::sync::Arc;

use arrayvec::ArrayVec;
use meshvpn_proto::forward::split::{MAX_SEGMENTS, SuperPacket};
use meshvpn_proto::forward::virtio::{self, Header};
use meshvpn_proto::forward::{Arrival, DropReason, Inbound, IpView, SharedPeers};

use super::{Report, Shared};
use crate::capture::taps::Listening;
use crate::udp::{BUFFER_LEN, BUFFERS, Receiver, UdpSocket};

/// Batches from one socket before it is the next one's turn.
const TURN: usize = 8;

/// Forwards until the data plane stops or the device is gone.
pub(super) fn run<P: SharedPeers>(shared: &Shared<P>, inbound: Inbound) -> io::Result<()> {
    let mut thread = Thread {
        shared,
        inbound,
        receiver: Receiver::new(),
    };
    thread.run()
}

struct Thread<'a, P> {
    shared: &'a Shared<P>,
    inbound: Inbound,
    receiver: Receiver,
}

impl<P: SharedPeers> Thread<'_, P> {
    fn run(&mut self) -> io::Result<()> {
        while !self.shared.is_stopping() {
            self.shared.sockets.wait()?;
            // As in the sending thread: give way before going to sleep.
            while self.drain_all()? {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Takes turns: no socket keeps the others waiting, and sockets that come or go are seen.
    fn drain_all(&mut self) -> io::Result<bool> {
        let sockets = Arc::clone(&self.shared.sockets.load());
        let mut had_any = false;
        for (place, socket) in sockets.iter().enumerate() {
            if let Some(socket) = socket {
                had_any |= self.drain(place, socket)?;
            }
        }
        Ok(had_any)
    }

    /// Forwards what waits at one socket, a batch at a time, until there is nothing left or others should
    /// have their turn; returns whether there was anything.
    fn drain(&mut self, place: usize, socket: &UdpSocket) -> io::Result<bool> {
        let mut had_any = false;
        for _ in 0..TURN {
            if self.shared.is_stopping() {
                break;
            }
            // None: nothing waits; or an ICMP error came back, which is not this thread's business.
            let Ok(is_full) = self.receiver.receive(socket, place) else {
                break;
            };
            had_any = true;
            if let Some(listeners) = self.shared.taps.load() {
                tell(listeners.at(place), socket, self.receiver.arrivals());
            }
            self.forward()?;
            if !is_full {
                break;
            }
        }
        Ok(had_any)
    }

    /// Forwards what was received, about 64 KB at a time: what is opened is written while it is still
    /// in the cache, and the sockets behind the TUN get time to drain between two writes.
    fn forward(&mut self) -> io::Result<()> {
        let arrivals: ArrayVec<Arrival<'_>, BUFFERS> = self.receiver.arrivals().collect();
        let mut rest = &arrivals[..];
        while !rest.is_empty() {
            let (batch, following) = rest.split_at(batch_len(rest));
            rest = following;
            self.inbound
                .receive(batch.iter().copied(), &self.shared.peers.batch());
            write(self.shared, &mut self.inbound)?;
            for confirmed in self.inbound.take_confirmed() {
                // Told again with the next packet, until the driver has taken note.
                self.shared.report(Report::Confirmed(confirmed));
            }
            let messages = self.inbound.take_control();
            let lost = messages
                .map(|message| self.shared.report(Report::Control(message)))
                .filter(|is_told| !is_told)
                .count();
            self.inbound
                .count_drop(DropReason::ControlOverflow, lost as u64);
        }
        self.shared.report_activity();
        self.shared.counters.rx.add(&self.inbound.take_tally());
        Ok(())
    }
}

/// Tells those who listen to `socket` what it has received.
fn tell<'a>(
    listening: Listening<'_>,
    socket: &UdpSocket,
    arrivals: impl Iterator<Item = Arrival<'a>>,
) {
    for arrival in arrivals {
        let local = socket.local_towards(arrival.local, arrival.source);
        listening.received(arrival.source, local, arrival.bytes, arrival.segment_size);
    }
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
