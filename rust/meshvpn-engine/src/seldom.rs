//! Saying something again only after a while.

use std::time::{Duration, Instant};

/// Ten a second are enough to see what goes on, and cost nothing.
const INTERVAL: Duration = Duration::from_millis(100);

/// For what is told of each message that somebody sends us: anyone may send as many as they like.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Option<Instant>);

impl Seldom {
    /// True when it was not true for a while.
    pub(crate) fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= INTERVAL);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}
