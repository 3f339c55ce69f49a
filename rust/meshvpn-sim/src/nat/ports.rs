//! Outer ports: which one a new mapping gets.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::Ports;
use crate::chance::Chance;

/// The range that NATs take ports from; below are those of services.
const FIRST: u16 = 1024;
const COUNT: u32 = 65_536 - FIRST as u32;

#[derive(Debug)]
pub(super) struct Allocator {
    chance: Chance,
    /// Where the counter is, from the first port of the range.
    counter: i64,
    counted_at: Duration,
    /// Inner hosts in the order in which they came.
    hosts: BTreeMap<IpAddr, usize>,
}

impl Allocator {
    pub(super) fn new(chance: Chance) -> Self {
        let mut allocator = Self {
            chance,
            counter: 0,
            counted_at: Duration::ZERO,
            hosts: BTreeMap::new(),
        };
        allocator.restart();
        allocator
    }

    /// Begins anew, somewhere.
    pub(super) fn restart(&mut self) {
        self.counter = self.chance.below(u64::from(COUNT)) as i64;
        self.hosts.clear();
    }

    /// The number of an inner host.
    pub(super) fn host(&mut self, ip: IpAddr) -> usize {
        let next = self.hosts.len();
        *self.hosts.entry(ip).or_insert(next)
    }

    /// Others make so many mappings.
    pub(super) fn skip(&mut self, ports: Ports, count: u32) {
        if let Ports::Sequential { step } = ports {
            self.counter += i64::from(step) * i64::from(count);
        }
    }

    /// A port for a new mapping of the inner host number `host`, whose socket has the port `wanted`, while
    /// others make `rate` mappings a second. None when there is none left.
    pub(super) fn take(
        &mut self,
        now: Duration,
        ports: Ports,
        host: usize,
        wanted: Option<u16>,
        rate: u32,
        is_taken: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        match (ports, wanted) {
            (Ports::Preserving | Ports::Untranslated, Some(wanted)) if !is_taken(wanted) => {
                Some(wanted)
            }
            (Ports::Preserving | Ports::Untranslated | Ports::Random, _) => {
                self.random(FIRST, COUNT, is_taken)
            }
            (Ports::Block { size }, _) => {
                let size = u32::from(size.max(1));
                let blocks = (COUNT / size).max(1);
                // Neighbours' blocks are not next to each other, so that nobody can count on that.
                let block = (host as u32).wrapping_mul(37) % blocks;
                self.random(FIRST + (block * size) as u16, size, is_taken)
            }
            (Ports::Sequential { step }, _) => {
                self.pass(now, ports, rate);
                (0..COUNT).find_map(|_| {
                    self.counter += i64::from(step);
                    let port = FIRST + self.counter.rem_euclid(i64::from(COUNT)) as u16;
                    (!is_taken(port)).then_some(port)
                })
            }
        }
    }

    /// Counts what others took since we last did.
    fn pass(&mut self, now: Duration, ports: Ports, rate: u32) {
        let expected = (now - self.counted_at).as_secs_f64() * f64::from(rate);
        self.counted_at = now;
        let fraction = expected - expected.floor();
        let more = u32::from(self.chance.hits(fraction));
        self.skip(ports, (expected as u32).saturating_add(more));
    }

    fn random(&mut self, first: u16, count: u32, is_taken: impl Fn(u16) -> bool) -> Option<u16> {
        // By chance at first; when almost all are taken, the next one that is free.
        let port = |offset: u32| first + (offset % count) as u16;
        for _ in 0..32 {
            let port = port(self.chance.below(u64::from(count)) as u32);
            if !is_taken(port) {
                return Some(port);
            }
        }
        let start = self.chance.below(u64::from(count)) as u32;
        (0..count)
            .map(|offset| port(start + offset))
            .find(|port| !is_taken(*port))
    }
}
