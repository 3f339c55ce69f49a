//! Pings and pongs that come in.

use core::time::Duration;
use std::time::Instant;

use super::{Event, PathAgent, Route, Transmit};
use crate::forward::Path;
use crate::path::probe::{Ping, Pong, Probe};

/// A path that a ping came by is pinged in return, unless it is known to have worked this lately.
const KNOWN_TO_WORK: Duration = Duration::from_secs(2);

impl PathAgent {
    /// Takes a probe that came by `path`, out of the session.
    pub fn handle_probe(&mut self, now: Instant, path: Path, probe: Probe) {
        match probe {
            Probe::Request(echo) => {
                let probe = Probe::Reply(echo);
                self.transmits.push_back(Transmit { path, probe });
            }
            // Nobody asks yet how long packets may be.
            Probe::Reply(_) => {}
            Probe::Ping(ping) => self.handle_ping(now, path, ping),
            Probe::Pong(pong) => self.handle_pong(now, path, pong),
            Probe::Call(call) => self.handle_call(now, path, call),
        }
        self.advance(now);
    }

    /// Something authentic that is no probe came by `path`: a handshake message.
    pub fn handle_heard(&mut self, now: Instant, path: Path) {
        let path = Path {
            source: None,
            ..path
        };
        self.learn(now, path);
        self.heard_by = Some(path).filter(|path| path.relayed_number().is_none());
        self.advance(now);
    }

    fn handle_ping(&mut self, now: Instant, path: Path, ping: Ping) {
        let probe = Probe::Pong(Pong {
            token: ping.token,
            received: 0,
            seen_at: path.destination,
        });
        self.transmits.push_back(Transmit { path, probe });
        let index = self.learn(
            now,
            Path {
                source: None,
                ..path
            },
        );
        if let Some(pair) = index.and_then(|index| self.pairs.get_mut(index)) {
            pair.take_arrived(ping.received);
        }
    }

    fn handle_pong(&mut self, now: Instant, path: Path, pong: Pong) {
        let path = Path {
            source: None,
            ..path
        };
        let Some(sent) = self.everything().find_map(|pair| pair.sent(pong.token)) else {
            return;
        };
        self.answer_asked(now, path, pong.token, sent.at);
        if let Some(relay) = self
            .relay
            .as_mut()
            .filter(|relay| relay.sent(pong.token).is_some())
        {
            // The answer may come over another relay than the ping went.
            return relay.take_pong(now, sent);
        }
        let mut sent_on = self.pairs.iter_mut();
        let sent_on = sent_on.find(|pair| pair.sent(pong.token).is_some());
        let Some(pair) = sent_on.filter(|pair| pair.path == path) else {
            // It proves the way there, but not the way back: the source is a candidate like any other.
            self.learn(now, path);
            return;
        };
        pair.take_pong(now, sent);
        pair.take_arrived(pong.received);
        if pair.seen_at.replace(pong.seen_at) != Some(pong.seen_at) {
            self.events.push_back(Event::SeenAt(pong.seen_at));
        }
        self.compare(path);
        self.judge(now, path, sent, pong.received);
    }

    /// The pair of a path that something came by. A relay's is remembered as the way back where there is no other;
    /// a direct one is pinged, unless it is known to work.
    fn learn(&mut self, now: Instant, path: Path) -> Option<usize> {
        if path.relayed_number().is_some() {
            if self.relay.is_none() {
                self.handle_relay(now, Some(path));
            }
            return None;
        }
        let index = self.pair_of_arrival(path);
        let is_wanted = self.is_wanted(now);
        let pair = &mut self.pairs[index];
        let works = pair.answered_at.is_some_and(|at| now < at + KNOWN_TO_WORK);
        if is_wanted && !works && !pair.is_opening() {
            pair.open(now);
        }
        Some(index)
    }

    fn answer_asked(&mut self, now: Instant, path: Path, token: u64, sent_at: Instant) {
        let asked = self.asked.iter().position(|(_, sent)| *sent == Some(token));
        let Some((id, _)) = asked.and_then(|index| self.asked.remove(index)) else {
            return;
        };
        let route = match path.relayed_number() {
            Some(_) => Route::Relayed,
            None => Route::Direct(path.destination),
        };
        let round_trip = now.saturating_duration_since(sent_at);
        self.events.push_back(Event::Pong {
            id,
            route,
            round_trip,
        });
    }
}
