//! What pure code is told about time: readings of two clocks, taken together.

use core::time::Duration;
use std::time::Instant;

/// One moment, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The clock that only goes forward: timers run by it.
    pub instant: Instant,
    /// Time since 1970-01-01 00:00 UTC, which someone may set at any moment: what peers and people see.
    pub unix: Duration,
}
