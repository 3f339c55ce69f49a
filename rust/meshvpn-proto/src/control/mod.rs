//! What nodes and their coordinator know of a mesh, and say to each other.
//!
//! All of it is JSON when it travels or lies in a file, so that a person can read it. A field that a reader
//! does not know is ignored, and one that is missing has its default: old and new versions work together.
//!
//! | module | holds |
//! |---|---|
//! | [`map`] | the mesh as a node sees it: peers, relays, names |
//! | [`view`] | the same as the coordinator signs it, once for all nodes that may see the same |
//! | [`delta`] | what changed between two numbered views |
//! | [`signature`] | Ed25519 over views and deltas |
//! | [`cache`] | what a node keeps on disk, to come back while the coordinator is away |
//! | [`auth_key`] | what a machine joins the mesh with |
//! | [`messages`] | everything that is said on the channel |
//! | [`channel`] | the encrypted channel under the messages |
//! | [`client`] | the node's side of it all: connect, register, follow the map, come back |
//!
//! ```text
//! node                                            coordinator
//!   ── handshake ───────────────────────────────►
//!   ◄─────────────────────────────── handshake ──
//!   ── register: auth key, node key, name ──────►   knows the machine by the channel's key
//!   ◄──────────── registered: number, map's key ──   or: pending, refused
//!   ◄──────────────────── map, whole and signed ──   or what changed since the map that the node has
//!   ◄── delta, delta, … ─────────────────────────
//!   ── update: candidates, home relay ──────────►   goes to all others as a delta
//! ```

pub mod auth_key;
pub mod cache;
pub mod channel;
pub mod client;
pub mod delta;
mod lenient;
pub mod map;
pub mod messages;
#[cfg(test)]
mod recording;
pub mod signature;
pub mod view;
