//! One WireGuard peer: its handshakes, its sessions, its timers.
//!
//! | module | holds |
//! |---|---|
//! | [`timers`] | WireGuard's times, and what a peer may be waiting for |
//! | [`sessions`] | previous, current, next |
//! | `handshake` | initiations and responses, both ways |
//! | `context` | what a peer needs of its device |
//!
//! The data plane works without a clock: it seals with the session in the peer's slot and opens whatever
//! names a session in the table. So everything that WireGuard says about *when* is done here, by putting
//! sessions there and taking them away: at [`REJECT_AFTER_TIME`] to the timer, not at the next packet.
//! What the data plane has to say comes here as [`Activity`], late by as long as the driver
//! lets it lie (some 50 ms), but in its true order.
//!
//! A peer with which nothing happens has no timer running, and costs nothing.

pub(crate) mod context;
mod handshake;
pub mod sessions;
pub mod timers;

use core::time::Duration;
use std::time::Instant;

pub(crate) use context::Context;
use handshake::Pending;
use sessions::{Gone, Role, Sessions};
use timers::{
    KEEPALIVE_TIMEOUT, REJECT_AFTER_TIME, REKEY_AFTER_MESSAGES, REKEY_AFTER_TIME,
    REKEY_ATTEMPT_TIME, REKEY_JITTER, REKEY_TIMEOUT, Timer, Timers, ZERO_KEYS_AFTER_TIME,
};

use crate::forward::Activity;
use crate::keys::{PresharedKey, PublicKey};
use crate::noise::cookie::Stamper;
use crate::noise::tai64n::Tai64n;

use crate::wireguard::Event;

/// A peer, as its device knows it. What the data plane has to know is in the peer's slot.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) key: PublicKey,
    pub(crate) preshared: Option<PresharedKey>,
    pub(crate) persistent_keepalive: Option<Duration>,
    /// When the last handshake succeeded, since 1970.
    pub(crate) last_handshake: Option<Duration>,
    stamper: Stamper,
    /// Our initiation that waits for its response.
    pending: Option<Pending>,
    sessions: Sessions,
    timers: Timers,
    /// Of our last initiation.
    own_timestamp: Option<Tai64n>,
    /// Of the peer's newest initiation.
    peer_timestamp: Option<Tai64n>,
    /// When we read that one.
    initiation_read: Option<Instant>,
    /// When we last sent an initiation or a response.
    handshake_sent: Option<Instant>,
    /// Until when to try.
    attempts_end: Option<Instant>,
    /// More data came while a keepalive was due already.
    owes_another_keepalive: bool,
    /// The handshake that a dying session asks for when it receives has been asked for.
    has_asked_late: bool,
}

impl Peer {
    pub(crate) fn new(key: PublicKey) -> Self {
        Self {
            key,
            preshared: None,
            persistent_keepalive: None,
            last_handshake: None,
            stamper: Stamper::new(&key),
            pending: None,
            sessions: Sessions::default(),
            timers: Timers::default(),
            own_timestamp: None,
            peer_timestamp: None,
            initiation_read: None,
            handshake_sent: None,
            attempts_end: None,
            owes_another_keepalive: false,
            has_asked_late: false,
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::RetransmitHandshake => self.retry(context),
                Timer::SendKeepalive => {
                    self.send_keepalive(context);
                    if core::mem::take(&mut self.owes_another_keepalive) {
                        self.timers
                            .set(Timer::SendKeepalive, now + KEEPALIVE_TIMEOUT);
                    }
                }
                Timer::NewHandshake => {
                    context.forget_source();
                    self.want_handshake(context);
                }
                Timer::PersistentKeepalive => {
                    self.send_keepalive(context);
                    if let Some(interval) = self.persistent_keepalive {
                        // Sending has set it, if anything could be sent.
                        self.timers
                            .set_if_unset(Timer::PersistentKeepalive, now + interval);
                    }
                }
                Timer::RejectSession => {
                    let gone = self.sessions.expire(now);
                    self.settle(context, gone);
                }
                Timer::ZeroKeys => self.forget_keys(context),
            }
        }
    }

    /// Takes what passed through the slot since the last call.
    pub(crate) fn handle_activity(&mut self, context: &mut Context<'_>, activity: Activity) {
        let now = context.now.instant;
        if activity.moved()
            && let Some(path) = context.path()
        {
            let slot = context.slot;
            context.events.push_back(Event::Moved { slot, path });
        }
        if activity.received() {
            self.timers.clear(Timer::NewHandshake);
        }
        if activity.sent_data() {
            self.timers.clear(Timer::SendKeepalive);
        }
        if activity.sent_data() || activity.received() {
            self.note_traversal(now);
        }
        if activity.awaits_answer() {
            let patience = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + jitter(context);
            self.timers
                .set_if_unset(Timer::NewHandshake, now + patience);
        }
        if activity.owes_answer() {
            if self.timers.is_set(Timer::SendKeepalive) {
                self.owes_another_keepalive = true;
            } else {
                self.timers
                    .set(Timer::SendKeepalive, now + KEEPALIVE_TIMEOUT);
            }
        }
        let is_without = activity.wants_session() && !self.can_send();
        if is_without || self.must_renew(now, activity) {
            self.want_handshake(context);
        }
    }

    /// A packet waits for a session.
    pub(crate) fn handle_no_session(&mut self, context: &mut Context<'_>) {
        if !self.can_send() {
            self.want_handshake(context);
        }
    }

    /// The peer has used session `index` for the first time.
    pub(crate) fn handle_confirmed(&mut self, context: &mut Context<'_>, index: u32) {
        let own = context.identity.public_key();
        let Some(gone) = self.sessions.confirm(index, *own < self.key) else {
            // It has gone meanwhile, and the receiving thread has put it into the slot.
            return self.settle(context, Gone::new());
        };
        // Whatever we began meanwhile is not needed any more.
        self.drop_pending(context);
        self.settle(context, gone);
        self.note_success(context, Role::Responder);
    }

    /// Sets the interval at which the peer hears from us even when there is nothing to say.
    pub(crate) fn set_persistent_keepalive(
        &mut self,
        context: &mut Context<'_>,
        interval: Option<Duration>,
    ) {
        let interval = interval.and_then(keepalive_interval);
        let before = core::mem::replace(&mut self.persistent_keepalive, interval);

        self.timers.clear(Timer::PersistentKeepalive);
        self.note_traversal(context.now.instant);
        if before.is_none() {
            self.begin_keepalives(context);
        }
    }

    /// Begins to keep a peer informed that wants it, once there is all that takes.
    pub(crate) fn begin_keepalives(&mut self, context: &mut Context<'_>) {
        if self.persistent_keepalive.is_some() {
            self.note_traversal(context.now.instant);
            self.send_keepalive(context);
        }
    }

    /// Ends everything that was agreed on or begun: one of us is somebody else now.
    pub(crate) fn begin_anew(&mut self, context: &mut Context<'_>) {
        self.forget_keys(context);
        self.timers = Timers::default();
        self.handshake_sent = None;
    }

    /// Forgets all sessions and handshakes, but not what keeps replays out. A handshake that is being tried
    /// is tried again at its time, with new keys.
    fn forget_keys(&mut self, context: &mut Context<'_>) {
        self.drop_pending(context);
        let gone = self.sessions.clear();
        self.settle(context, gone);
        self.timers.clear(Timer::ZeroKeys);
    }

    /// Sends nothing, sealed; begins a handshake when there is no session for that.
    fn send_keepalive(&mut self, context: &mut Context<'_>) {
        let session = self.sessions.current().map(|current| &current.session);
        let Some(datagram) = session.and_then(|session| session.seal(&[])) else {
            return self.want_handshake(context);
        };
        context.send(&datagram);
        let now = context.now.instant;
        self.note_sent(now);
        if self.is_worn(now) {
            self.want_handshake(context);
        }
    }

    /// Something authentic was sent that is not data.
    fn note_sent(&mut self, now: Instant) {
        self.timers.clear(Timer::SendKeepalive);
        self.note_traversal(now);
    }

    /// Something authentic was sent or received.
    fn note_traversal(&mut self, now: Instant) {
        if let Some(interval) = self.persistent_keepalive {
            self.timers.set(Timer::PersistentKeepalive, now + interval);
        }
    }

    /// A handshake has led to a session that both sides can use.
    fn note_success(&mut self, context: &mut Context<'_>, role: Role) {
        self.timers.clear(Timer::RetransmitHandshake);
        self.attempts_end = None;
        self.has_asked_late = false;
        self.last_handshake = Some(context.now.unix);
        let slot = context.slot;
        context.events.push_back(Event::Session { slot, role });
    }

    /// After any change of sessions: the table, the slot and the timer follow.
    fn settle(&mut self, context: &mut Context<'_>, gone: Gone) {
        gone.into_iter()
            .for_each(|index| context.forget_index(index));
        context.send_with(self.sessions.current().map(|current| &current.session));
        match self.sessions.next_expiry() {
            Some(at) => self.timers.set(Timer::RejectSession, at),
            None => self.timers.clear(Timer::RejectSession),
        }
    }

    /// Whether whoever sends with the session has to see to the next one.
    fn is_worn(&self, now: Instant) -> bool {
        self.sessions.current().is_some_and(|current| {
            let is_old = current.role == Role::Initiator && current.age(now) >= REKEY_AFTER_TIME;
            is_old || current.session.sent() > REKEY_AFTER_MESSAGES
        })
    }

    fn can_send(&self) -> bool {
        self.sessions
            .current()
            .is_some_and(|current| !current.session.is_used_up())
    }

    /// Whether the session is so old that what passed through it asks for the next one.
    fn must_renew(&mut self, now: Instant, activity: Activity) -> bool {
        let Some(current) = self.sessions.current() else {
            return false;
        };
        if activity.sent_data() && self.is_worn(now) {
            return true;
        }

        // Just in time: an exchange of keepalives and one more attempt still fit in.
        let late = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
        let is_ours = current.role == Role::Initiator;
        let is_late = activity.received() && is_ours && current.age(now) >= late;

        is_late && !core::mem::replace(&mut self.has_asked_late, true)
    }
}

/// What an interval between keepalives means: none when it is zero, and never more than the 65,535 s that
/// people can ask for.
pub(crate) fn keepalive_interval(asked: Duration) -> Option<Duration> {
    (!asked.is_zero()).then_some(asked.min(Duration::from_secs(u16::MAX.into())))
}

fn jitter(context: &mut Context<'_>) -> Duration {
    let share = u64::from(context.entropy.number());
    Duration::from_micros((REKEY_JITTER.as_micros() as u64 * share) >> 32)
}
