//! Streams: bytes in order over packets that are lost and overtake each other. As much of TCP as it takes to
//! carry a control channel or a relay connection through the same links and NATs as everything else.
//!
//! ```text
//! +------+-----------+---------+------+
//! | kind | number    | expected| data |      number: of this piece; expected: the next one that is missing
//! +------+-----------+---------+------+
//!    1        8           8
//! ```
//!
//! Opening is one packet each way. Up to `WINDOW` pieces are under way; what is not confirmed in time is sent
//! again, after waits that double. There is no congestion control: nothing here sends much.

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// Bytes of data in a piece: with headers, 1,280 and some fit every link that carries IPv6.
const PIECE: usize = 1200;
/// Pieces under way at most.
const WINDOW: usize = 64;
const HEADER: usize = 17;
/// How long an opening is waited for at first, and how often it is tried (Linux: 1 s, and some six times).
const OPENING_WAIT: Duration = Duration::from_secs(1);
const OPENING_TRIES: u32 = 6;
/// The same of data: an end that is gone without a word is noticed after some 25 seconds.
const DATA_WAIT: Duration = Duration::from_millis(300);
const DATA_TRIES: u32 = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a packet of a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Open = 0,
    Accept = 1,
    Data = 2,
    Confirm = 3,
    End = 4,
    Reset = 5,
}

/// What has happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The other end has accepted it.
    Connected,
    /// Bytes, in order.
    Data(Vec<u8>),
    /// It is over, and nothing more will come.
    Closed(Closed),
}

/// Why a stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// The other end has closed it.
    Ended,
    /// The other end knows nothing of it, or nobody listens there.
    Reset,
    /// The other end does not answer.
    TimedOut,
}

/// One end of a stream.
#[derive(Debug)]
pub(crate) struct Endpoint {
    state: State,
    /// Pieces that have numbers and are not confirmed; the first ones are under way.
    pieces: VecDeque<Piece>,
    /// The number of the first of them.
    first: u64,
    sent: usize,
    /// The number of the next piece that is to come.
    expected: u64,
    early: BTreeMap<u64, (Kind, Vec<u8>)>,
    wait: Duration,
    tries: u32,
    repeat_at: Option<Duration>,
    packets: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Over,
}

#[derive(Debug)]
struct Piece {
    kind: Kind,
    data: Vec<u8>,
}

impl Endpoint {
    /// The end that opens.
    pub(crate) fn open(now: Duration) -> Self {
        let mut endpoint = Self::new(State::Opening, OPENING_WAIT);
        endpoint.emit(Kind::Open, 0, &[]);
        endpoint.repeat_at = Some(now + OPENING_WAIT);
        endpoint
    }

    /// The end that was opened to.
    pub(crate) fn accept() -> Self {
        let mut endpoint = Self::new(State::Open, DATA_WAIT);
        endpoint.emit(Kind::Accept, 0, &[]);
        endpoint
    }

    fn new(state: State, wait: Duration) -> Self {
        Self {
            state,
            pieces: VecDeque::new(),
            first: 0,
            sent: 0,
            expected: 0,
            early: BTreeMap::new(),
            wait,
            tries: 0,
            repeat_at: None,
            packets: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Sends bytes, once the stream is open.
    pub(crate) fn send(&mut self, now: Duration, bytes: &[u8]) {
        if self.state != State::Over {
            let pieces = bytes.chunks(PIECE).map(|data| Piece {
                kind: Kind::Data,
                data: data.to_vec(),
            });
            self.pieces.extend(pieces);
            self.push(now);
        }
    }

    /// Ends it, after all that was sent.
    pub(crate) fn close(&mut self, now: Duration) {
        if self.state != State::Over {
            self.pieces.push_back(Piece {
                kind: Kind::End,
                data: Vec::new(),
            });
            self.push(now);
        }
    }

    /// Takes a packet.
    pub(crate) fn handle(&mut self, now: Duration, packet: &[u8]) {
        let Some((kind, number, expected, data)) = parse(packet) else {
            return;
        };
        match (kind, self.state) {
            (_, State::Over) => return,
            (Kind::Reset, _) => {
                self.end(Closed::Reset);
                return;
            }
            (Kind::Open, State::Open) => self.emit(Kind::Accept, 0, &[]),
            (Kind::Accept, State::Opening) => {
                (self.state, self.wait, self.tries) = (State::Open, DATA_WAIT, 0);
                self.repeat_at = None;
                self.events.push_back(Event::Connected);
                self.push(now);
            }
            (Kind::Data | Kind::End, State::Open) => {
                if number >= self.expected {
                    self.early.insert(number, (kind, data.to_vec()));
                }
                while let Some((kind, data)) = self.early.remove(&self.expected) {
                    self.expected += 1;
                    if kind == Kind::End {
                        self.emit(Kind::Confirm, 0, &[]);
                        self.end(Closed::Ended);
                        return;
                    }
                    self.events.push_back(Event::Data(data));
                }
                self.emit(Kind::Confirm, 0, &[]);
            }
            _ => {}
        }
        if kind != Kind::Open && kind != Kind::Accept {
            self.confirm(now, expected);
        }
    }

    /// Sends again what was not confirmed in time, or gives up.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if self.repeat_at.is_none_or(|at| at > now) {
            return;
        }
        self.tries += 1;
        let most = match self.state {
            State::Opening => OPENING_TRIES,
            _ => DATA_TRIES,
        };
        if self.tries >= most {
            self.end(Closed::TimedOut);
            return;
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.repeat_at = Some(now + self.wait);
        match self.state {
            State::Opening => self.emit(Kind::Open, 0, &[]),
            _ => {
                // The first of them; the others follow when that is confirmed.
                self.sent = 0;
                self.emit_pieces(1);
            }
        }
    }

    pub(crate) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.repeat_at
    }

    /// Nothing more will come of it.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn confirm(&mut self, now: Duration, expected: u64) {
        let confirmed = expected.saturating_sub(self.first);
        if confirmed == 0 || confirmed > self.pieces.len() as u64 {
            return;
        }
        let confirmed = confirmed as usize;
        let has_ended = self
            .pieces
            .drain(..confirmed)
            .any(|piece| piece.kind == Kind::End);
        self.first = expected;
        self.sent = self.sent.saturating_sub(confirmed);
        (self.wait, self.tries) = (DATA_WAIT, 0);
        self.repeat_at = None;
        if has_ended {
            self.state = State::Over;
        } else {
            self.push(now);
        }
    }

    /// Sends what the window has room for.
    fn push(&mut self, now: Duration) {
        if self.state != State::Open {
            return;
        }
        self.emit_pieces(WINDOW);
        if !self.pieces.is_empty() && self.repeat_at.is_none() {
            self.repeat_at = Some(now + self.wait);
        }
    }

    fn emit_pieces(&mut self, window: usize) {
        while self.sent < self.pieces.len().min(window) {
            let number = self.first + self.sent as u64;
            let Piece { kind, data } = &self.pieces[self.sent];
            let packet = packet(*kind, number, self.expected, data);
            self.packets.push_back(packet);
            self.sent += 1;
        }
    }

    fn emit(&mut self, kind: Kind, number: u64, data: &[u8]) {
        let packet = packet(kind, number, self.expected, data);
        self.packets.push_back(packet);
    }

    fn end(&mut self, why: Closed) {
        self.state = State::Over;
        self.repeat_at = None;
        self.pieces.clear();
        self.events.push_back(Event::Closed(why));
    }
}

/// Tells the sender of a packet that nothing is known of its stream; none when that is what it says itself.
pub(crate) fn reset_for(received: &[u8]) -> Option<Vec<u8>> {
    let (kind, ..) = parse(received)?;
    (kind != Kind::Reset).then(|| packet(Kind::Reset, 0, 0, &[]))
}

/// Whether a packet opens a stream.
pub(crate) fn opens(received: &[u8]) -> bool {
    matches!(parse(received), Some((Kind::Open, ..)))
}

fn packet(kind: Kind, number: u64, expected: u64, data: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + data.len());
    packet.push(kind as u8);
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&expected.to_be_bytes());
    packet.extend_from_slice(data);
    packet
}

fn parse(packet: &[u8]) -> Option<(Kind, u64, u64, &[u8])> {
    let (header, data) = packet.split_first_chunk::<HEADER>()?;
    let kind = match header[0] {
        0 => Kind::Open,
        1 => Kind::Accept,
        2 => Kind::Data,
        3 => Kind::Confirm,
        4 => Kind::End,
        5 => Kind::Reset,
        _ => return None,
    };
    let number = |at: usize| {
        let bytes = header[at..at + 8].first_chunk().copied();
        bytes.map(u64::from_be_bytes)
    };
    Some((kind, number(1)?, number(9)?, data))
}
