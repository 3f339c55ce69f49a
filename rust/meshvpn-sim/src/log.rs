//! What happened, line by line, and a digest of all lines.
//!
//! ```text
//! 0.010000000 alice sends 192.168.1.2:40000 -> 198.18.0.2:3478 udp 28 5be9b51a
//! 0.010000000 alice-router maps 192.168.1.2:40000 to 198.18.0.3:40000 udp
//! 0.020000000 stun gets 198.18.0.3:40000 -> 198.18.0.2:3478 udp 28 5be9b51a
//! ```
//!
//! Two runs of one seed give the same lines. Where they do not, or where another version of the code behaves
//! differently, the first difference is where to look. The digest costs no memory, so long runs keep that
//! alone and make the lines again when they are wanted: replaying is running the seed once more.

use core::fmt;
use core::time::Duration;
use std::io::Write as _;

use blake2::{Blake2s256, Digest};

/// What to keep of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// The digest.
    #[default]
    Digest,
    /// And all lines: some hundred bytes an event.
    Lines,
}

/// The event log.
#[derive(Debug, Clone, Default)]
pub struct Log {
    keep: Keep,
    digest: Blake2s256,
    text: String,
    count: u64,
    scratch: Vec<u8>,
}

/// Where two logs part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The number of the line, from 1.
    pub line: usize,
    /// What the first log has there; none at its end.
    pub first: Option<String>,
    /// What the second has.
    pub second: Option<String>,
}

impl Log {
    /// Decides what to keep from now on.
    pub fn keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// How many events there were.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Nothing happened yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lines that were kept.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// BLAKE2s-256 of all lines so far, in hex.
    pub fn digest(&self) -> String {
        let digest = self.digest.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn add(&mut self, at: Duration, event: fmt::Arguments<'_>) {
        self.count += 1;
        self.scratch.clear();
        let (seconds, nanoseconds) = (at.as_secs(), at.subsec_nanos());
        let written = writeln!(self.scratch, "{seconds}.{nanoseconds:09} {event}");
        debug_assert!(written.is_ok(), "memory takes everything");
        self.digest.update(&self.scratch);
        if self.keep == Keep::Lines {
            self.text.push_str(&String::from_utf8_lossy(&self.scratch));
        }
    }
}

/// Where the lines of two logs part; none when they are the same.
pub fn first_difference(first: &str, second: &str) -> Option<Difference> {
    let (mut one, mut other) = (first.lines(), second.lines());
    for line in 1.. {
        let (first, second) = (one.next(), other.next());
        if first != second {
            return Some(Difference {
                line,
                first: first.map(str::to_owned),
                second: second.map(str::to_owned),
            });
        }
        if first.is_none() {
            break;
        }
    }
    None
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |line: &Option<String>| line.clone().unwrap_or_else(|| "(the end)".into());
        let (first, second) = (shown(&self.first), shown(&self.second));
        write!(f, "line {}:\n- {first}\n+ {second}", self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_found() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        let difference = first_difference("a\nb\nc\n", "a\nx\nc\n").unwrap();
        assert_eq!(difference.to_string(), "line 2:\n- b\n+ x");
        let difference = first_difference("a\n", "a\nx\n").unwrap();
        assert_eq!(difference.to_string(), "line 2:\n- (the end)\n+ x");
    }

    #[test]
    fn the_digest_is_of_every_line() {
        let log = |keep, event: &str| {
            let mut log = Log::default();
            log.keep(keep);
            log.add(Duration::from_millis(1500), format_args!("{event}"));
            (log.digest(), log.text().to_owned())
        };
        assert_eq!(log(Keep::Lines, "a").1, "1.500000000 a\n");
        assert_eq!(log(Keep::Lines, "a").0, log(Keep::Digest, "a").0);
        assert_ne!(log(Keep::Lines, "a").0, log(Keep::Lines, "b").0);
        assert_eq!(log(Keep::Digest, "a").1, "");
    }
}
