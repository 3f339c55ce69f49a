//! How fast a backend is here, for `meshvpn bench --aead` and for the micro-benchmark.

use std::array;
use std::time::{Duration, Instant};

use meshvpn_proto::session::aead::{Aead, Key, MAX_BATCH, Open, Seal, TAG_LEN};

use super::{Backend, Unavailable};

/// Batches between two looks at the clock: far longer than the look, and short enough (a third of
/// a millisecond) that on a busy machine most windows pass without an interruption.
const BATCHES_PER_WINDOW: u32 = 32;

/// Which half of the AEAD is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Plaintext in, ciphertext and tag out.
    Seal,
    /// The way back.
    Open,
}

/// Nanoseconds that `backend` takes for a packet of `packet_len` bytes of plaintext.
///
/// It works as the data plane does: full batches, one key, each packet from a buffer of its own
/// into another. The answer is the median over windows of 32 batches; new windows begin until
/// `duration` has passed, and there is always one.
///
/// # Errors
/// [`Unavailable`] when the backend does not run here.
pub fn measure(
    backend: Backend,
    packet_len: usize,
    direction: Direction,
    duration: Duration,
) -> Result<f64, Unavailable> {
    let mut load = Load::<MAX_BATCH>::new(backend.start()?, packet_len);
    let begin = Instant::now();
    let mut windows = Vec::new();
    while windows.is_empty() || begin.elapsed() < duration {
        let window = Instant::now();
        for _ in 0..BATCHES_PER_WINDOW {
            load.work(direction);
        }
        windows.push(window.elapsed());
    }
    windows.sort_unstable();
    let packets = f64::from(BATCHES_PER_WINDOW) * MAX_BATCH as f64;
    Ok(windows[windows.len() / 2].as_secs_f64() * 1e9 / packets)
}

/// `N` packets that one backend seals and opens again and again.
pub struct Load<const N: usize> {
    aead: Box<dyn Aead>,
    key: Key,
    plain: [Vec<u8>; N],
    sealed: [Vec<u8>; N],
    opened: [Vec<u8>; N],
    /// Counter of the first packet in `sealed`.
    first: u64,
}

impl<const N: usize> Load<N> {
    /// `N` packets of `packet_len` bytes for `aead`, sealed once so that they can be opened.
    pub fn new(aead: Box<dyn Aead>, packet_len: usize) -> Self {
        let mut load = Self {
            aead,
            key: Key::new([7; 32]),
            plain: array::from_fn(|i| vec![i as u8; packet_len]),
            sealed: array::from_fn(|_| vec![0; packet_len + TAG_LEN]),
            opened: array::from_fn(|_| vec![0; packet_len]),
            first: 0,
        };
        load.seal();
        load
    }

    /// One batch in `direction`.
    pub fn work(&mut self, direction: Direction) {
        match direction {
            Direction::Seal => self.seal(),
            Direction::Open => self.open(),
        }
    }

    fn seal(&mut self) {
        self.first += N as u64;
        let mut packets = (self.first..).zip(&self.plain).zip(&mut self.sealed);
        let mut batch: [Seal<'_>; N] = array::from_fn(|_| {
            let ((counter, plaintext), out) = packets.next().expect("N packets");
            Seal {
                key: &self.key,
                counter,
                plaintext,
                out,
            }
        });
        self.aead.seal(&mut batch);
    }

    fn open(&mut self) {
        let mut packets = (self.first..).zip(&self.sealed).zip(&mut self.opened);
        let mut batch: [Open<'_>; N] = array::from_fn(|_| {
            let ((counter, sealed), out) = packets.next().expect("N packets");
            Open {
                key: &self.key,
                counter,
                sealed,
                out,
                valid: false,
            }
        });
        self.aead.open(&mut batch);
        assert!(
            batch.iter().all(|packet| packet.valid),
            "the backend opens what it sealed"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_packet_takes_longer_in_both_directions() {
        for direction in [Direction::Seal, Direction::Open] {
            let nanoseconds = |packet_len| {
                let duration = Duration::from_millis(20);
                measure(Backend::AwsLc, packet_len, direction, duration).unwrap()
            };
            let (short, long) = (nanoseconds(64), nanoseconds(9000));
            assert!(
                0.0 < short && short < long,
                "{direction:?}: {short} ns, {long} ns"
            );
        }
    }
}
