//! The half of meshvpn that moves bytes: system calls, threads and namespaces around the pure
//! machines of `meshvpn-proto`.
//!
//! | module | holds |
//! |---|---|
//! | [`tunnel`] | a running point-to-point tunnel |
//! | [`dataplane`] | the two threads that forward packets |
//! | [`capture`] | what went over the network, in a file |
//! | [`relay`] | connections to relays, for peers that cannot be reached directly |
//! | [`tun`], [`udp`] | frames and datagrams, many a system call |
//! | [`aead`] | the fast ciphers, and the choice between them |
//! | [`netlink`], [`netns`] | devices, addresses, routes; network namespaces |
//! | [`dns`] | the resolver inside a node, and the system that asks it |
//! | [`callers`] | load for a WireGuard device, for the benchmark |
//! | [`offload`], [`wait`] | what this kernel can; waiting and waking |

pub mod aead;
pub mod callers;
pub mod capture;
pub mod dataplane;
pub mod dns;
mod driver_thread;
pub mod netlink;
pub mod netns;
pub mod offload;
pub mod relay;
mod seldom;
pub mod tun;
pub mod tunnel;
pub mod udp;
pub mod wait;
pub mod wireguard;
