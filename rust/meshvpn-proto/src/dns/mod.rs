//! Names in the mesh.
//!
//! A resolver inside each node answers for the mesh and passes everything else on. Three things decide:
//!
//! ```text
//!                    ┌─ Answer ──► back to who asked
//! datagram ──► Zone ─┼─ Refuse ──► an error back, or nothing
//!                    └─ Forward ─► Forwarder ◄──► upstreams
//! ```
//!
//! A [`Zone`] is made from a map and never changes: a new map is a new zone, swapped whole. It needs neither
//! time nor memory of earlier questions. The [`Forwarder`] is a machine with both, driven like every machine
//! here. [`ResolvConf`] is the file by which a system is told whom to ask.
//!
//! | module | holds |
//! |---|---|
//! | `question` | a question as it arrives, and replies that carry no records |
//! | `zone` | what the mesh answers by itself |
//! | `reverse` | names of addresses: `5.64.100.100.in-addr.arpa` |
//! | `forwarder` | questions that others have to answer |
//! | `upstream` | what is believed of an answer from there |
//! | `resolv_conf` | `/etc/resolv.conf`: read, written, and known again |

mod forwarder;
mod question;
pub mod resolv_conf;
mod reverse;
mod upstream;
mod zone;

pub use forwarder::{Answer, Forwarder, QueryNumber, Transmit};
pub use question::{Question, Transport};
pub use resolv_conf::ResolvConf;
pub use reverse::reverse_zones;
pub use zone::{Verdict, Zone};
