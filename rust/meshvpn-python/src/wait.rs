//! Waiting without holding up Python: the GIL is released, and Ctrl-C works.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How often a wait looks for signals.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);
/// Stands for "for ever": a century does not overflow the clock.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Calls `attempt` with short waits until it gives something or `timeout` seconds have passed.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    attempt: impl Fn(Duration) -> Option<T> + Sync,
) -> PyResult<Option<T>> {
    let timeout = timeout
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
        .map_or(FOR_EVER, |timeout| timeout.min(FOR_EVER));
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let found = py.detach(|| attempt(left.min(SIGNAL_INTERVAL)));
        if found.is_some() || Instant::now() >= deadline {
            return Ok(found);
        }
        py.check_signals()?;
    }
}
