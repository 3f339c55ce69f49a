//! What a client makes of the coordinator's messages.

use core::time::Duration;
use std::time::Instant;

use super::super::cache::{Cache, CacheError};
use super::super::messages::{
    CoordinatorMessage, Incoming, NodeMessage, Reason, Refusal, Registered,
};
use super::super::signature::Signed;
use super::{Client, Event, MapChange, Stage, State};
use crate::control::map::NodeId;

/// After a refusal that cannot change by itself.
const RETRY_REFUSED: Duration = Duration::from_secs(300);

impl Client {
    pub(super) fn receive(&mut self, now: Instant, message: &[u8]) {
        let message = match CoordinatorMessage::parse(message) {
            Ok(Incoming::Known(message)) => message,
            Ok(Incoming::Unknown(_)) => return,
            Err(error) => return self.fail(now, error.to_string(), None),
        };
        match message {
            CoordinatorMessage::Registered(registered) => self.registered(registered),
            CoordinatorMessage::Pending(text) => {
                self.enter(Stage::Pending);
                self.events.push_back(Event::Pending(text));
            }
            CoordinatorMessage::Refused(refusal) => self.refused(now, refusal),
            CoordinatorMessage::Map(signed) => self.whole_map(now, signed),
            CoordinatorMessage::Delta(signed) => self.delta(now, signed),
            CoordinatorMessage::Signal { from, candidates } => {
                self.events.push_back(Event::Signal { from, candidates });
            }
            CoordinatorMessage::Pong(_) => {}
        }
    }

    fn registered(&mut self, registered: Registered) {
        let Registered {
            node,
            name,
            map_key,
        } = registered;
        // Another mesh, or another place in it: what is known of the old one is void.
        if self.map_key != Some(map_key) || self.own != Some(node) {
            self.cache = None;
        }
        self.map_key = Some(map_key);
        // It has done what it was for.
        self.register.auth_key = None;
        self.enter(Stage::Up);
        self.own = Some(node);
        self.events.push_back(Event::Up { node, name });
    }

    fn refused(&mut self, now: Instant, refusal: Refusal) {
        let after = match refusal.retry_after {
            Some(seconds) => Duration::from_secs(seconds.into()),
            // Two that are the same machine would push each other out for ever.
            None if refusal.reason == Reason::TooSlow => Duration::ZERO,
            None => RETRY_REFUSED,
        };
        let reason = refusal.text.clone();
        self.events.push_back(Event::Refused(refusal));
        self.fail(now, reason, Some(after));
    }

    fn whole_map(&mut self, now: Instant, signed: Signed) {
        let (Some(own), Some(key)) = (self.own, self.map_key) else {
            return self.fail(now, "a map before the registration".to_owned(), None);
        };
        match Cache::begin(own, signed, &key) {
            Ok((cache, map)) => {
                self.cache = Some(cache);
                self.map = map;
                self.is_map_awaited = false;
                self.events.push_back(Event::MapChanged(MapChange::Whole));
            }
            Err(error) => self.fail(now, error.to_string(), None),
        }
    }

    fn delta(&mut self, now: Instant, signed: Signed) {
        let (Some(cache), Some(key)) = (&mut self.cache, self.map_key) else {
            return self.ask_for_map();
        };
        match cache.follow(signed, &mut self.map, &key) {
            Ok(delta) => {
                let mut nodes: Vec<NodeId> = delta.nodes().collect();
                nodes.sort_unstable();
                nodes.dedup();
                self.events
                    .push_back(Event::MapChanged(MapChange::Nodes(nodes)));
                if self.cache.as_ref().is_some_and(Cache::is_long) {
                    self.ask_for_map();
                }
            }
            // Of a map that is on its way, or of one that we never got.
            Err(CacheError::Gap(_)) => self.ask_for_map(),
            Err(error) => self.fail(now, error.to_string(), None),
        }
    }

    fn ask_for_map(&mut self) {
        if !self.is_map_awaited {
            self.is_map_awaited = true;
            self.say(&NodeMessage::Map);
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.failures = 0;
        if let State::Open(open) = &mut self.state {
            open.stage = stage;
        }
    }
}
