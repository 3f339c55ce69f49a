//! An internet in virtual time: hosts, links with delay and loss, routers with NATs of every kind, and any
//! machine of meshvpn-proto on it.
//!
//! Everything that happens follows from the seed: the same seed gives the same bytes, which a digest of the
//! [event log](log) shows. Ten minutes pass in a second or so, and no root is needed.
//!
//! ```
//! use meshvpn_sim::{Behavior, Conditions, Internet, Kind};
//! use meshvpn_sim::machines::{DiscoveryMachine, StunServer};
//!
//! let mut net = Internet::new(7);
//! let stun = net.public_host("stun", 2, Conditions::default());
//! let server = StunServer::attach(&mut net, stun);
//! let home = net.home("alice", Kind::PortRestricted, Conditions::latency_ms(10));
//! let discovery = DiscoveryMachine::attach(&mut net, home.host, &[server]);
//! net.run_for(std::time::Duration::from_secs(6));
//! let report = net.machine::<DiscoveryMachine>(discovery).report().expect("a report");
//! assert_eq!(report.mapping, Some(Behavior::of(Kind::PortRestricted).mapping));
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`internet`] | the whole of it: building, running, looking |
//! | [`machine`] | what a host runs: any machine that does no input or output itself |
//! | [`machines`] | some that are often needed: STUN server, NAT discovery, a plain socket |
//! | [`nat`] | NATs by their behaviours (RFC 4787), and the kinds that homes and carriers have |
//! | [`link`] | delay, jitter, loss, reordering, rate, queue, MTU |
//! | [`packet`] | what travels |
//! | [`stream`] | bytes in order over packets: as much of TCP as is needed |
//! | [`log`] | what happened, line by line, and its digest |
//! | [`capture`] | packets of links in a file for Wireshark |
//! | [`oracle`] | whether two nodes can reach each other directly, and how |
//! | [`chance`] | randomness that can be repeated |

#![forbid(unsafe_code)]

pub mod capture;
pub mod chance;
pub mod internet;
pub mod link;
pub mod log;
pub mod machine;
pub mod machines;
pub mod nat;
pub mod oracle;
pub mod packet;
pub mod stream;

pub use internet::{Home, HostId, Internet, LinkId, MachineId, NetworkId, RouterId};
pub use link::Conditions;
pub use machine::{Machine, StreamAction, StreamEvent, StreamId, Transmit};
pub use nat::{Behavior, Kind, Nat};
