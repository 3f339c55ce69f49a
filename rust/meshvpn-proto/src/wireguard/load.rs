//! How many handshakes a device takes on: when it is busy, and whom it still serves then.
//!
//! Every handshake message that gets past mac1 costs at least one multiplication on the curve, before
//! anything is known of its sender. A bucket of tokens counts them. When it is empty the device is *under
//! load* for a second, and serves only senders who use a cookie, so that each address can be counted for
//! itself (whitepaper, section 5.3). Who brings none gets one, but no faster than is cheap.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

/// How long a device stays careful after it was last too busy.
const CAUTION: Duration = Duration::from_secs(1);
/// Handshake messages a second from one address that is known to be the sender's own, and how many at
/// once: a peer sends one in five seconds, but many peers may share an address.
const PER_SOURCE: Rate = Rate {
    per_second: 20,
    burst: 5,
};
/// Addresses counted at a time. All of them have shown that they receive there.
const MAX_SOURCES: usize = 8192;

/// So many a second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

impl Rate {
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

/// What a device spends on handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Handshake messages with a right mac1 that are served without asking for cookies. One costs some
    /// 65 µs when it turns out to be nothing, and 200 µs when it is a handshake.
    pub handshakes: Rate,
    /// Cookies given out. One costs some 2 µs, and its datagram three times that. This is generous, because
    /// a flood of more than this takes their cookies from peers, too: of a flood twice as fast, every other
    /// attempt to connect.
    pub cookies: Rate,
}

impl Default for Limits {
    /// Less than a tenth of a core, whatever strangers send.
    fn default() -> Self {
        Self {
            handshakes: Rate {
                per_second: 400,
                burst: 200,
            },
            cookies: Rate {
                per_second: 5000,
                burst: 500,
            },
        }
    }
}

/// Counts what arrives.
#[derive(Debug)]
pub(super) struct Load {
    limits: Limits,
    handshakes: Bucket,
    cookies: Bucket,
    busy_until: Option<Instant>,
    sources: BTreeMap<IpAddr, Bucket>,
}

impl Load {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            handshakes: Bucket::default(),
            cookies: Bucket::default(),
            busy_until: None,
            sources: BTreeMap::new(),
        }
    }

    /// Counts a handshake message; true when there are too many.
    pub(super) fn is_under(&mut self, now: Instant) -> bool {
        if !self.handshakes.take(now, self.limits.handshakes) {
            self.busy_until = Some(now + CAUTION);
        }
        self.busy_until.is_some_and(|until| now < until)
    }

    /// Counts a cookie; false when too many were given out.
    pub(super) fn may_send_cookie(&mut self, now: Instant) -> bool {
        self.cookies.take(now, self.limits.cookies)
    }

    /// Counts a message from an address at which its sender receives; false when there are too many.
    pub(super) fn admits(&mut self, now: Instant, source: SocketAddr) -> bool {
        let source = network_of(source.ip());
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&source) {
            self.sources.retain(|_, bucket| !bucket.is_full(now));
            if self.sources.len() >= MAX_SOURCES {
                return false;
            }
        }
        self.sources
            .entry(source)
            .or_default()
            .take(now, PER_SOURCE)
    }
}

/// A token bucket, kept as the time at which it will be full again.
#[derive(Debug, Default)]
struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + rate.interval();
        let has_token = full_at - now <= rate.interval() * rate.burst.max(1);
        if has_token {
            self.full_at = Some(full_at);
        }
        has_token
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}

/// Whom an address belongs to: in IPv6, a host has a whole /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "time has to begin somewhere")]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, ms| bucket.take(after(start, ms), rate);
        assert_eq!(
            [0; 5].map(|ms| taken(&mut bucket, ms)),
            [true, true, true, false, false]
        );
        assert_eq!(
            [99, 100, 101].map(|ms| taken(&mut bucket, ms)),
            [false, true, false]
        );
        assert!(!bucket.is_full(after(start, 399)) && bucket.is_full(after(start, 400)));
        assert_eq!(
            [5000; 4].map(|ms| taken(&mut bucket, ms)),
            [true, true, true, false]
        );
    }

    #[test]
    fn caution_outlasts_the_flood_by_a_second() {
        let start = Instant::now();
        let mut load = Load::new(Limits::default());
        let burst = Limits::default().handshakes.burst;
        let busy = (0..=burst)
            .map(|_| load.is_under(start))
            .collect::<Vec<_>>();
        assert_eq!(
            busy.iter().position(|is_busy| *is_busy),
            Some(burst as usize)
        );
        assert!(load.is_under(after(start, 999)));
        assert!(!load.is_under(after(start, 1000)));
    }

    #[test]
    fn each_source_is_counted_for_itself() {
        let now = Instant::now();
        let mut load = Load::new(Limits::default());
        let served = |load: &mut Load, source: &str| load.admits(now, source.parse().unwrap());
        for _ in 0..PER_SOURCE.burst {
            assert!(served(&mut load, "[2001:db8::1]:1"));
        }
        assert!(!served(&mut load, "[2001:db8::2]:2"), "the same /64");
        assert!(served(&mut load, "[2001:db8:0:1::1]:1"));
        assert!(served(&mut load, "192.0.2.1:1"));
    }

    #[test]
    fn memory_for_sources_is_bounded_and_reused() {
        let start = Instant::now();
        let mut load = Load::new(Limits::default());
        let source = |number: u32| SocketAddr::new(number.to_be_bytes().into(), 1);
        for number in 0..MAX_SOURCES as u32 {
            assert!(load.admits(start, source(number)));
        }
        assert!(!load.admits(start, source(1 << 30)));
        assert!(load.admits(after(start, 1000), source(1 << 30)));
        assert_eq!(load.sources.len(), 1);
    }
}
