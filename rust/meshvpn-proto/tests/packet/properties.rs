//! Arbitrary and damaged bytes: no panic, and never a range beyond them.

use meshvpn_proto::packet::{Packet, echo_reply, icmp_error};
use proptest::prelude::*;

use crate::samples;

/// Reads `bytes` in every way there is and checks what is claimed of them.
fn read(bytes: &[u8]) {
    let packet = Packet::new(bytes);
    assert!(packet.payload().len() <= bytes.len());
    if let Some(ip) = &packet.ip {
        let extensions = ip.extensions.iter().map(|extension| &extension.range);
        for range in [&ip.header, &ip.payload].into_iter().chain(extensions) {
            assert!(
                range.start <= range.end && range.end <= bytes.len(),
                "{range:?}"
            );
        }
    }
    for layer in packet.layers() {
        assert!(layer.range.start <= layer.range.end && layer.range.end <= bytes.len());
    }
    assert!(packet.summary().contains(" | "));
    // No bound is tight; it is that nothing grows faster than the packet.
    assert!(packet.hexdump().len() <= 100 + bytes.len() * 80);
    let _ = echo_reply(bytes);
    for source in [
        crate::craft::address(crate::craft::V4_TO),
        crate::craft::address(crate::craft::V6_TO),
    ] {
        let mut out = [0; icmp_error::TOO_BIG_ROOM];
        let _ = icmp_error::too_big(bytes, 1400, source, &mut out);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0u8..16) {
        if let Some(first) = bytes.first_mut() {
            // Half of all versions are left to chance, the others get past the first check.
            *first = match version { 0..=3 => 0x45, 4..=7 => 0x60, _ => *first };
        }
        read(&bytes);
    }

    #[test]
    fn damaged_packets(
        sample in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in any::<prop::sample::Index>(),
    ) {
        let samples = samples::all();
        let mut bytes = samples[sample.index(samples.len())].2.clone();
        for (place, value) in changes {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
        }
        bytes.truncate(length.index(bytes.len() + 1));
        read(&bytes);
    }
}
