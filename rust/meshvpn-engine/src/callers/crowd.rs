//! Peers that call a device as fast as they are answered.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::noise::cookie::Stamper;
use meshvpn_proto::noise::handshake::Initiator;
use meshvpn_proto::noise::identity::Identity;
use meshvpn_proto::noise::messages::{Authenticated, Initiation, Response};
use meshvpn_proto::noise::tai64n::Tai64n;
use zeroize::Zeroizing;

use super::Tally;
use super::line::{Answer, Line};

/// Calls that wait for an answer at a time: enough that the device always has one before it, few enough
/// that it need not drop any.
const WINDOW: usize = 32;
/// How long a caller pauses between two calls. Busy devices take 20 a second from one address.
const PAUSE: Duration = Duration::from_millis(60);
/// A call that is not answered in this time was dropped; the next one is made instead.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bits of a call's number that say whose it is; the others count that caller's calls.
const CALLER_BITS: u32 = 16;

/// Peers of a device, each with a key and an address of its own.
pub struct Crowd {
    device: PublicKey,
    callers: Vec<Caller>,
}

struct Caller {
    identity: Arc<Identity>,
    stamper: Stamper,
    timestamp: Option<Tai64n>,
    calls: VecDeque<Call>,
    made: u32,
    called_at: Option<Instant>,
    waiting: Option<Waiting>,
    /// Answered calls whose answers are still to be verified.
    answered: Vec<(Initiator, Response)>,
}

/// An initiation that is ready but for its MACs. Of some, the state is kept that can verify the answer.
struct Call {
    initiation: Initiation,
    initiator: Option<Initiator>,
}

struct Waiting {
    call: Call,
    since: Instant,
}

impl Crowd {
    /// The most callers that there can be.
    pub const MAX: usize = 1 << CALLER_BITS;

    /// Peers for the device with this public key.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(device: PublicKey, size: usize) -> io::Result<Self> {
        let callers = (0..size.min(Self::MAX)).map(|_| Caller::new(device));
        Ok(Self {
            device,
            callers: callers.collect::<io::Result<_>>()?,
        })
    }

    /// What the device has to know its peers by.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.callers
            .iter()
            .map(|caller| caller.identity.public_key())
    }

    /// Makes `count` calls ready for each caller; some 70 µs each.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn prepare(&mut self, count: usize) -> io::Result<()> {
        for (number, caller) in (0u32..).zip(&mut self.callers) {
            for turn in 0..count {
                caller.prepare(self.device, number, turn == 0)?;
            }
        }
        Ok(())
    }

    /// Makes all calls that are ready, in turns, and returns when each is answered or was dropped.
    ///
    /// # Errors
    /// When the network fails; and [`io::ErrorKind::InvalidData`] when the device answered with something
    /// that is no response to the call: one answer of each caller is verified when all is over.
    pub fn call(&mut self, line: &mut Line) -> io::Result<Tally> {
        let start = Instant::now();
        let mut last_answer = start;
        let mut tally = Tally::default();
        let mut rest: VecDeque<u32> = (0u32..).take(self.callers.len()).collect();
        let mut waiting: Vec<u32> = Vec::new();
        while !(rest.is_empty() && waiting.is_empty()) {
            let now = Instant::now();
            waiting.retain(|number| self.callers[*number as usize].still_waits(now));
            while waiting.len() < WINDOW
                && let Some(number) = rest.pop_front_if(|number| self.is_rested(*number, now))
            {
                // Who has no call left is done.
                if let Some(initiation) = self.callers[number as usize].call(now) {
                    line.send(number, initiation.bytes());
                    tally.sent += 1;
                    waiting.push(number);
                    rest.push_back(number);
                }
            }
            // A millisecond, for callers that pause; an answer wakes us before that.
            line.wait(Duration::from_millis(1))?;
            let before = tally.responses;
            for number in self.take_answers(line, &mut tally)? {
                if let Some(initiation) = self.callers[number as usize].repeat(now) {
                    line.send(number, initiation.bytes());
                    tally.sent += 1;
                }
            }
            if tally.responses > before {
                last_answer = Instant::now();
            }
        }
        tally.duration = last_answer - start;
        let are_valid = self.callers.iter_mut().all(Caller::has_valid_answers);
        are_valid.then_some(tally).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the device's response is wrong")
        })
    }

    fn is_rested(&self, number: u32, now: Instant) -> bool {
        self.callers[number as usize].is_rested(now)
    }

    /// Takes what has come; returns whose calls are to be repeated, now with a cookie.
    fn take_answers(&mut self, line: &mut Line, tally: &mut Tally) -> io::Result<Vec<u32>> {
        let now = Instant::now();
        let mut again = Vec::new();
        line.receive(|answer| {
            let number = answer.caller();
            let Some(caller) = self.callers.get_mut(number as usize) else {
                return;
            };
            match answer {
                Answer::Response(response) if caller.take_response(&response) => {
                    tally.responses += 1;
                }
                Answer::Cookie(reply) if caller.stamper.take_cookie(now, &reply) => {
                    tally.cookies += 1;
                    again.push(number);
                }
                _ => {}
            }
        })?;
        Ok(again)
    }
}

impl Caller {
    fn new(device: PublicKey) -> io::Result<Self> {
        let identity = Identity::new(random_key()?);
        identity.learn(device);
        Ok(Self {
            identity: Arc::new(identity),
            stamper: Stamper::new(&device),
            timestamp: None,
            calls: VecDeque::new(),
            made: 0,
            called_at: None,
            waiting: None,
            answered: Vec::new(),
        })
    }

    fn prepare(&mut self, device: PublicKey, number: u32, is_verified: bool) -> io::Result<()> {
        let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let timestamp = Tai64n::after(self.timestamp, unix);
        self.timestamp = Some(timestamp);
        let index = number | self.made << CALLER_BITS;
        self.made += 1;
        let begun = Initiator::new(&self.identity, device, None, random_key()?).and_then(
            |mut initiator| {
                let initiation = initiator.initiate(index, &timestamp)?;
                Ok((initiator, initiation))
            },
        );
        let (initiator, initiation) = begun.map_err(io::Error::other)?;
        self.calls.push_back(Call {
            initiation,
            initiator: is_verified.then_some(initiator),
        });
        Ok(())
    }

    fn is_rested(&self, now: Instant) -> bool {
        self.waiting.is_none() && self.called_at.is_none_or(|at| now >= at + PAUSE)
    }

    /// The next call, if one is ready.
    fn call(&mut self, now: Instant) -> Option<&Initiation> {
        let call = self.calls.pop_front()?;
        self.called_at = Some(now);
        let waiting = self.waiting.insert(Waiting { call, since: now });
        self.stamper.stamp(now, &mut waiting.call.initiation);
        Some(&waiting.call.initiation)
    }

    /// The call that waits, once more, with the cookie that came for it.
    fn repeat(&mut self, now: Instant) -> Option<&Initiation> {
        let waiting = self.waiting.as_mut()?;
        self.stamper.stamp(now, &mut waiting.call.initiation);
        Some(&waiting.call.initiation)
    }

    /// Whether its call is not answered yet; after a while it is given up.
    fn still_waits(&mut self, now: Instant) -> bool {
        self.waiting
            .take_if(|waiting| now >= waiting.since + PATIENCE);
        self.waiting.is_some()
    }

    /// True for a response to the call that waits.
    fn take_response(&mut self, response: &Response) -> bool {
        let waiting = self
            .waiting
            .take_if(|waiting| waiting.call.initiation.sender() == response.receiver());
        let Some(waiting) = waiting else { return false };
        let verified = waiting.call.initiator;
        self.answered
            .extend(verified.map(|initiator| (initiator, response.clone())));
        true
    }

    fn has_valid_answers(&mut self) -> bool {
        let mut answered = self.answered.drain(..);
        answered.all(|(mut initiator, response)| initiator.finish(&response).is_ok())
    }
}

impl Answer {
    /// Who made the call that this answers.
    fn caller(&self) -> u32 {
        let index = match self {
            Self::Response(response) => response.receiver(),
            Self::Cookie(reply) => reply.receiver(),
        };
        index & ((1 << CALLER_BITS) - 1)
    }
}

impl core::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Crowd")
            .field("callers", &self.callers.len())
            .finish_non_exhaustive()
    }
}

fn random_key() -> io::Result<PrivateKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(PrivateKey::new(*bytes))
}
