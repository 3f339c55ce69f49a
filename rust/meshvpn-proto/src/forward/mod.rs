//! The batch forwarder: the whole data plane but for its system calls. Bytes in, bytes out.
//!
//! | step | module |
//! |---|---|
//! | read the frame that the TUN gave | [`virtio`], [`view`] |
//! | find the peer, judge the packet | [`peers`] |
//! | cut super-packets into segments, complete checksums | [`split`], [`checksum`] |
//! | seal, and put equal datagrams together for one send | [`outbound`], [`send`] |
//! | open, refuse replays, judge | [`inbound`], [`arrival`] |
//! | put segments together for one write | [`join`], `flow` |
//! | keep what has to wait for a handshake | [`parked`] |
//! | tell timers what passed, and by which path | [`activity`], [`path_counts`] |
//! | say what may pass | [`filter`] |
//! | count what was dropped, and why | [`drops`] |
//!
//! [`Outbound`] and [`Inbound`] are independent and belong to one thread each. They share peers
//! through [`Slot`]s, never with a lock per packet. The engine puts a TUN and UDP sockets around
//! them, the tests and the simulator put buffers there; the code between is the same.

pub mod activity;
pub mod arrival;
pub mod checksum;
pub mod drops;
pub mod filter;
mod flow;
pub mod inbound;
pub mod join;
pub mod outbound;
pub mod parked;
pub mod path_counts;
pub mod peers;
mod received;
mod replies;
pub mod send;
pub mod split;
pub mod view;
pub mod virtio;

pub use activity::Activity;
pub use arrival::{Arrival, Control};
pub use drops::{DropReason, Tally};
pub use filter::{Filter, Verdict};
pub use inbound::{Confirmed, Inbound};
pub use join::Joins;
pub use outbound::Outbound;
pub use path_counts::PathCounts;
pub use peers::{Claim, Path, Peers, SharedPeers, Slot};
pub use send::Transmit;
pub use view::IpView;
