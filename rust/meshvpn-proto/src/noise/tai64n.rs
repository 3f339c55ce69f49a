//! The timestamp in an initiation: TAI64N, eight bytes of seconds and four of nanoseconds, big-endian.
//!
//! A responder takes only initiations that are newer than the last from the same peer, so a recorded
//! one is worthless. What matters is the order alone; that TAI and UTC differ by some leap seconds does
//! not (whitepaper, section 5.4.2).

use core::time::Duration;

/// Bytes of a timestamp.
pub const TAI64N_LEN: usize = 12;

/// 1970-01-01 00:00:00 UTC, when TAI was 10 s ahead (TAI64: 2⁶² is 1970-01-01 00:00:00 TAI).
const EPOCH: u64 = (1 << 62) + 10;

/// Clocks tell less when they are read coarsely: 2²⁴ ns, about 17 ms. That is still finer than
/// the pace of initiations, one in five seconds.
const GRANULARITY: u32 = 1 << 24;

/// A moment, as initiations carry it. Later ones compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tai64n([u8; TAI64N_LEN]);

impl Tai64n {
    /// The moment that a wall clock shows, in time since 1970, but later than `last`: a peer refuses
    /// what does not grow, even when our clock was set back.
    pub fn after(last: Option<Self>, unix: Duration) -> Self {
        let coarse = unix.subsec_nanos() & !(GRANULARITY - 1);
        let shown = Self::new(EPOCH.saturating_add(unix.as_secs()), coarse);
        last.map_or(shown, |last| shown.max(last.next()))
    }

    /// The moment at this time since 1970, exactly: a device must not tell it so (see [`Self::after`]).
    pub fn exactly(unix: Duration) -> Self {
        Self::new(EPOCH.saturating_add(unix.as_secs()), unix.subsec_nanos())
    }

    /// The timestamp that a peer sent.
    pub const fn from_bytes(bytes: [u8; TAI64N_LEN]) -> Self {
        Self(bytes)
    }

    /// The timestamp as it travels.
    pub const fn as_bytes(&self) -> &[u8; TAI64N_LEN] {
        &self.0
    }

    /// Time since 1970-01-01 00:00 UTC; `None` for moments before, and for what is no TAI64N.
    pub fn unix(&self) -> Option<Duration> {
        let (seconds, nanoseconds) = self.parts();
        let seconds = seconds.checked_sub(EPOCH)?;
        (nanoseconds < 1_000_000_000).then(|| Duration::new(seconds, nanoseconds))
    }

    fn new(seconds: u64, nanoseconds: u32) -> Self {
        let mut bytes = [0; TAI64N_LEN];
        bytes[..8].copy_from_slice(&seconds.to_be_bytes());
        bytes[8..].copy_from_slice(&nanoseconds.to_be_bytes());
        Self(bytes)
    }

    fn parts(&self) -> (u64, u32) {
        let [a, b, c, d, e, f, g, h, nanoseconds @ ..] = self.0;
        let seconds = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (seconds, u32::from_be_bytes(nanoseconds))
    }

    fn next(self) -> Self {
        match self.parts() {
            (seconds, 999_999_999..) => Self::new(seconds.saturating_add(1), 0),
            (seconds, nanoseconds) => Self::new(seconds, nanoseconds + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unix_time_begins_ten_seconds_into_tai64() {
        let stamp = Tai64n::after(None, Duration::from_secs(3));
        assert_eq!(
            stamp.as_bytes()[..8],
            0x4000_0000_0000_000d_u64.to_be_bytes()
        );
        assert_eq!(stamp.unix(), Some(Duration::from_secs(3)));
        assert_eq!(Tai64n::from_bytes([0; 12]).unix(), None);
        let moment = Duration::new(1_800_000_000, 123_456_789);
        assert_eq!(Tai64n::exactly(moment).unix(), Some(moment));
    }

    #[test]
    fn a_clock_set_back_still_gives_later_timestamps() {
        let late = Duration::new(2_000_000_000, 999_999_999);
        let first = Tai64n::after(None, late);
        let second = Tai64n::after(Some(first), Duration::from_secs(1));
        let third = Tai64n::after(Some(second), Duration::from_secs(2));
        assert!(first < second && second < third);
        let end = Tai64n::new(7, 999_999_999);
        assert_eq!(end.next(), Tai64n::new(8, 0));
    }

    proptest! {
        #[test]
        fn later_moments_compare_greater(a in 0..u64::MAX / 4, b in 0..u64::MAX / 4) {
            let at = |nanos| Tai64n::after(None, Duration::from_nanos(nanos));
            prop_assert!(a > b || at(a) <= at(b));
            let apart = a.abs_diff(b) > u64::from(GRANULARITY);
            prop_assert!(!apart || (a < b) == (at(a) < at(b)));
            let unix = at(a).unix().unwrap().as_nanos() as u64;
            prop_assert!(unix <= a && a - unix < u64::from(GRANULARITY));
        }
    }
}
