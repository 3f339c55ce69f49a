//! The data plane's threads: the pure forwarder with system calls around it.
//!
//! Two plain threads per device, one a direction. Neither waits for a lock, a channel, a runtime
//! or a log: everything rare goes to the driver, everything counted is published once a batch.
//!
//! | module | holds |
//! |---|---|
//! | `tx` | TUN → network |
//! | `rx` | network → TUN |
//! | [`delivery`] | the second half of that, also for what comes over relays |
//! | [`counters`] | what they publish |
//! | [`sockets`] | what both send and receive with |

pub mod counters;
pub mod delivery;
mod rx;
pub mod sockets;
mod tx;

use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use meshvpn_proto::forward::{Confirmed, Control, Inbound, Joins, Outbound, SharedPeers};
use meshvpn_proto::session::aead::Aead;
use tokio::sync::mpsc;

use crate::capture::taps::Taps;
use crate::tun::{Device, Queue};
use crate::udp::{BUFFER_LEN, UdpSocket};
use crate::wait::{Waiter, Waker};
use counters::Counters;
use delivery::Injector;
use sockets::Sockets;

/// Control messages that may wait for the driver. More at once can only be a flood, and a flood must
/// not fill the memory.
const CONTROL_QUEUE: usize = 256;

/// How long a thread that ends waits for room in that queue, each time.
const STOP_RETRY: Duration = Duration::from_millis(10);

/// What the data plane tells the driver.
#[derive(Debug)]
pub enum Report {
    /// A message that the forwarder does not handle itself.
    Control(Control),
    /// The kernel refused a datagram as longer than the interface takes.
    TooLong,
    /// A frame waits because the peer in this slot has no session.
    Waiting(usize),
    /// A peer uses a session that waited for that.
    Confirmed(Confirmed),
    /// Peers have been active: told once until [`DataPlane::listen_for_activity`].
    Activity,
    /// The TUN device is gone, or the system fails in a way that nothing can be done about.
    Stopped(io::Error),
}

/// What both threads share.
#[derive(Debug)]
struct Shared<P> {
    queue: Queue,
    sockets: Sockets,
    peers: Arc<P>,
    counters: Arc<Counters>,
    taps: Arc<Taps>,
    waker: Waker,
    is_stopping: AtomicBool,
    /// Wakes the sending thread alone: frames that waited may go.
    resume: Waker,
    must_resume: AtomicBool,
    has_told_activity: AtomicBool,
    can_segment: bool,
    reports: mpsc::Sender<Report>,
    joins: Joins,
}

/// The two threads of one device, running.
#[derive(Debug)]
pub struct DataPlane<P> {
    shared: Arc<Shared<P>>,
    threads: Vec<JoinHandle<()>>,
}

impl<P: SharedPeers> DataPlane<P> {
    /// Starts both threads, each with its own cipher, in the calling thread's namespace.
    ///
    /// # Errors
    /// When the process is out of descriptors or threads.
    pub fn start(
        device: Device,
        sockets: Vec<UdpSocket>,
        peers: Arc<P>,
        [sealing, opening]: [Box<dyn Aead>; 2],
    ) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        let (reports, receiver) = mpsc::channel(CONTROL_QUEUE);
        let waker = Waker::new()?;
        let shared = Arc::new(Shared {
            queue: device.queue,
            sockets: Sockets::new(sockets, &waker)?,
            peers,
            counters: Arc::default(),
            taps: Arc::default(),
            waker,
            is_stopping: AtomicBool::new(false),
            resume: Waker::new()?,
            must_resume: AtomicBool::new(false),
            has_told_activity: AtomicBool::new(false),
            can_segment: crate::offload::can_segment(),
            reports,
            joins: device.joins,
        });
        // Made here, not by the thread: whoever is told that it started has everything it needs.
        let frames = Waiter::new(&[shared.queue.as_fd(), shared.waker.as_fd()])?;
        frames.add(shared.resume.as_fd(), tx::RESUME)?;
        let outbound = Outbound::new(sealing);
        let inbound = Inbound::new(opening, BUFFER_LEN, device.joins);
        let mut plane = Self {
            shared,
            threads: Vec::new(),
        };
        plane.spawn(format!("{}-tx", device.name), move |shared| {
            tx::run(shared, &frames, outbound)
        })?;
        plane.spawn(format!("{}-rx", device.name), move |shared| {
            rx::run(shared, inbound)
        })?;
        Ok((plane, receiver))
    }

    /// What was counted so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// The sockets, for what the driver sends itself, and to change them.
    pub fn sockets(&self) -> &Sockets {
        &self.shared.sockets
    }

    /// Where captures listen to what goes through the sockets.
    pub fn taps(&self) -> &Arc<Taps> {
        &self.shared.taps
    }

    /// For a thread that receives otherwise than by the data plane's sockets, and opens with a cipher of its own.
    /// It must have ended before the device can.
    pub fn injector(&self, opening: Box<dyn Aead>) -> Injector<P> {
        Injector {
            shared: Arc::clone(&self.shared),
            inbound: Inbound::new(opening, BUFFER_LEN, self.shared.joins),
        }
    }

    /// Sends what waited for sessions that are there now, and drops what was given up.
    pub fn resume(&self) {
        self.shared.must_resume.store(true, Ordering::Release);
        self.shared.resume.wake();
    }

    /// Tells of activity again, once.
    pub fn listen_for_activity(&self) {
        // A swap and not a store: whatever is read after this, marks above all, is read later.
        self.shared.has_told_activity.swap(false, Ordering::AcqRel);
    }

    /// Starts a thread, whose end, also by a panic, the driver hears of.
    fn spawn(
        &mut self,
        name: String,
        run: impl FnOnce(&Shared<P>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| run(&shared)));
            let failure = match result {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => io::Error::other("a thread panicked"),
            };
            shared.report_stop(failure);
        };
        let thread = std::thread::Builder::new().name(name).spawn(body)?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Stops both threads and waits for them, ends captures; then the device and the sockets are closed.
impl<P> Drop for DataPlane<P> {
    fn drop(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        self.shared.waker.wake();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on stderr; there is nothing left to stop.
            let _ = thread.join();
        }
        self.shared.taps.close();
    }
}

impl<P> Shared<P> {
    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Tells the driver; returns false when it has no room. What is lost here, the sender repeats.
    /// Bare datagrams, which anyone can send, leave half of the room to what peers say.
    fn report(&self, report: Report) -> bool {
        let is_bare = matches!(&report, Report::Control(Control { slot: None, .. }));
        let is_crowded = is_bare && self.reports.capacity() < CONTROL_QUEUE / 2;
        !is_crowded && self.reports.try_send(report).is_ok()
    }

    /// Tells the driver that peers have been active, if it wants to hear that.
    fn report_activity(&self)
    where
        P: SharedPeers,
    {
        if self.peers.has_activity()
            && !self.has_told_activity.swap(true, Ordering::AcqRel)
            && !self.report(Report::Activity)
        {
            self.has_told_activity.store(false, Ordering::Release);
        }
    }

    /// Tells the driver that a thread has come to its end; this must not be forgotten.
    fn report_stop(&self, error: io::Error) {
        let mut report = Report::Stopped(error);
        while let Err(mpsc::error::TrySendError::Full(unsent)) = self.reports.try_send(report) {
            if self.is_stopping() {
                break;
            }
            report = unsent;
            std::thread::sleep(STOP_RETRY);
        }
    }
}
