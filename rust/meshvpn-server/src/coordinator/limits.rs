//! How often an address may fail to log in.
//!
//! Only failures count: a thousand nodes behind one NAT may come back at once, but who guesses at auth keys
//! gets a few tries a minute. Each address has a bucket that fills up again with time; a bucket that is full is
//! forgotten. An IPv6 host has a whole /64 to choose addresses from, so that is what counts.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

/// Most addresses that are remembered; beyond that, all others count as one.
const MOST: usize = 10_000;
const MINUTE: Duration = Duration::from_secs(60);
/// How often buckets that are full are looked for, when there are too many.
const PURGE: Duration = Duration::from_secs(1);

/// Failures by address.
#[derive(Debug)]
pub(super) struct Limits {
    per_minute: u32,
    /// When the bucket of an address will be full again.
    full_at: BTreeMap<IpAddr, Instant>,
    purged: Option<Instant>,
}

impl Limits {
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_minute: per_minute.max(1),
            full_at: BTreeMap::new(),
            purged: None,
        }
    }

    /// How long this address has to wait before the next try; none when it may try now.
    pub(super) fn wait(&self, now: Instant, address: IpAddr) -> Option<Duration> {
        let full_at = self.full_at.get(&self.place(address))?;
        // A failure costs one share of the minute; the bucket holds a minute of them.
        let allowed = *full_at + self.share();
        allowed
            .checked_duration_since(now + MINUTE)
            .filter(|wait| !wait.is_zero())
    }

    /// A try of this address has failed.
    pub(super) fn note_failure(&mut self, now: Instant, address: IpAddr) {
        let is_due = self.purged.is_none_or(|purged| now >= purged + PURGE);
        if self.full_at.len() >= MOST && is_due {
            self.purged = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        let (place, share) = (self.place(address), self.share());
        let full_at = self.full_at.entry(place).or_insert(now);
        *full_at = (*full_at).max(now) + share;
    }

    fn share(&self) -> Duration {
        MINUTE / self.per_minute
    }

    fn place(&self, address: IpAddr) -> IpAddr {
        let network = match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 => v4,
        };
        if self.full_at.len() >= MOST && !self.full_at.contains_key(&network) {
            return Ipv6Addr::UNSPECIFIED.into();
        }
        network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "time has to begin somewhere")]
    fn ten_tries_a_minute_and_then_one_in_six_seconds() {
        let now = Instant::now();
        let mut limits = Limits::new(10);
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        for _ in 0..10 {
            assert_eq!(limits.wait(now, address), None);
            limits.note_failure(now, address);
        }
        let wait = limits.wait(now, neighbour).unwrap();
        assert_eq!(wait, Duration::from_secs(6));
        assert_eq!(limits.wait(now + wait, address), None);
        assert_eq!(limits.wait(now, "192.0.2.1".parse().unwrap()), None);
        limits.note_failure(now + wait, address);
        assert!(limits.wait(now + wait, address).is_some());
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "time has to begin somewhere")]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut limits = Limits::new(10);
        for number in 0..30_000u32 {
            limits.note_failure(now, core::net::Ipv4Addr::from(number).into());
        }
        assert!(limits.full_at.len() <= MOST + 1);
        limits.note_failure(now + MINUTE * 3_000, "192.0.2.1".parse().unwrap());
        assert!(limits.full_at.len() <= 2);
    }
}
