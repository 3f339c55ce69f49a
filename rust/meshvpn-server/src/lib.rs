//! Coordinator and relay of meshvpn.
//!
//! What decides is pure, like all of `meshvpn-proto`: the simulator drives it in virtual time. Around it is a
//! shell of sockets, threads and a store, behind the features `net` and `store`.
//!
//! | module | holds |
//! |---|---|
//! | [`coordinator`] | who is in the mesh, and what everyone is told of it |
//! | `http` | who is at the other end of a request (feature `net`) |
//! | `listen` | one TCP port for all of it, with TLS or without (feature `net`) |
//! | `relay` | packets for peers that cannot be reached directly (feature `net`) |

#![forbid(unsafe_code)]

pub mod coordinator;
#[cfg(feature = "net")]
pub mod http;
#[cfg(feature = "net")]
pub mod listen;
#[cfg(feature = "net")]
pub mod relay;
