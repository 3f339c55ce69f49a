//! What others may know of a running tunnel: its phase, its MTU, and a list of what happened.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::wait::Waker;

/// Events kept for those who have not fetched them; the oldest make room.
const MAX_EVENTS: usize = 256;

/// Where a tunnel is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The peer has not answered yet, or does not answer any more.
    Connecting,
    /// The peer answers.
    Up,
    /// It is over.
    Closed,
}

/// Everything that can be said of a tunnel at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its phase.
    pub phase: Phase,
    /// Longest outer IP packet that the path takes, in bytes.
    pub path_mtu: u16,
    /// The device's MTU in bytes.
    pub mtu: u16,
    /// Sessions agreed on so far.
    pub sessions: u64,
    /// Why it was closed, when that was not asked for.
    pub failure: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// The peer answers.
    Up,
    /// The peer does not answer any more.
    Down,
    /// New keys are in use: the peer (re)started.
    Session,
    /// The path takes packets of this many bytes; the device's MTU followed.
    PathMtu {
        /// Longest outer IP packet, in bytes.
        path_mtu: u16,
        /// The device's MTU, in bytes.
        mtu: u16,
    },
    /// The tunnel is closed, with the reason when that was not asked for.
    Closed(Option<String>),
}

/// The status of a tunnel, shared between its driver and everyone else.
#[derive(Debug)]
pub struct Status {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Set while events wait, for those who watch descriptors.
    waker: Waker,
}

#[derive(Debug)]
struct Inner {
    snapshot: Snapshot,
    events: VecDeque<Event>,
}

impl Status {
    pub(crate) fn new() -> io::Result<Self> {
        let snapshot = Snapshot {
            phase: Phase::Connecting,
            path_mtu: 0,
            mtu: 0,
            sessions: 0,
            failure: None,
        };
        Ok(Self {
            inner: Mutex::new(Inner {
                snapshot,
                events: VecDeque::new(),
            }),
            changed: Condvar::new(),
            waker: Waker::new()?,
        })
    }

    /// What can be said now.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot.clone()
    }

    /// Waits until `is_done` says so of the snapshot, or the tunnel is closed, at most `timeout`;
    /// returns the last snapshot.
    pub fn wait(&self, timeout: Duration, is_done: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let is_waiting =
            |inner: &mut Inner| inner.snapshot.phase != Phase::Closed && !is_done(&inner.snapshot);
        let (inner, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        inner.snapshot.clone()
    }

    /// The oldest event that nobody has fetched, after waiting for one at most `timeout`; `None` when
    /// there is none by then, or the tunnel is closed and all were fetched.
    pub fn next_event(&self, timeout: Duration) -> Option<Event> {
        let is_waiting =
            |inner: &mut Inner| inner.events.is_empty() && inner.snapshot.phase != Phase::Closed;
        let (mut inner, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let event = inner.events.pop_front();
        if inner.events.is_empty() && inner.snapshot.phase != Phase::Closed {
            self.waker.reset();
        }
        event
    }

    /// A descriptor that can be read while events wait, and for ever once the tunnel is closed.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    pub(crate) fn set_mtu(&self, path_mtu: u16, mtu: u16) {
        self.update(|snapshot| {
            (snapshot.path_mtu, snapshot.mtu) = (path_mtu, mtu);
            EventKind::PathMtu { path_mtu, mtu }
        });
    }

    pub(crate) fn set_up(&self, is_up: bool) {
        self.update(|snapshot| {
            let (phase, event) = if is_up {
                (Phase::Up, EventKind::Up)
            } else {
                (Phase::Connecting, EventKind::Down)
            };
            snapshot.phase = phase;
            event
        });
    }

    pub(crate) fn count_session(&self) {
        self.update(|snapshot| {
            snapshot.sessions += 1;
            EventKind::Session
        });
    }

    pub(crate) fn close(&self, failure: Option<String>) {
        self.update(|snapshot| {
            snapshot.phase = Phase::Closed;
            snapshot.failure.clone_from(&failure);
            EventKind::Closed(failure)
        });
    }

    fn update(&self, change: impl FnOnce(&mut Snapshot) -> EventKind) {
        let mut inner = self.lock();
        // What is closed stays closed, with the first reason.
        if inner.snapshot.phase == Phase::Closed {
            return;
        }
        let kind = change(&mut inner.snapshot);
        if inner.events.len() == MAX_EVENTS {
            inner.events.pop_front();
        }
        inner.events.push_back(Event {
            at: SystemTime::now(),
            kind,
        });
        self.waker.wake();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
