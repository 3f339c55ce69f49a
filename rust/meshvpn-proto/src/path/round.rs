//! One round of the search for the path MTU: several sizes probed at once.
//!
//! A round lies between `low`, which worked, and `top`, the largest size that may work. Each attempt
//! sends the undecided sizes, largest first, and last a *canary*: a size that works. On a path that
//! keeps the order, the canary's reply comes after all others, so soon after it there is nothing
//! left to wait for. Only what is lost while the canary gets through can be too long.

use core::time::Duration;
use std::time::Instant;

/// Sizes probed at once. Each round leaves an eighth of the range: four rounds find any MTU below
/// 1,500 to the byte, five any jumbo frame's.
const FAN_OUT: u32 = 8;
/// Times that a size is tried before it counts as too long, when nothing else is lost ...
const ATTEMPTS: u8 = 2;
/// ... and when the path also loses probes that must have fitted.
const ATTEMPTS_IF_LOSSY: u8 = 4;

/// A probe on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) size: u16,
    pub(super) token: u64,
    pub(super) at: Instant,
}

#[derive(Debug)]
pub(super) struct Round {
    low: u16,
    top: u16,
    sent: Vec<Sent>,
    answered: Vec<u16>,
    canary: Option<u64>,
    attempt: u8,
    is_lossy: bool,
    pub(super) deadline: Instant,
}

/// What a round has found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Not even `low` gets through.
    Nothing,
    /// This size works and the next does not.
    Exact(u16),
    /// The first size works, what is above the second does not.
    Between(u16, u16),
}

impl Round {
    pub(super) fn new(now: Instant, low: u16, top: u16, is_lossy: bool) -> Self {
        Self {
            low,
            top,
            sent: Vec::new(),
            answered: Vec::new(),
            canary: None,
            attempt: 0,
            is_lossy,
            deadline: now,
        }
    }

    /// Begins the next attempt: the sizes to probe, in this order.
    pub(super) fn begin_attempt(&mut self, deadline: Instant) -> Vec<u16> {
        self.is_lossy = self.is_lossy();
        self.attempt += 1;
        self.deadline = deadline;
        let works = self.best().unwrap_or(self.low);
        let undecided = self.sizes().filter(|size| *size > works);
        let mut sizes: Vec<_> = undecided.chain([works]).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes
    }

    /// Remembers a probe; the last one of an attempt is its canary.
    pub(super) fn note(&mut self, sent: Sent) {
        self.canary = Some(sent.token);
        self.sent.push(sent);
    }

    /// Remembers a probe that was sent before the round began.
    pub(super) fn note_earlier(&mut self, sent: Sent) {
        self.sent.push(sent);
    }

    /// Takes a reply; returns when its probe was sent, if it was one of this round's.
    pub(super) fn take_reply(&mut self, now: Instant, token: u64, grace: Duration) -> Option<Sent> {
        let sent = *self.sent.iter().find(|sent| sent.token == token)?;
        if !self.answered.contains(&sent.size) {
            self.answered.push(sent.size);
        }
        if self.canary == Some(token) {
            self.canary = None;
            self.deadline = self.deadline.min(now + grace);
        }
        Some(sent)
    }

    /// The largest size got through: there is nothing more to learn.
    pub(super) fn is_decided(&self) -> bool {
        self.best() == Some(self.top)
    }

    /// The deadline has passed: whether to try once more what was not answered.
    pub(super) fn wants_another_attempt(&self) -> bool {
        let is_unclear = self.is_lossy() || self.answered.is_empty();
        self.attempt
            < if is_unclear {
                ATTEMPTS_IF_LOSSY
            } else {
                ATTEMPTS
            }
    }

    /// How many attempts in a row nothing came back at all.
    pub(super) fn silent_attempts(&self) -> u8 {
        if self.answered.is_empty() {
            self.attempt
        } else {
            0
        }
    }

    /// Whether something was lost that must have fitted.
    pub(super) fn is_lossy(&self) -> bool {
        let is_hole = |size: u16| Some(size) < self.best() && !self.answered.contains(&size);
        self.is_lossy || self.sizes().any(is_hole)
    }

    pub(super) fn low(&self) -> u16 {
        self.low
    }

    pub(super) fn finding(&self) -> Finding {
        let Some(best) = self.best() else {
            return Finding::Nothing;
        };
        match self.sizes().find(|size| *size > best) {
            Some(too_long) if too_long > best + 1 => Finding::Between(best, too_long - 1),
            _ => Finding::Exact(best),
        }
    }

    fn best(&self) -> Option<u16> {
        self.answered.iter().copied().max()
    }

    /// The round's sizes, smallest first: `low`, `top`, and what divides the range between evenly.
    fn sizes(&self) -> impl Iterator<Item = u16> + use<> {
        let (low, span) = (self.low, u32::from(self.top - self.low));
        let count = span.min(FAN_OUT);
        (0..=count).map(move |i| low + (span * i / count.max(1)) as u16)
    }
}
