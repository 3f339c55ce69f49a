//! Log records for Python's `logging`.
//!
//! The engine's threads put records into a queue and go on; a Python thread fetches them and hands
//! them to `logging`. So no thread of the engine ever waits for the GIL. When Python does not keep
//! up, details are left out and then the oldest records make room; how many is told in the next one.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::wait::wait_for;

/// Records kept for Python; a tunnel logs a few a minute.
const MAX_RECORDS: usize = 1024;
/// Records of level DEBUG are kept only up to here: whoever sends us garbage makes one each time, and
/// must not push out what matters.
const MAX_WITH_DEBUG: usize = MAX_RECORDS / 2;

/// Python's level for what is told in detail.
const DEBUG: u8 = 10;

static QUEUE: Queue = Queue {
    inner: Mutex::new(Inner::new()),
    changed: Condvar::new(),
    subscribed: Once::new(),
};

struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    subscribed: Once,
}

struct Inner {
    records: VecDeque<LogRecord>,
    lost: u64,
    is_stopped: bool,
}

/// Python's level, the logger's name, the message.
type LogRecord = (u8, String, String);

/// Makes the engine log: records from now on are kept for `next_log_record`.
#[pyfunction]
pub(crate) fn start_logging() {
    QUEUE.subscribed.call_once(|| {
        // Another subscriber can only have been set by another extension that shares this library,
        // which cannot be.
        let _ = tracing::subscriber::set_global_default(ToQueue);
    });
}

/// The next record as (level, logger, message); None once logging is stopped.
#[pyfunction]
pub(crate) fn next_log_record(py: Python<'_>) -> PyResult<Option<LogRecord>> {
    wait_for(py, None, |wait| QUEUE.next(wait)).map(Option::flatten)
}

/// Makes every present and later call of `next_log_record` return None.
#[pyfunction]
pub(crate) fn stop_logging() {
    QUEUE.lock().is_stopped = true;
    QUEUE.changed.notify_all();
}

impl Inner {
    const fn new() -> Self {
        Self {
            records: VecDeque::new(),
            lost: 0,
            is_stopped: false,
        }
    }
}

impl Queue {
    fn push(&self, record: LogRecord) {
        let mut inner = self.lock();
        if record.0 == DEBUG && inner.records.len() >= MAX_WITH_DEBUG {
            inner.lost += 1;
            return;
        }
        if inner.records.len() == MAX_RECORDS {
            inner.records.pop_front();
            inner.lost += 1;
        }
        inner.records.push_back(record);
        self.changed.notify_one();
    }

    /// A record, the end (`Some(None)`), or nothing within `wait`.
    fn next(&self, wait: Duration) -> Option<Option<LogRecord>> {
        let is_waiting = |inner: &mut Inner| inner.records.is_empty() && !inner.is_stopped;
        let (mut inner, _) = self
            .changed
            .wait_timeout_while(self.lock(), wait, is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let Some((level, target, mut message)) = inner.records.pop_front() else {
            return inner.is_stopped.then_some(None);
        };
        let lost = std::mem::take(&mut inner.lost);
        if lost > 0 {
            let _ = write!(message, " ({lost} other records lost)");
        }
        Some(Some((level, target, message)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscriber without spans: one event, one record.
struct ToQueue;

impl Subscriber for ToQueue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("meshvpn") && *metadata.level() <= Level::DEBUG
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            _ => DEBUG,
        };
        // meshvpn_engine::tunnel::driver logs as meshvpn.tunnel.
        let module = event
            .metadata()
            .target()
            .split("::")
            .nth(1)
            .unwrap_or("engine");
        QUEUE.push((
            level,
            format!("meshvpn.{module}"),
            text.message + &text.fields,
        ));
    }

    fn new_span(&self, _attributes: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

/// `message field=value field=value`
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
