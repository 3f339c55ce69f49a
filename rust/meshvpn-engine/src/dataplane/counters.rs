//! Counters that the data plane's threads publish and everyone may read.
//!
//! Each has one writer, so adding is a load and a store, once a batch.

use std::sync::atomic::{AtomicU64, Ordering};

use meshvpn_proto::forward::{DropReason, Tally};

/// What a device's threads counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// From the TUN to the network.
    pub tx: Direction,
    /// From the network to the TUN.
    pub rx: Direction,
    /// From relays to the TUN.
    pub relayed: Direction,
    /// Handshakes and other messages that the driver looks at.
    pub control: Direction,
}

/// One thread's counters. Aligned so that no two writers share a cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct Direction {
    packets: AtomicU64,
    bytes: AtomicU64,
    drops: Vec<AtomicU64>,
}

impl Default for Direction {
    fn default() -> Self {
        let drops = DropReason::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            drops,
        }
    }
}

impl Direction {
    /// Adds a tally; only the one thread whose counters these are may.
    pub(crate) fn add(&self, tally: &Tally) {
        let add = |counter: &AtomicU64, amount: u64| {
            if amount > 0 {
                counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
            }
        };
        add(&self.packets, tally.packets);
        add(&self.bytes, tally.bytes);
        for (reason, counter) in DropReason::ALL.iter().zip(&self.drops) {
            add(counter, tally.dropped(*reason));
        }
    }

    /// What was added so far.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        tally.packets = self.packets.load(Ordering::Relaxed);
        tally.bytes = self.bytes.load(Ordering::Relaxed);
        for (reason, counter) in DropReason::ALL.iter().zip(&self.drops) {
            tally.drop(*reason, counter.load(Ordering::Relaxed));
        }
        tally
    }
}
