//! Where traffic to a peer goes, and why: what logs and `meshvpn explain` print.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// Where traffic to a peer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Route {
    /// Nowhere that is known to work: there is no relay, and no address has answered.
    #[default]
    Nowhere,
    /// Over a relay.
    Relayed,
    /// Straight to this address.
    Direct(SocketAddr),
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("nowhere"),
            Self::Relayed => f.write_str("relayed"),
            Self::Direct(address) => write!(f, "direct {address}"),
        }
    }
}

/// Why traffic goes where it goes. Shown as a part of a sentence: *relayed, because …*
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is known of the peer.
    #[default]
    Unknown,
    /// Nothing else was tried yet.
    Beginning,
    /// The peer has told no address that could be tried.
    NoCandidates,
    /// Direct paths are being tried.
    Trying {
        /// How many addresses.
        addresses: usize,
    },
    /// Direct paths were tried.
    NoAnswer {
        /// How many addresses.
        addresses: usize,
        /// Pings sent to them.
        pings: usize,
    },
    /// A direct path answers.
    Answered {
        /// In this time.
        round_trip: Duration,
    },
    /// A direct path that had failed answers again.
    AnswersAgain {
        /// In this time.
        round_trip: Duration,
        /// How long it had been left.
        after: Duration,
    },
    /// Another direct path is better.
    Better {
        /// The one before.
        than: SocketAddr,
        /// By this much.
        by: Duration,
    },
    /// The direct path before answers nothing any more.
    Silent {
        /// Which.
        address: SocketAddr,
        /// For this long.
        since: Duration,
    },
    /// The direct path before answers pings, and loses what is sent.
    LosesData {
        /// Which.
        address: SocketAddr,
        /// Packets sent to it, in the last seconds.
        sent: u64,
        /// Packets that arrived.
        arrived: u64,
    },
    /// The peer says that it is elsewhere now.
    Withdrawn {
        /// Where it was.
        address: SocketAddr,
    },
    /// Our own network has changed: what worked may not any more.
    Moved,
    /// Nothing was sent for long: what NATs knew of the path may be forgotten.
    Idle,
    /// There is no relay, and no address has answered.
    NoRelay,
    /// The peer is no node of ours: it is where its last packet came from.
    Roaming,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("nobody knows where the peer is"),
            Self::Beginning => f.write_str("nothing else was tried yet"),
            Self::NoCandidates => f.write_str("the peer has told no address of its own"),
            Self::Trying { addresses } => {
                write!(
                    f,
                    "{} being tried",
                    Count(*addresses, "direct address is", "direct addresses are")
                )
            }
            Self::NoAnswer { addresses, pings } => write!(
                f,
                "{} answered none of {}",
                Count(*addresses, "direct address", "direct addresses"),
                Count(*pings, "ping", "pings"),
            ),
            Self::Answered { round_trip } => write!(f, "it answers within {}", Shown(*round_trip)),
            Self::AnswersAgain { round_trip, after } => write!(
                f,
                "it answers again within {}, after {}",
                Shown(*round_trip),
                Shown(*after)
            ),
            Self::Better { than, by } => write!(f, "it is better than {than} by {}", Shown(*by)),
            Self::Silent { address, since } => {
                write!(f, "{address} has not answered for {}", Shown(*since))
            }
            Self::LosesData {
                address,
                sent,
                arrived,
            } => write!(
                f,
                "{address} answers pings, but of {sent} packets {arrived} arrived"
            ),
            Self::Withdrawn { address } => write!(f, "the peer is not at {address} any more"),
            Self::Moved => f.write_str("our own network has changed"),
            Self::Idle => f.write_str("nothing was sent for long"),
            Self::NoRelay => f.write_str("there is no relay, and no address has answered"),
            Self::Roaming => f.write_str("its last packet came from there"),
        }
    }
}

struct Count(usize, &'static str, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, many) = self;
        write!(f, "{count} {}", if *count == 1 { one } else { many })
    }
}

/// A duration as people read it: `0.4 ms`, `12 ms`, `3.2 s`, `140 s`.
pub(crate) struct Shown(pub(crate) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1e3;
        match ms {
            ..9.95 => write!(f, "{ms:.1} ms"),
            ..999.5 => write!(f, "{ms:.0} ms"),
            ..99_950.0 => write!(f, "{:.1} s", ms / 1e3),
            _ => write!(f, "{:.0} s", ms / 1e3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sentences() {
        let address = ([203, 0, 113, 7], 41641).into();
        let ms = Duration::from_millis;
        for (reason, sentence) in [
            (
                Reason::Silent {
                    address,
                    since: ms(612),
                },
                "203.0.113.7:41641 has not answered for 612 ms",
            ),
            (
                Reason::NoAnswer {
                    addresses: 1,
                    pings: 9,
                },
                "1 direct address answered none of 9 pings",
            ),
            (
                Reason::Trying { addresses: 3 },
                "3 direct addresses are being tried",
            ),
            (
                Reason::AnswersAgain {
                    round_trip: ms(4),
                    after: ms(3210),
                },
                "it answers again within 4.0 ms, after 3.2 s",
            ),
            (
                Reason::LosesData {
                    address,
                    sent: 120,
                    arrived: 3,
                },
                "203.0.113.7:41641 answers pings, but of 120 packets 3 arrived",
            ),
        ] {
            assert_eq!(reason.to_string(), sentence);
        }
    }
}
