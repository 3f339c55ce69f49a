//! The pure half of meshvpn: everything that decides, nothing that moves bytes.
//!
//! No sockets, no threads, no clock, no global randomness: time and seeds are arguments, so the
//! same code runs on a real machine, under a fuzzer and in a simulated internet.
//!
//! | module | holds |
//! |---|---|
//! | [`packet`] | IP, ICMP, TCP and UDP for people: parse, one-line summary, fragments, pcapng, ICMP errors |
//! | [`forward`] | the batch forwarder: split, checksum, route, seal · open, replay, judge, join |
//! | [`session`] | transport sessions: AEAD seam, data framing, replay window, the pre-shared-key handshake |
//! | [`path`] | paths to a peer: candidates, probes, choice, MTU |
//! | [`noise`] | WireGuard's handshake, its messages, cookies and timestamps |
//! | [`nat`] | STUN, and what it tells of a NAT's behaviour |
//! | [`peer`] | one WireGuard peer: handshakes, sessions, timers |
//! | [`wireguard`] | a WireGuard device: all peers, and what the data plane sees of them |
//! | [`relay`] | packets through a third party, for peers that cannot be reached directly (DERP) |
//! | [`control`] | what nodes and their coordinator know of a mesh, and say to each other |
//! | [`node`] | a node of the mesh: WireGuard, paths and map together |
//! | [`dns`] | names in the mesh: a resolver's answers, and what it passes on |
//! | [`tunnel`] | a point-to-point tunnel: handshake and path together |
//! | [`route`] | allowed IPs: which peer a packet goes to and may come from |
//! | [`config`] | files of `wg-quick`, and the protocol that `wg` speaks |
//! | [`time`] | what pure code is told about time |
//! | [`keys`] | keys that people handle: private, public, pre-shared |

#![forbid(unsafe_code)]

pub mod config;
pub mod control;
pub mod dns;
pub mod forward;
pub mod keys;
pub mod nat;
pub mod node;
pub mod noise;
pub mod packet;
pub mod path;
pub mod peer;
pub mod relay;
pub mod route;
pub mod session;
pub mod time;
pub mod tunnel;
pub mod wireguard;
