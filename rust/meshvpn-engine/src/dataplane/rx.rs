//! The receiving thread: network → forwarder → TUN.

use std::io::{self, IoSlice};

use arrayvec::ArrayVec;
use meshvpn_proto::forward::split::{MAX_SEGMENTS, SuperPacket};
use meshvpn_proto::forward::virtio::{self, Header};
use meshvpn_proto::forward::{Arrival, DropReason, Inbound, IpView, SharedPeers};

use super::{Report, Shared};
use crate::udp::{BUFFER_LEN, BUFFERS, Receiver};

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
        let mut ready = Vec::new();
        while !self.shared.is_stopping() {
            ready.clear();
            self.shared.sockets.wait(|place| ready.push(place))?;
            // As in the sending thread: give way before going to sleep.
            while self.drain_all(&ready)? {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    fn drain_all(&mut self, places: &[usize]) -> io::Result<bool> {
        let mut had_any = false;
        for place in places {
            had_any |= self.drain(*place)?;
        }
        Ok(had_any)
    }

    /// Forwards what waits at one socket, a batch at a time, until there is nothing left; returns
    /// whether there was anything.
    fn drain(&mut self, place: usize) -> io::Result<bool> {
        let sockets = self.shared.sockets.load();
        let Some(Some(socket)) = sockets.get(place) else {
            return Ok(false);
        };
        let mut had_any = false;
        let mut may_have_more = true;
        while may_have_more && !self.shared.is_stopping() {
            may_have_more = match self.receiver.receive(socket, place) {
                Ok(is_full) => is_full,
                // Nothing waits; or an ICMP error came back, which is not this thread's business.
                Err(_) => return Ok(had_any),
            };
            had_any = true;
            self.forward()?;
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
