//! Why packets are dropped, and how many.
//!
//! A dropped packet is not an error: nothing is returned, one number goes up.

use core::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why the data plane dropped a packet or datagram.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// Every reason, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason's name in statistics, e.g. `"bad_tag"`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// From the TUN or a peer: not an IP packet, or its lengths contradict each other.
    Malformed = "malformed",
    /// From the TUN: no peer's allowed IPs hold the destination.
    NoRoute = "no_route",
    /// From the TUN: the peer has agreed on no keys yet.
    NoSession = "no_session",
    /// From the TUN: nobody knows yet where the peer is.
    NoEndpoint = "no_endpoint",
    /// From the TUN: longer than the path takes; answered with ICMP where the rules allow.
    TooBig = "too_big",
    /// To the network: the kernel refused the datagram (unreachable, interface down).
    SendFailed = "send_failed",
    /// To the network: the relay takes less than there is to send; the oldest make room.
    RelayCongested = "relay_congested",
    /// To the network: the datagram is longer than the interface takes.
    PathTooNarrow = "path_too_narrow",
    /// From the network: longer than any datagram that a peer would send, cut off.
    Truncated = "truncated",
    /// From the network: neither a data message nor anything else that we know.
    UnknownType = "unknown_type",
    /// From the network: a data message for a session that does not exist.
    UnknownSession = "unknown_session",
    /// From the network: sealed with another key, or changed on the way.
    BadTag = "bad_tag",
    /// From the network: seen before, or older than the replay window.
    Replayed = "replayed",
    /// From the network: not from the address that this tunnel talks to.
    ForeignSource = "foreign_source",
    /// From the network: a handshake message that the key does not authenticate, or an old one.
    BadHandshake = "bad_handshake",
    /// From the network: a handshake message while the device is down.
    DeviceDown = "device_down",
    /// From the network: a handshake message whose sender did not know our public key.
    BadMac1 = "bad_mac1",
    /// From the network: a handshake message while there were too many; answered with a cookie, which
    /// says how to do better.
    UnderLoad = "under_load",
    /// From the network: too many handshake messages from one address.
    RateLimited = "rate_limited",
    /// From the network: an initiation from nobody whom we know.
    UnknownPeer = "unknown_peer",
    /// From the network: an initiation no newer than the last one from that peer, or too soon after it.
    OldHandshake = "old_handshake",
    /// From the network: a cookie that answers nothing that we sent.
    BadCookie = "bad_cookie",
    /// From a peer: its allowed IPs do not hold the packet's source.
    SourceNotAllowed = "source_not_allowed",
    /// From the TUN or a peer: the filter does not let it pass.
    Denied = "denied",
    /// From the TUN or a peer: the filter has not decided yet.
    Undecided = "undecided",
    /// From a peer: more control messages at once than we are willing to keep.
    ControlOverflow = "control_overflow",
    /// To the TUN: the device refused the packet.
    DeviceRefused = "device_refused",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What went through one direction of the forwarder, and what did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Inner packets passed on.
    pub packets: u64,
    /// Their bytes, inner IP headers included.
    pub bytes: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl Tally {
    /// Counts `count` packets dropped for `reason`.
    pub fn drop(&mut self, reason: DropReason, count: u64) {
        self.drops[reason as usize] += count;
    }

    /// How many were dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Adds another tally to this one.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        for (mine, theirs) in self.drops.iter_mut().zip(other.drops) {
            *mine += theirs;
        }
    }
}
