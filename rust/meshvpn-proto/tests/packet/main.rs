//! What `meshvpn_proto::packet` understands of packets, judged by expectation, property and tshark.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose packet cannot be crafted has to fail"
)]

mod answers;
mod craft;
mod dissect;
mod properties;
mod reassembly;
mod samples;
mod seeds;
mod tshark;
