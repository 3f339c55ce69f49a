//! What the data plane tells the driver: handshakes above all, from anyone who likes to send some.
//!
//! A flood of them is the protocol's business as far as multiplications go
//! ([`load`](meshvpn_proto::wireguard::load)). Here it must not wake the driver for each stranger, nor
//! make it log each.

use std::mem::take;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use meshvpn_proto::forward::{Control, DropReason, Tally};
use tracing::{debug, warn};

use super::driver::{Driver, now};
use crate::dataplane::Report;

/// Reports are taken so many at a time: a turn of the driver's loop costs more than a cookie.
pub(super) const REPORTS_AT_ONCE: usize = 64;
/// How long the driver rests when it had to ask strangers for cookies. Else a flood would wake it for each
/// of them, and take the CPU from the threads that forward as often.
const REST: Duration = Duration::from_millis(2);
/// How long activity may lie before the protocol hears of it: its shortest time is 5 s.
const ACTIVITY_DELAY: Duration = Duration::from_millis(50);
/// How often the device is looked at while it is taken to be down and something arrives even so, at most.
const DOWN_INTERVAL: Duration = Duration::from_millis(50);

impl Driver<'_> {
    /// Handles what the data plane has told; breaks when that has ended.
    pub(super) async fn handle_reports(&mut self, reports: &mut Vec<Report>) -> ControlFlow<()> {
        for report in reports.drain(..) {
            if let Report::Stopped(error) = report {
                let reason = if error.raw_os_error() == Some(libc::EBADFD) {
                    "the device was deleted".to_owned()
                } else {
                    format!("forwarding failed: {error}")
                };
                warn!(device = self.name, reason, "device stopped");
                self.status.close(Some(reason));
                return ControlFlow::Break(());
            }
            self.look_if_down(&report).await;
            self.handle_report(report);
            self.drain();
        }
        if take(&mut self.must_rest) {
            std::thread::sleep(REST);
        }
        ControlFlow::Continue(())
    }

    /// A device that we take to be down may have come up where nobody tells us of it. A frame that waits came
    /// out of it; other reports are made by anyone, and as often as they like.
    async fn look_if_down(&mut self, report: &Report) {
        let is_sure = matches!(report, Report::Waiting(_));
        let is_due = is_sure || self.watched_at.elapsed() >= DOWN_INTERVAL;
        if !self.machine.is_up() && is_due {
            self.watched_at = Instant::now();
            self.follow_device().await;
        }
    }

    fn handle_report(&mut self, report: Report) {
        match report {
            Report::Control(control) => {
                if let Err(reason) = self.handle_control(&control) {
                    self.must_rest |= reason == DropReason::UnderLoad;
                    let mut tally = Tally::default();
                    tally.drop(reason, 1);
                    self.plane.counters().control.add(&tally);
                    if self.tells_drops.is_due() {
                        debug!(device = self.name, source = %control.path.destination, %reason, "message dropped");
                    }
                }
            }
            Report::Waiting(slot) => self.machine.handle_no_session(now(), slot),
            Report::Confirmed(confirmed) => self.machine.handle_confirmed(now(), confirmed),
            Report::Activity => self.activity_at = Some(Instant::now() + ACTIVITY_DELAY),
            // Packets of the device's MTU may go in fragments; ending is looked after by the loop.
            Report::TooLong | Report::Stopped(_) => {}
        }
    }

    fn handle_control(&mut self, control: &Control) -> Result<(), DropReason> {
        if control.slot.is_some() {
            // Authentic, but no IP packet: nothing that this protocol has.
            return Err(DropReason::UnknownType);
        }
        self.machine
            .handle_datagram(now(), control.path, &control.message)
    }
}
