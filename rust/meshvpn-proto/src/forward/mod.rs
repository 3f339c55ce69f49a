//! Packets for people.
