//! When to connect again: soon after the first failure, then less and less often, and never all at once.

use core::time::Duration;

use crate::noise::entropy::Entropy;

/// The first wait: a relay that was only restarted is back by then.
const FIRST: Duration = Duration::from_millis(100);
/// The longest: what a relay that comes back has to wait for its clients.
const LONGEST: Duration = Duration::from_secs(30);

/// The waits of one connection. Each is between half of its length and all of it, at random, so that the
/// clients of a relay that comes back do not come together.
#[derive(Debug)]
pub struct Backoff {
    failures: u32,
    entropy: Entropy,
}

impl Backoff {
    /// Nothing has failed yet.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            failures: 0,
            entropy: Entropy::new(seed),
        }
    }

    /// How long to wait, after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        let longest = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures += 1;
        self.between(longest / 2, longest)
    }

    /// A moment between two.
    pub fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let share = f64::from(self.entropy.number()) / f64::from(u32::MAX);
        shortest + longest.saturating_sub(shortest).mul_f64(share)
    }

    /// It has worked: the next failure is the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound_and_differ() {
        let mut backoff = Backoff::new([1; 32]);
        let delays: Vec<_> = (0..100).map(|_| backoff.next_delay()).collect();
        for (failures, delay) in delays.iter().enumerate() {
            let longest = FIRST
                .mul_f64(f64::from(1u32 << failures.min(16)))
                .min(LONGEST);
            assert!(
                (longest / 2..=longest).contains(delay),
                "{failures}: {delay:?}"
            );
        }
        assert_ne!(delays[90], delays[91]);
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
        assert_eq!(
            Backoff::new([1; 32]).next_delay(),
            delays[0],
            "a matter of the seed"
        );
    }
}
