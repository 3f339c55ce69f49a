//! Strangers that call a device at a fixed rate, whatever it answers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use meshvpn_proto::keys::PublicKey;
use meshvpn_proto::noise::cookie::Stamper;
use meshvpn_proto::noise::messages::{Authenticated, Initiation};

use super::Tally;
use super::line::{Answer, Line};

/// Between two bursts.
const TICK: Duration = Duration::from_millis(2);
/// The longest burst: whoever was not scheduled in time need not catch up with all that was missed.
const LONGEST_BURST: Duration = Duration::from_millis(20);
/// Addresses that the strangers call from.
const CALLERS: u32 = 4096;

/// A flood that goes on until it is [stopped](Flood::stop).
#[derive(Debug)]
pub struct Flood {
    must_stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Tally>>,
}

impl Flood {
    /// Starts a flood of `per_second` initiations. Their mac1 is right, since everyone may know a
    /// device's public key; what they say is noise, and all of them come from different addresses in
    /// turn, without a mac2.
    ///
    /// # Errors
    /// When there is no thread to be had, or no random numbers.
    pub fn start(device: PublicKey, mut line: Line, per_second: u32) -> io::Result<Self> {
        let initiations = make_initiations(&device)?;
        let must_stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("flood".into()).spawn({
            let must_stop = Arc::clone(&must_stop);
            move || run(&mut line, &initiations, per_second, &must_stop)
        })?;
        Ok(Self { must_stop, thread })
    }

    /// Ends the flood.
    ///
    /// # Errors
    /// When the network failed meanwhile.
    pub fn stop(self) -> io::Result<Tally> {
        self.must_stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the flood's thread panicked")))
    }
}

fn make_initiations(device: &PublicKey) -> io::Result<Vec<Initiation>> {
    let mut stamper = Stamper::new(device);
    let now = Instant::now();
    let initiations = (0..CALLERS).map(|number| {
        let mut noise = [0; Initiation::NOISE_LEN];
        getrandom::fill(&mut noise)?;
        let mut initiation = Initiation::new(number, &noise);
        stamper.stamp(now, &mut initiation);
        Ok(initiation)
    });
    initiations.collect()
}

fn run(
    line: &mut Line,
    initiations: &[Initiation],
    per_second: u32,
    must_stop: &AtomicBool,
) -> io::Result<Tally> {
    let rate = f64::from(per_second);
    let mut tally = Tally::default();
    let mut callers = (0u32..).zip(initiations).cycle();
    let start = Instant::now();
    let mut allowance = 0.0;
    let mut before = start;
    while !must_stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let missed = (now - before).min(LONGEST_BURST);
        before = now;
        allowance += rate * missed.as_secs_f64();
        while allowance >= 1.0
            && let Some((caller, initiation)) = callers.next()
        {
            line.send(caller, initiation.bytes());
            tally.sent += 1;
            allowance -= 1.0;
        }
        line.receive(|answer| match answer {
            Answer::Response(_) => tally.responses += 1,
            Answer::Cookie(_) => tally.cookies += 1,
        })?;
        std::thread::sleep(TICK);
    }
    tally.duration = start.elapsed();
    Ok(tally)
}
