//! How many packets came by which path: what tells a path that carries data from one that only answers probes.
//!
//! Counted once a batch, like everything in a slot. There are four places, which is more than the paths that a
//! peer uses at a time. A path that finds no place takes one from another, whose count begins anew then; whoever
//! compares counts takes one that went back as a new beginning.

use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, Ordering};

use super::Path;

const PLACES: usize = 4;

/// Packets by path, as the threads of a data plane share them.
#[derive(Debug, Default)]
pub struct PathCounts([Place; PLACES]);

#[derive(Debug, Default)]
struct Place {
    /// Zero while nobody has it.
    path: AtomicU64,
    packets: AtomicU64,
}

impl PathCounts {
    /// IP packets that came by this path. Our own address makes no difference.
    pub fn received(&self, path: &Path) -> u64 {
        let key = key(path);
        let place = self.0.iter().find(|place| place.has(key));
        place.map_or(0, |place| place.packets.load(Ordering::Relaxed))
    }

    /// Counts what came in a batch.
    pub(super) fn add(&self, path: &Path, packets: u64) {
        let key = key(path);
        let known = self.0.iter().find(|place| place.has(key));
        let place = known.or_else(|| self.0.iter().find(|place| place.take(0, key)));
        let place = place.unwrap_or_else(|| {
            let victim = &self.0[key as usize % PLACES];
            victim.path.store(key, Ordering::Relaxed);
            victim.packets.store(0, Ordering::Relaxed);
            victim
        });
        place.packets.fetch_add(packets, Ordering::Relaxed);
    }

    /// Forgets all: the slot is somebody else's now.
    pub(crate) fn clear(&self) {
        for place in &self.0 {
            place.path.store(0, Ordering::Relaxed);
            place.packets.store(0, Ordering::Relaxed);
        }
    }
}

impl Place {
    fn has(&self, key: u64) -> bool {
        self.path.load(Ordering::Relaxed) == key
    }

    fn take(&self, from: u64, to: u64) -> bool {
        self.path
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// A number for the socket and the peer's address, never zero. Two paths of one peer share it once in 2⁶⁴.
fn key(path: &Path) -> u64 {
    let address = match path.destination.ip() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let rest = (path.socket as u64) << 16 | u64::from(path.destination.port());
    let words = [address as u64, (address >> 64) as u64, rest];
    words.into_iter().fold(1, mix) | 1
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(state: u64, word: u64) -> u64 {
    let mut mixed = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(socket: usize, port: u16) -> Path {
        Path {
            socket,
            source: None,
            destination: ([192, 0, 2, 1], port).into(),
        }
    }

    #[test]
    fn each_path_has_a_count_of_its_own() {
        let counts = PathCounts::default();
        counts.add(&path(0, 1), 5);
        counts.add(&path(1, 1), 7);
        let source = Some([10, 0, 0, 1].into());
        counts.add(
            &Path {
                source,
                ..path(0, 1)
            },
            2,
        );
        assert_eq!(counts.received(&path(0, 1)), 7);
        assert_eq!(counts.received(&path(1, 1)), 7);
        assert_eq!(counts.received(&path(0, 2)), 0);
    }

    #[test]
    fn more_paths_than_places_still_count() {
        let counts = PathCounts::default();
        for port in 1..=50 {
            counts.add(&path(0, port), 3);
            assert_eq!(counts.received(&path(0, port)), 3);
        }
        counts.clear();
        assert!((1..=50).all(|port| counts.received(&path(0, port)) == 0));
    }
}
