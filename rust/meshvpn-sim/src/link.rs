//! A link between a host or router and the network that it is part of.
//!
//! Each direction has its own conditions and queue. A packet waits until those before it are sent, takes its
//! time on the wire, and arrives after them unless it is one that is reordered.

use core::time::Duration;

use crate::chance::Chance;

/// What a link does to packets. The default is a perfect one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// From one end to the other, one way.
    pub latency: Duration,
    /// Up to this much more, evenly spread.
    pub jitter: Duration,
    /// Probability of being lost, 0 to 1.
    pub loss: f64,
    /// Probability of coming up to twice the latency later than its turn, so that others overtake it.
    pub reordering: f64,
    /// Probability of arriving twice.
    pub repetition: f64,
    /// Bits a second; none is without limit.
    pub rate: Option<u64>,
    /// Bytes that wait for their turn at most; what comes then is lost.
    pub queue: usize,
    /// Longest IP packet, in bytes. Longer ones are lost: everything here is sent with "don't fragment".
    pub mtu: u16,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            reordering: 0.0,
            repetition: 0.0,
            rate: None,
            queue: 256 * 1024,
            mtu: 1500,
        }
    }
}

impl Conditions {
    /// A perfect link, so many milliseconds long.
    pub fn latency_ms(ms: u64) -> Self {
        Self {
            latency: Duration::from_millis(ms),
            ..Self::default()
        }
    }

    /// The same, losing packets with this probability.
    pub fn with_loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }
}

/// Why a link did not deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// The link is down.
    Down,
    /// By chance.
    Loss,
    /// Longer than the link takes.
    TooLong,
    /// Too many wait already.
    QueueFull,
}

/// One direction of a link.
#[derive(Debug, Clone)]
pub(crate) struct Direction {
    pub(crate) conditions: Conditions,
    /// When all that waits will have been sent.
    free_at: Duration,
    /// When the last one in order arrives.
    last: Duration,
}

impl Direction {
    pub(crate) fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            free_at: Duration::ZERO,
            last: Duration::ZERO,
        }
    }

    /// When a packet of `size` bytes that is sent now arrives, and when once more.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        size: usize,
        chance: &mut Chance,
    ) -> Result<(Duration, Option<Duration>), Lost> {
        let Conditions {
            latency,
            jitter,
            loss,
            reordering,
            repetition,
            rate,
            queue,
            mtu,
        } = self.conditions;
        if size > usize::from(mtu) {
            return Err(Lost::TooLong);
        }
        if let Some(rate) = rate {
            let wait = self.free_at.saturating_sub(now);
            if wait.as_nanos() * u128::from(rate) / 8_000_000_000 > queue as u128 {
                return Err(Lost::QueueFull);
            }
            let nanoseconds = size as u64 * 8_000_000_000 / rate.max(1);
            self.free_at = self.free_at.max(now) + Duration::from_nanos(nanoseconds);
        } else {
            self.free_at = now;
        }
        if chance.hits(loss) {
            return Err(Lost::Loss);
        }
        let spread = chance.below(jitter.as_nanos() as u64 + 1);
        let at = self.free_at + latency + Duration::from_nanos(spread);
        let at = if chance.hits(reordering) {
            at + Duration::from_nanos(chance.below(2 * latency.as_nanos() as u64 + 1_000_000))
        } else {
            self.last = self.last.max(at);
            self.last
        };
        let again = chance.hits(repetition).then(|| at + latency / 2);
        Ok((at, again))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1250;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn arrivals(conditions: Conditions, packets: usize) -> Vec<Result<Duration, Lost>> {
        let mut direction = Direction::new(conditions);
        let mut chance = Chance::new(3);
        let send = |_| direction.send(ms(1), PACKET, &mut chance).map(|(at, _)| at);
        (0..packets).map(send).collect()
    }

    #[test]
    fn rate_spaces_packets_and_the_queue_has_an_end() {
        let conditions = Conditions {
            rate: Some(1_000_000),
            queue: 4 * PACKET,
            ..Conditions::latency_ms(20)
        };
        let at = arrivals(conditions, 10);
        // 10,000 bits at a million a second.
        assert_eq!(at[..3], [Ok(ms(31)), Ok(ms(41)), Ok(ms(51))]);
        assert_eq!(at[9], Err(Lost::QueueFull));
    }

    #[test]
    fn jitter_keeps_order_and_reordering_does_not() {
        let jitter = Conditions {
            jitter: ms(30),
            ..Conditions::latency_ms(20)
        };
        let at = arrivals(jitter, 200);
        assert!(at.is_sorted() && at.iter().all(|at| (ms(21)..=ms(51)).contains(&at.unwrap())));
        let reordering = Conditions {
            reordering: 0.1,
            ..jitter
        };
        assert!(!arrivals(reordering, 200).is_sorted());
    }

    #[test]
    fn loss_and_length_are_as_stated() {
        let lost = arrivals(Conditions::default().with_loss(0.25), 10_000);
        let lost = lost.iter().filter(|at| at.is_err()).count();
        assert!((2300..2700).contains(&lost), "{lost}");
        let narrow = Conditions {
            mtu: 1249,
            ..Conditions::default()
        };
        assert_eq!(arrivals(narrow, 1), [Err(Lost::TooLong)]);
    }
}
