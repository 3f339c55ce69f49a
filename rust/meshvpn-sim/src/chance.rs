//! Randomness that can be repeated.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for loss, delay and ports. Keys are made from
/// it too, which is fine where nobody attacks.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// What follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A source of its own for `name`: what others draw does not move it.
    pub fn derive(&self, name: &str) -> Self {
        // FNV-1a, then mixed with our seed.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut derived = Self(self.0 ^ hash);
        derived.0 = derived.number();
        derived
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The upper half of the product is evenly spread but for one part in 2⁶⁴/limit.
        ((u128::from(self.number()) * u128::from(limit)) >> 64) as u64
    }

    /// True with this probability.
    pub fn hits(&mut self, probability: f64) -> bool {
        probability > 0.0 && ((self.number() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    /// 32 bytes, for a machine that wants a seed.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&self.number().to_le_bytes());
        }
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_as_stated() {
        let mut chance = Chance::new(1);
        let hits = (0..100_000).filter(|_| chance.hits(0.1)).count();
        assert!((9_600..10_400).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| !chance.hits(0.0) && chance.hits(1.0)));
        let mut counts = [0; 10];
        (0..100_000).for_each(|_| counts[chance.below(10) as usize] += 1);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)));
    }

    #[test]
    fn sources_with_names_do_not_disturb_each_other() {
        let mut chance = Chance::new(1);
        let mut first = chance.derive("a");
        let mut other = chance.derive("b");
        let before = chance.derive("a").number();
        chance.derive("c").number();
        assert_eq!(first.number(), before);
        assert_ne!(other.number(), before);
        chance.number();
        assert_ne!(chance.derive("a").number(), before);
    }
}
