//! Two tunnel machines with a bad network between them: it loses, delays, reorders and repeats
//! datagrams, and either end may be started anew at any time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshvpn_proto::keys::PresharedKey;
use meshvpn_proto::session::aead::{Aead, Open, Portable, Seal, TAG_LEN};
use meshvpn_proto::session::preshared::HELLO;
use meshvpn_proto::session::transport::{
    DataMessage, HEADER_LEN, OVERHEAD, SealedSession, write_header,
};
use meshvpn_proto::tunnel::{Event, Framing, Outer, Transmit, Tunnel};

use crate::chance::{Chance, beginning};

/// How often the engine reports that packets went out.
const ACTIVITY: Duration = Duration::from_millis(20);
const INTERFACE_MTU: u16 = 1500;

/// How bad the network is; percentages are of all datagrams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) repeated: u64,
    /// Delays are spread evenly up to here, so datagrams overtake each other.
    pub(crate) delay_ms: u64,
    /// What the path takes, IP header included.
    pub(crate) width: usize,
}

pub(crate) const FAIR: Weather = Weather {
    loss: 0,
    repeated: 0,
    delay_ms: 1,
    width: 1400,
};

/// One end, with as much of an engine as it needs.
pub(crate) struct End {
    tunnel: Tunnel,
    receive: Option<Arc<SealedSession>>,
    send: Option<Arc<SealedSession>>,
    pub(crate) is_up: bool,
    /// How many sessions it has sent with.
    pub(crate) sessions: usize,
}

pub(crate) struct Wire {
    framing: Framing,
    pub(crate) ends: [End; 2],
    pub(crate) weather: Weather,
    pub(crate) now: Instant,
    start: Instant,
    chance: Chance,
    on_the_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    /// Hellos until one that is lost.
    hellos_until_loss: Option<usize>,
    /// Everything that was ever sent: when, by whom, what.
    pub(crate) transcript: Vec<(Duration, usize, Vec<u8>)>,
}

impl End {
    fn new(now: Instant, framing: &Framing, seed: [u8; 32]) -> Self {
        Self {
            tunnel: Tunnel::new(now, framing, Outer::V4, INTERFACE_MTU, seed),
            receive: None,
            send: None,
            is_up: false,
            sessions: 0,
        }
    }

    pub(crate) fn path_mtu(&self) -> u16 {
        self.tunnel.path_mtu()
    }

    /// Frames a message as the engine does; none before there are keys.
    fn frame(&self, framing: &Framing, message: Vec<u8>) -> Option<Vec<u8>> {
        if matches!(framing, Framing::Plain) {
            return Some(message);
        }
        let session = self.send.as_ref()?;
        let counter = session.reserve(1)?;
        let mut datagram = vec![0; message.len() + OVERHEAD];
        let (header, out) = datagram.split_first_chunk_mut::<HEADER_LEN>()?;
        write_header(header, session.remote_index, counter);
        let (key, plaintext) = (session.send_key(), &message[..]);
        Portable.seal(&mut [Seal {
            key,
            counter,
            plaintext,
            out,
        }]);
        Some(datagram)
    }

    fn open(&self, message: &DataMessage<'_>) -> Option<Vec<u8>> {
        let session = self.receive.as_ref()?;
        let mut plaintext = vec![0; message.sealed.len() - TAG_LEN];
        let mut batch = [Open {
            key: session.receive_key(),
            counter: message.counter,
            sealed: message.sealed,
            out: &mut plaintext,
            valid: false,
        }];
        Portable.open(&mut batch);
        let is_valid = batch[0].valid && session.local_index == message.receiver;
        (is_valid && session.replay_window().accept(message.counter)).then_some(plaintext)
    }
}

impl Wire {
    pub(crate) fn new(framing: Framing, weather: Weather, seed: u64) -> Self {
        let start = beginning();
        let mut chance = Chance(seed);
        let seeds = [chance.seed(), chance.seed()];
        let mut wire = Self {
            ends: seeds.map(|seed| End::new(start, &framing, seed)),
            framing,
            weather,
            now: start,
            start,
            chance,
            on_the_way: BTreeMap::new(),
            hellos_until_loss: None,
            transcript: Vec::new(),
        };
        wire.drain(0);
        wire.drain(1);
        wire
    }

    pub(crate) fn preshared(weather: Weather, seed: u64) -> Self {
        Self::new(
            Framing::Preshared(PresharedKey::new([7; 32])),
            weather,
            seed,
        )
    }

    /// Loses one hello: after `count` others.
    pub(crate) fn lose_hello(&mut self, count: usize) {
        self.hellos_until_loss = Some(count);
    }

    /// The end begins anew, as after a crash: what it knew is gone.
    pub(crate) fn restart(&mut self, end: usize) {
        let seed = self.chance.seed();
        self.ends[end] = End::new(self.now, &self.framing, seed);
        self.drain(end);
    }

    /// Lets `ms` milliseconds pass, with traffic wherever there are keys.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        let mut next_activity = self.now;
        while self.now < end {
            let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
            let timeouts = self.ends.iter().filter_map(|end| end.tunnel.poll_timeout());
            let next = timeouts.chain(arrival).chain([next_activity, end]).min();
            self.now = next.unwrap_or(end).max(self.now);
            if self.now >= next_activity {
                self.ends
                    .iter_mut()
                    .for_each(|end| end.tunnel.handle_activity());
                next_activity = self.now + ACTIVITY;
            }
            while let Some(entry) = self.on_the_way.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (to, datagram) = entry.remove();
                self.deliver(to, &datagram);
            }
            for end in 0..2 {
                self.ends[end].tunnel.handle_timeout(self.now);
                self.drain(end);
            }
        }
    }

    /// A datagram from anyone.
    pub(crate) fn deliver(&mut self, to: usize, datagram: &[u8]) {
        let end = &mut self.ends[to];
        // A refusal is for the statistics; the machines must do without.
        let _ = match (&self.framing, DataMessage::parse(datagram)) {
            (Framing::Plain, _) => end.tunnel.handle_message(self.now, datagram),
            (_, Some(message)) => match end.open(&message) {
                Some(plaintext) => end.tunnel.handle_message(self.now, &plaintext),
                None => Ok(()),
            },
            (_, None) => end.tunnel.handle_datagram(self.now, datagram),
        };
        self.drain(to);
    }

    fn drain(&mut self, from: usize) {
        let end = &mut self.ends[from];
        while let Some(event) = end.tunnel.poll_event() {
            match event {
                Event::Receive(session) => end.receive = Some(session),
                Event::Use(session) => {
                    end.receive = Some(Arc::clone(&session));
                    end.send = Some(session);
                    end.sessions += 1;
                }
                Event::Up => end.is_up = true,
                Event::Down => end.is_up = false,
                Event::PathMtu(_) => {}
            }
        }
        while let Some(transmit) = self.ends[from].tunnel.poll_transmit() {
            let datagram = match transmit {
                Transmit::Datagram(datagram) => Some(datagram),
                Transmit::Message(message) => self.ends[from].frame(&self.framing, message),
            };
            if let Some(datagram) = datagram {
                self.send(from, datagram);
            }
        }
    }

    fn send(&mut self, from: usize, datagram: Vec<u8>) {
        let Weather {
            loss,
            repeated,
            delay_ms,
            width,
        } = self.weather;
        self.transcript
            .push((self.now - self.start, from, datagram.clone()));
        if datagram[0] == HELLO {
            let is_the_one = self.hellos_until_loss == Some(0);
            self.hellos_until_loss = self
                .hellos_until_loss
                .and_then(|count| count.checked_sub(1));
            if is_the_one {
                return;
            }
        }
        let copies = 1 + u64::from(self.chance.hits(repeated));
        for _ in 0..copies {
            let delay = Duration::from_micros(500 + self.chance.below(delay_ms * 1000));
            let order = self.chance.next();
            if !self.chance.hits(loss) && datagram.len() + 28 <= width {
                self.on_the_way
                    .insert((self.now + delay, order), (1 - from, datagram.clone()));
            }
        }
    }

    /// Both ends are up and hold two halves of the same session.
    pub(crate) fn is_in_agreement(&self) -> bool {
        let [a, b] = &self.ends;
        let meets = |from: &End, to: &End| match (&from.send, &to.receive) {
            (Some(send), Some(receive)) => {
                send.send_key().expose() == receive.receive_key().expose()
                    && send.remote_index == receive.local_index
            }
            (None, None) => matches!(self.framing, Framing::Plain),
            _ => false,
        };
        let is_same = meets(a, b) && meets(b, a);
        is_same && a.is_up && b.is_up
    }
}
