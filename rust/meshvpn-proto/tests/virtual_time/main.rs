//! The machines that decide, in virtual time: hours pass in milliseconds, and the same seed gives
//! the same course of events.

mod chance;
mod narrow_path;
mod path_mtu;
mod restarts;
mod wire;
