//! The receiving thread: network → forwarder → TUN.

use std::io;
use std::sync::Arc;

use arrayvec::ArrayVec;
use meshvpn_proto::forward::{Arrival, Inbound, SharedPeers};

use super::Shared;
use super::delivery::deliver;
use super::sockets::Place;
use crate::capture::taps::Listening;
use crate::udp::{BUFFERS, Receiver, UdpSocket};

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
            // What comes over a relay, that relay's thread delivers.
            if let Some(Place::Udp(socket)) = socket {
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

    fn forward(&mut self) -> io::Result<()> {
        let arrivals: ArrayVec<Arrival<'_>, BUFFERS> = self.receiver.arrivals().collect();
        let counters = &self.shared.counters.rx;
        deliver(self.shared, &mut self.inbound, &arrivals, counters)
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
