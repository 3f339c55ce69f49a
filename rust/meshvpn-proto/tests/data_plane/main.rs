//! The batch forwarder from end to end, in memory: what goes into one TUN must come out of the other.

mod corrupt_is_never_signed;
mod craft;
mod join_keeps_order;
mod pipe;
mod split_then_join;
mod traffic;
