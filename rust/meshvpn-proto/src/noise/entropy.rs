//! Random bytes from a seed, each drawn once and then impossible to draw again.
//!
//! A device makes ephemeral keys with these, and promises forward secrecy: whoever gets into its memory
//! must not learn the keys of sessions that are over. So what the bytes are made from changes with every
//! draw, and the way back is a hash ("fast key erasure").

use super::primitives::{Secret, hmac};

/// A source of random bytes that forgets.
pub(crate) struct Entropy(Secret);

impl Entropy {
    /// `seed` must come from a cryptographic source and never be used for anything else.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(hmac(&seed, &[b"meshvpn entropy v1"]))
    }

    /// Adds what an attacker who knew all until now does not know.
    pub(crate) fn mix(&mut self, seed: &[u8; 32]) {
        self.0 = hmac(&self.0, &[b"mix", seed]);
    }

    /// 32 bytes.
    pub(crate) fn draw(&mut self) -> Secret {
        let drawn = hmac(&self.0, &[b"draw"]);
        self.0 = hmac(&self.0, &[b"next"]);
        drawn
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u32 {
        let [a, b, c, d, ..] = *self.draw();
        u32::from_le_bytes([a, b, c, d])
    }
}

impl core::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Entropy(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_course_of_bytes() {
        let draws = |seed: u8, mixed: Option<u8>| {
            let mut entropy = Entropy::new([seed; 32]);
            let first = *entropy.draw();
            if let Some(mixed) = mixed {
                entropy.mix(&[mixed; 32]);
            }
            [first, *entropy.draw(), *entropy.draw()]
        };
        assert_eq!(draws(1, None), draws(1, None));
        let mut seen: Vec<_> = [draws(1, None), draws(2, None), draws(3, Some(1))].concat();
        seen.push(draws(1, Some(1))[1]);
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
