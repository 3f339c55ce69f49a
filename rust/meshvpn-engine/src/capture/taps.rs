//! Where the threads of a device say what they send and receive, for those who listen.
//!
//! Something sent is announced before the system call and settled after it. So the order of a capture is
//! that in which things happened: an answer that comes at once is not recorded before what it answers; and
//! what the kernel refused is not recorded at all.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use meshvpn_proto::packet::pcapng::Direction;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::progress::Progress;

/// What a run costs in the queue beside its bytes.
const RUN_OVERHEAD: usize = 256;

/// The captures of one device.
#[derive(Debug, Default)]
pub struct Taps {
    /// Looked at by the data plane once a batch; the list only when it is set.
    has_any: AtomicBool,
    list: ArcSwap<Vec<Arc<Tap>>>,
    /// Held while the list is changed; true when no more may come.
    is_closed: Mutex<bool>,
}

/// One capture, as those see it who are listened to.
#[derive(Debug)]
pub(crate) struct Tap {
    queue: Sender<Record>,
    progress: Arc<Progress>,
    wants_secrets: bool,
}

/// What the writer gets.
pub(super) enum Record {
    Run(Run),
    /// Keys, which belong before all that follows.
    Secrets(Zeroizing<String>),
}

/// Datagrams that were sent or received together.
pub(super) struct Run {
    /// Since 1970 UTC.
    pub(super) at: Duration,
    /// The place of the socket that they went through.
    pub(super) socket: usize,
    pub(super) direction: Direction,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) contents: Box<[u8]>,
    /// Length of each but perhaps the last.
    pub(super) segment_size: usize,
    /// Tells whether they were sent; nothing to be told of what was received.
    pub(super) is_sent: Option<oneshot::Receiver<bool>>,
}

impl Taps {
    /// Everyone who listens at this moment, if anyone does: load it once a batch.
    pub(crate) fn load(&self) -> Option<Listeners> {
        let has_any = self.has_any.load(Ordering::Relaxed);
        has_any.then(|| Listeners(self.list.load()))
    }

    /// From now on `tap` is told of everything.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] when there will be nothing to tell.
    pub(crate) fn attach(&self, tap: Arc<Tap>) -> io::Result<()> {
        let is_closed = self.lock();
        if *is_closed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let mut list = Vec::clone(&self.list.load());
        list.push(tap);
        self.set(list);
        Ok(())
    }

    /// Hands `secrets` to those who want them; false when there is nobody.
    pub(crate) fn reveal(&self, secrets: &Zeroizing<String>) -> bool {
        let Some(listeners) = self.load() else {
            return false;
        };
        let mut has_any = false;
        for tap in listeners.0.iter().filter(|tap| tap.wants_secrets) {
            tap.reveal(secrets.clone());
            has_any = true;
        }
        has_any
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.lock()
    }

    /// The capture of this progress is told no more, and ends when it has written what it was told.
    pub(super) fn detach(&self, progress: &Arc<Progress>) {
        progress.begin_closing();
        let _changing = self.lock();
        let mut list = Vec::clone(&self.list.load());
        list.retain(|tap| !Arc::ptr_eq(&tap.progress, progress));
        self.set(list);
    }

    /// Ends all captures, and returns when they have ended. There will be no more.
    pub(crate) fn close(&self) {
        let mut is_closed = self.lock();
        *is_closed = true;
        let list = self.list.load_full();
        let ending: Vec<_> = list.iter().map(|tap| Arc::clone(&tap.progress)).collect();
        self.set(Vec::new());
        // The writers wait until nobody can tell them anything any more.
        drop(list);
        drop(is_closed);
        for progress in &ending {
            progress.begin_closing();
        }
        for progress in ending {
            progress.wait();
        }
    }

    fn set(&self, list: Vec<Arc<Tap>>) {
        let has_any = !list.is_empty();
        self.list.store(Arc::new(list));
        self.has_any.store(has_any, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    pub(super) fn new(
        progress: Arc<Progress>,
        wants_secrets: bool,
    ) -> (Arc<Self>, Receiver<Record>) {
        // Its length is bounded by `Progress::reserve`; secrets come seldom, and must not get lost.
        let (queue, receiver) = mpsc::channel();
        let tap = Self {
            queue,
            progress,
            wants_secrets,
        };
        (Arc::new(tap), receiver)
    }

    /// Hands over secrets. Nothing that they decrypt is told before.
    pub(crate) fn reveal(&self, secrets: Zeroizing<String>) {
        // Fails when the capture has ended: then nobody wants them.
        let _ = self.queue.send(Record::Secrets(secrets));
    }

    /// Queues a run with `len` bytes; false when there is no room for it, and then it is not even copied.
    fn push(&self, len: usize, run: impl FnOnce() -> Run) -> bool {
        let cost = len + RUN_OVERHEAD;
        if !self.progress.reserve(cost) {
            return false;
        }
        let is_queued = self.queue.send(Record::Run(run())).is_ok();
        if !is_queued {
            self.progress.release(cost);
        }
        is_queued
    }
}

impl Run {
    /// The datagrams, one by one; a single one may be empty.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let empty = self.contents.is_empty().then_some(&self.contents[..]);
        let chunks = self.contents.chunks(self.segment_size.max(1));
        empty.into_iter().chain(chunks)
    }

    /// How many they are.
    pub(super) fn count(&self) -> u64 {
        count(self.contents.len(), self.segment_size)
    }

    /// The room that it takes in the queue.
    pub(super) fn cost(&self) -> usize {
        self.contents.len() + RUN_OVERHEAD
    }
}

/// Everyone who listens, for the length of a batch.
pub(crate) struct Listeners(Guard<Arc<Vec<Arc<Tap>>>>);

impl Listeners {
    /// Everyone who listens to the socket at this place.
    pub(crate) fn at(&self, socket: usize) -> Listening<'_> {
        Listening {
            taps: &self.0,
            socket,
        }
    }
}

/// Everyone who listens to a socket.
#[derive(Clone, Copy)]
pub(crate) struct Listening<'a> {
    taps: &'a [Arc<Tap>],
    socket: usize,
}

impl<'a> Listening<'a> {
    /// A run of datagrams came from `source` to `destination`, which is ours.
    pub(crate) fn received(
        self,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
        segment_size: usize,
    ) {
        let at = since_1970();
        for tap in self.taps {
            let is_queued = tap.push(contents.len(), || Run {
                at,
                socket: self.socket,
                direction: Direction::Inbound,
                source,
                destination,
                contents: contents.into(),
                segment_size,
                is_sent: None,
            });
            if !is_queued {
                let count = count(contents.len(), segment_size);
                tap.progress.count_dropped(count);
            }
        }
    }

    /// A run of datagrams is about to be sent; to be [settled](Sending::settle) when it was.
    pub(crate) fn sending(
        self,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
        segment_size: usize,
    ) -> Sending<'a> {
        let at = since_1970();
        let announce = |tap: &'a Arc<Tap>| {
            let (outcome, is_sent) = oneshot::channel();
            let is_queued = tap.push(contents.len(), || Run {
                at,
                socket: self.socket,
                direction: Direction::Outbound,
                source,
                destination,
                contents: contents.into(),
                segment_size,
                is_sent: Some(is_sent),
            });
            (&**tap, is_queued.then_some(outcome))
        };
        Sending {
            announced: self.taps.iter().map(announce).collect(),
            count: count(contents.len(), segment_size),
        }
    }
}

/// A run of datagrams on its way into the kernel. Dropping it says that it was not sent.
#[must_use]
pub(crate) struct Sending<'a> {
    /// To whom; and what tells them the outcome, if there was room for the run.
    announced: Vec<(&'a Tap, Option<oneshot::Sender<bool>>)>,
    count: u64,
}

impl Sending<'_> {
    /// The kernel has taken the run, or it has not.
    pub(crate) fn settle(self, is_sent: bool) {
        for (tap, outcome) in self.announced {
            match outcome {
                // Fails when the capture has ended and nobody waits for it.
                Some(outcome) => drop(outcome.send(is_sent)),
                None if is_sent => tap.progress.count_dropped(self.count),
                None => {}
            }
        }
    }
}

fn count(len: usize, segment_size: usize) -> u64 {
    len.div_ceil(segment_size.max(1)).max(1) as u64
}

fn since_1970() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}
