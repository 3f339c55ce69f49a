//! The service over real sockets, with foreign libraries at the other end.

mod api;
mod bad_input;
mod nodes;
