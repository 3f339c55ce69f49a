//! How fast a client may send: a token bucket.

use core::time::Duration;
use std::time::Instant;

/// How fast, for long and at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes at once.
    pub burst: u64,
}

/// What a client may send now. It may be overdrawn by what was read at once, and then the client waits.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// When it will have been filled.
    full_at: Instant,
}

impl Bucket {
    pub(super) fn new(now: Instant, rate: Rate) -> Self {
        Self { rate, full_at: now }
    }

    /// Takes `bytes`; returns when more may be taken, if that is not now.
    pub(super) fn take(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let time = |bytes: u64| {
            Duration::from_secs_f64(bytes as f64 / self.rate.bytes_per_second.max(1) as f64)
        };
        self.full_at = self.full_at.max(now) + time(bytes as u64);
        let free_at = self.full_at.checked_sub(time(self.rate.burst))?;
        (free_at > now).then_some(free_at)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut now = Instant::now();
        let rate = Rate {
            bytes_per_second: 1000,
            burst: 5000,
        };
        let mut bucket = Bucket::new(now, rate);
        let start = now;
        let mut sent = 0;
        while now < start + Duration::from_secs(60) {
            sent += 700;
            if let Some(at) = bucket.take(now, 700) {
                now = at;
            }
        }
        assert!((64_000..=66_400).contains(&sent), "{sent}");
        now += Duration::from_secs(3600);
        assert_eq!(
            bucket.take(now, 5000),
            None,
            "no more is saved than a burst"
        );
        assert!(bucket.take(now, 1).is_some());
    }
}
