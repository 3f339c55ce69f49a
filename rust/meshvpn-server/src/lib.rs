//! Coordinator and relay of meshvpn.
//!
//! What decides is pure, like all of `meshvpn-proto`: the simulator drives it in virtual time. Around it is a
//! shell of sockets, threads and a store, behind the features `net` and `store`.

#![forbid(unsafe_code)]
