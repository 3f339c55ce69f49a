//! The replay window: which packet numbers have been seen (RFC 6479).
//!
//! A ring of bits, moved forward a word at a time. Numbers that fell out at the back count as seen.

use super::transport::REJECT_AFTER_MESSAGES;

/// Packets that may be overtaken by later ones and still be accepted.
///
/// At 6 Gbit/s this is 15 ms of full-size packets: more than parallel queues or a path change with
/// both paths in use put between two packets.
pub const WINDOW: u64 = (WORDS as u64 - 1) * 64;

/// 8,192 bits of memory, of which one word is always being recycled.
const WORDS: usize = 128;

/// The window of one receiving key.
#[derive(Debug)]
pub struct ReplayWindow {
    /// The highest number accepted, plus one.
    next: u64,
    seen: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self {
            next: 0,
            seen: [0; WORDS],
        }
    }
}

impl ReplayWindow {
    /// Accepts packet `number` if it is new; to be called only for authenticated packets. Numbers
    /// that no session may send are refused.
    pub fn accept(&mut self, number: u64) -> bool {
        if number >= REJECT_AFTER_MESSAGES {
            return false;
        }
        if number >= self.next {
            self.advance_to(number);
        } else if self.next - number > WINDOW {
            return false;
        }
        let word = &mut self.seen[(number / 64) as usize % WORDS];
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn advance_to(&mut self, number: u64) {
        // Words entered for the first time hold bits of numbers a whole ring ago.
        let current = self.next.checked_sub(1).map_or(0, |last| last / 64 + 1);
        let target = number / 64;
        for word in current..=target.min(current + WORDS as u64) {
            self.seen[word as usize % WORDS] = 0;
        }
        self.next = number + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_is_accepted_once() {
        let mut window = ReplayWindow::default();
        assert!(window.accept(0));
        assert!(!window.accept(0));
        assert!(window.accept(2));
        assert!(window.accept(1));
        assert!(!window.accept(2));
    }

    #[test]
    fn what_fell_out_at_the_back_is_refused() {
        let mut window = ReplayWindow::default();
        assert!(window.accept(WINDOW + 10));
        assert!(!window.accept(10));
        assert!(window.accept(11));
    }

    /// The highest number would make the window begin again, and accept everything once more.
    #[test]
    fn numbers_that_no_session_may_send_are_refused() {
        let mut window = ReplayWindow::default();
        assert!(window.accept(REJECT_AFTER_MESSAGES - 1));
        assert!(window.accept(REJECT_AFTER_MESSAGES - 2));
        for number in [REJECT_AFTER_MESSAGES, u64::MAX - 1, u64::MAX] {
            assert!(!window.accept(number));
        }
        assert!(!window.accept(REJECT_AFTER_MESSAGES - 1));
        assert!(!window.accept(0));
    }

    proptest! {
        /// The model: a set of all numbers seen.
        #[test]
        fn agrees_with_a_set(jumps in proptest::collection::vec(-9000i64..9000, 1..400)) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            let mut at = 0i64;
            for jump in jumps {
                at = (at + jump).max(0);
                let number = at as u64;
                let newest = seen.last().copied().map_or(0, |last: u64| last + 1);
                let is_recent = number + WINDOW >= newest;
                prop_assert_eq!(window.accept(number), is_recent && seen.insert(number));
            }
        }
    }
}
