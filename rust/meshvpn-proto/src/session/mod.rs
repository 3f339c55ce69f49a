//! Transport sessions: keys, counters, replay protection and the data framing they share.

pub mod aead;
