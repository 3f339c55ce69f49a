//! How long a client waits for what.

use core::time::Duration;

use super::Client;

/// For a connection, name resolution and proxies included.
pub(super) const OPEN: Duration = Duration::from_secs(15);
/// For the answer to the first message.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the answer to a registration: a thousand may come at once.
pub(super) const REGISTER: Duration = Duration::from_secs(20);
/// For the answer to a ping.
pub(super) const PONG: Duration = Duration::from_secs(10);
/// Silence after which the coordinator is asked whether it is there. Below the 60 seconds after which
/// common proxies cut a quiet connection.
const IDLE: Duration = Duration::from_secs(25);
/// The longest wait before the first and before later attempts.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Client {
    /// How long to wait before the next attempt.
    pub(super) fn wait(&mut self, retry_after: Option<Duration>) -> Duration {
        let longest = FIRST_WAIT * 2u32.pow(self.failures.min(10));
        let jitter = self.up_to(longest.min(LONGEST_WAIT));
        retry_after.map_or(jitter, |after| after + self.up_to(after / 10))
    }

    /// How long the coordinator may be silent; up to a fifth less, so that not all nodes ask at once.
    pub(super) fn idle(&mut self) -> Duration {
        IDLE - self.up_to(IDLE / 5)
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(f64::from(self.entropy.number()) / f64::from(u32::MAX))
    }
}
