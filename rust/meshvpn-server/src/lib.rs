//! Coordinator and relay of meshvpn.
//!
//! What decides is pure, like all of `meshvpn-proto`: the simulator drives it in virtual time. Around it is a
//! shell of sockets, threads and a store, behind the features `net` and `store`.
//!
//! | module | holds |
//! |---|---|
//! | [`coordinator`] | who is in the mesh, and what everyone is told of it |
//! | `http` | how HTTP is served, whatever it is for (feature `net`) |

#![forbid(unsafe_code)]

pub mod coordinator;
#[cfg(feature = "net")]
pub mod http;
