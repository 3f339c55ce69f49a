//! WireGuard.
mod uapi;
