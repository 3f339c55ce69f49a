//! How fast packets pass. `cargo test --release -p meshvpn-engine --test relay -- --ignored --nocapture`

use std::time::{Duration, Instant};

use crate::ends::{Node, address, certificate, relay};

/// Bytes of a packet as a tunnel sends them, and how many at once.
const PACKET: usize = 1452;
const RUN: usize = 44;

#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "the measurement")]
fn relayed_throughput() {
    for certificate in [None, Some(certificate())] {
        let relay = relay("127.0.0.1:0", certificate.as_ref());
        let to = address(&relay, certificate.as_ref());
        let (a, b) = (Node::connect(1, to.clone()), Node::connect(2, to));
        a.wait_connected();
        b.wait_connected();
        b.path_to(1);
        let path = a.path_to(2);
        let run = vec![0; PACKET * RUN];
        let begun = Instant::now();
        let (mut sent, mut received) = (0u64, 0u64);
        while begun.elapsed() < Duration::from_secs(3) {
            // Two batches are on their way: as much as a window of TCP that fits this path.
            if sent < received + 4 * RUN as u64 {
                a.port.send(&path, &run, Some(PACKET));
                sent += RUN as u64;
            } else if b.received.recv_timeout(Duration::from_millis(50)).is_ok() {
                received += 1;
            } else {
                received = sent;
            }
            received += b.received.try_iter().count() as u64;
        }
        let bits = relay.statistics().sent_bytes as f64 * 8.0;
        let dropped = relay.statistics().dropped_slow;
        eprintln!(
            "{}: {:.2} Gbit/s, {dropped} dropped",
            if certificate.is_some() {
                "TLS"
            } else {
                "plain"
            },
            bits / begun.elapsed().as_secs_f64() / 1e9
        );
    }
}
