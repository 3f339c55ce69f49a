//! The half of meshvpn that moves bytes.

pub mod aead;
