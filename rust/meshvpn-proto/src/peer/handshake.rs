//! A peer's handshakes, in both directions.
//!
//! Ours and the peer's are independent of each other: reading the peer's initiation does not end our own.
//! So when both sides begin at once, neither has to wait for the other's timer; [`sessions`](super::sessions)
//! says which of the two sessions stays.

use super::sessions::{Established, Role};
use super::timers::INITIATION_INTERVAL;
use super::{
    Context, Peer, REKEY_ATTEMPT_TIME, REKEY_JITTER, REKEY_TIMEOUT, Timer, ZERO_KEYS_AFTER_TIME,
    jitter,
};
use crate::forward::{DropReason, Path};
use crate::noise::handshake::{Initiator, Responder, SessionKeys};
use crate::noise::messages::{CookieReply, Initiation, Response};
use crate::noise::tai64n::Tai64n;
use crate::session::transport::SealedSession;
use crate::wireguard::Event;
use core::time::Duration;
use std::sync::Arc;

/// Our initiation that waits for its response.
#[derive(Debug)]
pub(super) struct Pending {
    index: u32,
    initiator: Initiator,
}

impl Peer {
    /// Begins a handshake, unless one has been going on for less than [`REKEY_TIMEOUT`]. Somebody asks for
    /// it now, so it may take [`REKEY_ATTEMPT_TIME`] from now.
    pub(crate) fn want_handshake(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        self.attempts_end = Some(now + REKEY_ATTEMPT_TIME);
        match self.handshake_sent.map(|sent| sent + REKEY_TIMEOUT) {
            Some(next) if now < next => {
                // What we sent may lead to a session; if not, nobody need ask again.
                let next = next + jitter(context);
                self.timers.set_if_unset(Timer::RetransmitHandshake, next);
            }
            _ => self.initiate(context),
        }
    }

    /// Somebody wants a session that begins no earlier than now: begins a handshake after `delay`, or when the
    /// last one is old enough. False when there is nothing to replace.
    pub(crate) fn renew(&mut self, context: &mut Context<'_>, delay: Duration) -> bool {
        if self.pending.is_none() && self.sessions.next_expiry().is_none() {
            return false;
        }
        let now = context.now.instant;
        // With the full jitter: both sides must see more than this time between the two sessions, or they
        // may take them for such that crossed, and keep the old one.
        let earliest = self
            .handshake_sent
            .map(|sent| sent + REKEY_TIMEOUT + REKEY_JITTER);
        let at = earliest.map_or(now, |earliest| earliest.max(now)) + delay;
        self.timers.set(Timer::RenewSession, at);
        true
    }

    /// The initiation was not answered in time.
    pub(super) fn retry(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        if self.attempts_end.is_some_and(|end| now < end) {
            context.forget_source();
            return self.initiate(context);
        }
        self.drop_pending(context);
        self.timers.clear(Timer::SendKeepalive);
        self.timers
            .set_if_unset(Timer::ZeroKeys, now + ZERO_KEYS_AFTER_TIME);
        context.state().discard_parked();
        let slot = context.slot;
        context.events.push_back(Event::GaveUp { slot });
    }

    /// Sends an initiation, in place of the one before.
    fn initiate(&mut self, context: &mut Context<'_>) {
        self.drop_pending(context);
        let Some(path) = context.path() else {
            return;
        };
        let now = context.now.instant;
        let timestamp = Tai64n::after(self.own_timestamp, context.now.unix);
        let preshared = self.preshared.as_ref();
        let ephemeral = context.ephemeral(&self.key, preshared);
        let index = context.reserve_index();
        let begun = Initiator::new(context.identity, self.key, preshared, ephemeral).and_then(
            |mut initiator| {
                let initiation = initiator.initiate(index, &timestamp)?;
                Ok((initiator, initiation))
            },
        );
        let Ok((initiator, mut initiation)) = begun else {
            // The peer's public key is one that nobody can shake hands with.
            return context.forget_index(index);
        };
        self.stamper.stamp(now, &mut initiation);
        self.own_timestamp = Some(timestamp);
        self.pending = Some(Pending { index, initiator });
        self.timers.clear(Timer::RenewSession);
        self.note_handshake_sent(context);
        let retry = now + REKEY_TIMEOUT + jitter(context);
        self.timers.set(Timer::RetransmitHandshake, retry);
        context.send_to(path, initiation.as_bytes());
    }

    /// Answers an initiation of this peer, which `responder` has read.
    pub(crate) fn handle_initiation(
        &mut self,
        context: &mut Context<'_>,
        path: Path,
        initiation: &Initiation,
        mut responder: Responder,
    ) -> Result<(), DropReason> {
        let now = context.now.instant;
        let timestamp = *responder.timestamp();
        let is_new = self.peer_timestamp.is_none_or(|newest| timestamp > newest);
        let is_soon = self
            .initiation_read
            .is_some_and(|last| now < last + INITIATION_INTERVAL);
        if !is_new || is_soon {
            return Err(DropReason::OldHandshake);
        }
        self.peer_timestamp = Some(timestamp);
        self.initiation_read = Some(now);
        context.count_received(initiation.as_bytes());
        context.follow(path);

        let index = context.reserve_index();
        let preshared = self.preshared.as_ref();
        let ephemeral = context.ephemeral(&self.key, preshared);
        let answer = responder.answer(index, preshared, ephemeral);
        let Ok((mut response, keys)) = answer else {
            context.forget_index(index);
            return Err(DropReason::BadHandshake);
        };
        let session = new_session(index, initiation.sender(), keys).awaiting_confirmation();
        let session = Arc::new(session);
        context.table.indices.set(context.slot, &session);
        let next = Established::new(session, Role::Responder, now);
        let gone = self.sessions.offer(next);
        self.settle(context, gone);
        self.stamper.stamp(now, &mut response);
        self.timers.clear(Timer::NewHandshake);
        self.timers.clear(Timer::RenewSession);
        self.timers.set(Timer::ZeroKeys, now + ZERO_KEYS_AFTER_TIME);
        self.note_handshake_sent(context);
        context.send_to(path, response.as_bytes());
        Ok(())
    }

    /// Takes the response to our initiation.
    pub(crate) fn handle_response(
        &mut self,
        context: &mut Context<'_>,
        path: Path,
        response: &Response,
    ) -> Result<(), DropReason> {
        let now = context.now.instant;
        let pending = self.pending.as_mut();
        let pending = pending.filter(|pending| pending.index == response.receiver());
        let pending = pending.ok_or(DropReason::UnknownSession)?;
        let keys = pending.initiator.finish(response);
        let keys = keys.map_err(|_| DropReason::BadHandshake)?;
        let session = Arc::new(new_session(pending.index, response.sender(), keys));
        // The number lives on in the session.
        self.pending = None;
        context.count_received(response.as_bytes());
        context.follow(path);
        context.table.indices.set(context.slot, &session);
        let current = Established::new(session, Role::Initiator, now);
        let gone = self.sessions.begin(current);
        self.settle(context, gone);
        self.timers.clear(Timer::NewHandshake);
        self.timers.set(Timer::ZeroKeys, now + ZERO_KEYS_AFTER_TIME);
        self.note_success(context, Role::Initiator);
        // The peer must not use its side before it has heard this.
        self.send_keepalive(context);
        Ok(())
    }

    /// Takes a cookie for our last handshake message. It is used when that is repeated; it never changes
    /// where the peer is taken to be, since it proves nothing about its sender but that it saw the message.
    pub(crate) fn handle_cookie(
        &mut self,
        context: &mut Context<'_>,
        reply: &CookieReply,
    ) -> Result<(), DropReason> {
        if !self.stamper.take_cookie(context.now.instant, reply) {
            return Err(DropReason::BadCookie);
        }
        context.count_received(reply.as_bytes());
        Ok(())
    }

    /// Wipes what our unanswered initiation left.
    pub(super) fn drop_pending(&mut self, context: &Context<'_>) {
        if let Some(pending) = self.pending.take() {
            context.forget_index(pending.index);
        }
    }

    fn note_handshake_sent(&mut self, context: &Context<'_>) {
        let now = context.now.instant;
        self.handshake_sent = Some(now);
        self.note_sent(now);
    }
}

fn new_session(local: u32, remote: u32, keys: SessionKeys) -> SealedSession {
    SealedSession::new(local, remote, keys.send, keys.receive)
}
