//! Where virtual time begins, and chance that can be repeated.

use std::time::Instant;

/// Some moment. Instants cannot be made up, but only differences from this one matter.
#[expect(
    clippy::disallowed_methods,
    reason = "time has to begin somewhere; from here on it is virtual"
)]
pub(crate) fn beginning() -> Instant {
    Instant::now()
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for loss and delay.
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn hits(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        seed
    }
}
