//! Seeds for the fuzzer from the packets of these tests.

use std::path::Path;

use crate::craft::{ACK, CWR, FIN, Inner, PSH, payload};
use crate::pipe::{Framing, Pipe, Sent, plain_frame};

#[test]
#[ignore = "writes fuzz/corpus: run it after adding a kind of packet"]
fn write_seeds() {
    for (name, inner, gso_size) in super_packets() {
        let frame = inner.super_frame(gso_size);
        write("split_join", name, &frame);
        let single = inner.single_frame();
        let plain = plain_frame(&inner.bytes());
        let frames = [entry(&frame), entry(&single), entry(&plain)].concat();
        for (framing, path) in [(0, 1500u16), (1, 1500), (0, 300), (1, 9000)] {
            let start = [&[framing][..], &path.to_be_bytes()].concat();
            let name = format!("{name} {framing} {path}");
            write("outbound_frame", &name, &[start, frames.clone()].concat());
        }
        let mut pipe = Pipe::new(Framing::Plain, 9000);
        let sent = pipe.send([&frame[..]]);
        write(
            "inbound_datagram",
            &format!("{name} plain"),
            &buffers(0, &sent),
        );
        let wrapped: Vec<_> = sent.iter().map(wrap).collect();
        write(
            "inbound_datagram",
            &format!("{name} sealed"),
            &buffers(1, &wrapped),
        );
    }
    for (name, steps) in [
        ("in order", &[0, 0, 0, 1, 0, 0, 2, 0, 0][..]),
        ("again", &[3, 0, 0, 3, 0, 0]),
        ("backwards", &[9, 0, 0, 0, 0, 0]),
        ("changed", &[0, 20, 5, 0, 0, 0]),
        ("cut", &[0, 30, 1, 0, 0, 0]),
    ] {
        write("data_message", name, steps);
    }
    for (name, steps) in [
        ("agreement", &[8, 0, 9, 0, 8, 1, 9, 2, 8, 3, 9, 4][..]),
        ("restart", &[8, 1, 9, 0, 8, 2, 0, 0, 9, 5, 8, 6, 9, 7]),
        ("silence", &[8, 1, 9, 0, 8, 2, 9, 3, 4, 0, 9, 5, 8, 6]),
        ("changed", &[6, 1, 7, 0, 8, 1]),
        ("time", &[2, 100, 2, 200, 8, 3, 9, 4]),
    ] {
        write("hello", name, steps);
    }
    for (name, steps) in [
        ("no answer", &[100, 255, 255, 255, 255, 255, 255, 255][..]),
        ("all answered", &[10, 12, 10, 4, 10, 4, 0, 0, 130, 0, 10, 4]),
        ("half answered", &[10, 8, 10, 4, 10, 6, 10, 4, 10, 5, 10, 4]),
        ("refused", &[10, 12, 255, 0, 255, 1, 10, 5, 10, 4]),
        ("another session", &[10, 12, 50, 3, 10, 4, 10, 2]),
        (
            "request",
            &[1, 0, 0, 0, 5, 220, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
    ] {
        write("probe", name, steps);
    }
}

fn super_packets() -> Vec<(&'static str, Inner, u16)> {
    let tcp = |is_v6, flags| {
        let mut inner = Inner::tcp(is_v6, u32::MAX - 50, payload(500, 1));
        let tcp = inner.tcp.as_mut().unwrap();
        tcp.flags = flags;
        tcp.options = vec![1; 12];
        inner
    };
    let mut fragmentable = tcp(false, ACK);
    fragmentable.dont_fragment = false;
    let mut options = Inner::udp(false, payload(300, 3));
    options.ip_options = vec![1; 8];
    vec![
        ("tcp4", tcp(false, ACK | PSH), 100),
        ("tcp6", tcp(true, ACK), 90),
        ("tcp4 flags", tcp(false, ACK | CWR | FIN), 200),
        ("tcp4 fragmentable", fragmentable, 100),
        ("udp4", Inner::udp(false, payload(300, 3)), 77),
        ("udp6", Inner::udp(true, payload(300, 3)), 300),
        ("udp4 options", options, 100),
    ]
}

fn entry(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn buffers(framing: u8, sent: &[Sent]) -> Vec<u8> {
    let buffer = |sent: &Sent| {
        // The target reads sizes in units of eight bytes; seeds of other sizes are noise to it.
        let size = sent.segment_size.unwrap_or(sent.contents.len()).div_ceil(8);
        entry(&[&[size as u8], &sent.contents[..]].concat())
    };
    [vec![framing], sent.iter().flat_map(buffer).collect()].concat()
}

/// Each datagram in a data message that the target's AEAD, which only copies, opens.
fn wrap(sent: &Sent) -> Sent {
    let message = |(counter, datagram): (usize, &[u8])| {
        let mut message = vec![4, 0, 0, 0, 4, 4, 4, 4];
        message.extend((counter as u64).to_le_bytes());
        message.extend(datagram);
        let padding = datagram.len().next_multiple_of(8) - datagram.len();
        message.extend(vec![0; padding + 16]);
        message
    };
    let messages: Vec<_> = sent.datagrams().enumerate().map(message).collect();
    Sent {
        segment_size: Some(messages[0].len()),
        contents: messages.concat(),
        may_fragment: false,
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let corpus = corpus.join(target);
    std::fs::create_dir_all(&corpus).unwrap();
    std::fs::write(corpus.join(name.replace(' ', "-")), bytes).unwrap();
}
