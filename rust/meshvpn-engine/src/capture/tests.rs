//! Captures of nothing real: what is told to the taps is what gets into the file, and all else is counted.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::taps::Taps;
use super::{Capture, CaptureError};

/// A file of this test's own, removed at its end.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str) -> Self {
        let name = format!("meshvpn-capture-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// Blocks of the file: their types, and their lengths.
    fn blocks(&self) -> Vec<(u32, usize)> {
        let content = fs::read(&self.0).unwrap();
        let number = |at: usize| u32::from_le_bytes(content[at..at + 4].try_into().unwrap());
        let mut blocks = Vec::new();
        let mut at = 0;
        while at < content.len() {
            let length = number(at + 4);
            assert_eq!(number(at + length as usize - 4), length);
            blocks.push((number(at), length as usize));
            at += length as usize;
        }
        blocks
    }

    fn types(&self) -> Vec<u32> {
        self.blocks().iter().map(|(kind, _)| *kind).collect()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn begin(file: &TemporaryFile, taps: &Arc<Taps>, has_secrets: bool) -> Capture {
    let (capture, tap) = Capture::prepare(&file.0, "mesh0", taps, has_secrets).unwrap();
    taps.attach(tap).unwrap();
    capture
}

fn ends() -> [SocketAddr; 2] {
    ["192.0.2.1:1", "192.0.2.2:2"].map(|end| end.parse().unwrap())
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const SECRETS: u32 = 10;

#[test]
fn runs_are_taken_apart_and_sockets_are_interfaces() {
    let (file, taps) = (TemporaryFile::new("runs"), Arc::default());
    let capture = begin(&file, &taps, false);
    let [here, there] = ends();
    let listeners = taps.load().unwrap();
    listeners.at(0).received(there, here, &[7; 2500], 1000);
    listeners.at(4).received(there, here, &[], 0);
    listeners.at(0).sending(here, there, b"x", 1).settle(true);
    drop(listeners);
    capture.close().unwrap();
    assert_eq!((capture.packets(), capture.dropped()), (5, 0));
    // Each packet has 32 bytes before it, 16 behind, and 28 of headers.
    let packet = |len: usize| (PACKET, (28 + len).next_multiple_of(4) + 44);
    let blocks = file.blocks();
    assert_eq!(blocks[0].0, SECTION);
    assert_eq!(blocks[1].0, INTERFACE);
    assert_eq!(blocks[2..5], [packet(1000), packet(1000), packet(500)]);
    assert_eq!(blocks[5].0, INTERFACE);
    assert_eq!(blocks[6..], [packet(0), packet(1)]);
    assert!(taps.load().is_none(), "nobody listens any more");
}

#[test]
fn what_was_not_sent_is_neither_written_nor_dropped() {
    let (file, taps) = (TemporaryFile::new("refused"), Arc::default());
    let capture = begin(&file, &taps, false);
    let [here, there] = ends();
    let listeners = taps.load().unwrap();
    listeners
        .at(0)
        .sending(here, there, &[7; 10], 5)
        .settle(false);
    drop(listeners.at(0).sending(here, there, &[7; 10], 5));
    drop(listeners);
    capture.close().unwrap();
    assert_eq!((capture.packets(), capture.dropped()), (0, 0));
    assert_eq!(file.types(), [SECTION]);
}

/// An answer that comes before the call that asked for it has returned is recorded behind it all the same.
#[test]
fn what_is_announced_first_comes_first() {
    let (file, taps) = (TemporaryFile::new("order"), Arc::default());
    let capture = begin(&file, &taps, true);
    let [here, there] = ends();
    let listeners = taps.load().unwrap();
    let question = listeners.at(0).sending(here, there, &[7; 100], 100);
    listeners.at(0).received(there, here, &[7; 200], 200);
    assert!(taps.reveal(&"KEY = x\n".to_owned().into()));
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(capture.packets(), 0, "it waits for the outcome");
    question.settle(true);
    drop(listeners);
    capture.close().unwrap();
    let packets: Vec<_> = file.blocks()[2..].to_vec();
    assert_eq!(packets[..2], [(PACKET, 128 + 44), (PACKET, 228 + 44)]);
    assert_eq!(packets[2].0, SECRETS);
}

#[test]
fn secrets_are_for_those_who_want_them() {
    let taps = Arc::<Taps>::default();
    let [with, without] = ["with", "without"].map(TemporaryFile::new);
    let secrets = "KEY = x\n".to_owned().into();
    assert!(!taps.reveal(&secrets), "nobody listens");
    let second = begin(&without, &taps, false);
    assert!(!taps.reveal(&secrets), "nobody wants them");
    let first = begin(&with, &taps, true);
    assert!(taps.reveal(&secrets));
    first.close().unwrap();
    assert!(!taps.reveal(&secrets));
    second.close().unwrap();
    assert_eq!(with.types(), [SECTION, SECRETS]);
    assert_eq!(without.types(), [SECTION]);
}

#[test]
fn the_queue_is_bounded_and_what_finds_no_room_is_counted() {
    let (file, taps) = (TemporaryFile::new("queue"), Arc::default());
    let capture = begin(&file, &taps, false);
    let [here, there] = ends();
    let listeners = taps.load().unwrap();
    // The writer waits for the outcome of this one.
    let first = listeners.at(0).sending(here, there, b"x", 1);
    let run = vec![7; 60_000];
    for _ in 0..1000 {
        listeners.at(0).received(there, here, &run, 1000);
    }
    // No room for this one either; it counts when it is sent.
    listeners
        .at(0)
        .sending(here, there, &run, 1000)
        .settle(false);
    let dropped = capture.dropped();
    listeners
        .at(0)
        .sending(here, there, &run, 1000)
        .settle(true);
    assert_eq!(capture.dropped(), dropped + 60);
    first.settle(true);
    drop(listeners);
    capture.close().unwrap();
    assert!(capture.dropped() > 10_000 && capture.packets() > 10_000);
    assert_eq!(capture.packets() + capture.dropped(), 1 + 1001 * 60);
    let packets = file.types().iter().filter(|kind| **kind == PACKET).count();
    assert_eq!(packets as u64, capture.packets());
}

#[test]
fn all_end_with_what_they_listen_to() {
    let taps = Arc::<Taps>::default();
    let [one, two] = ["one", "two"].map(TemporaryFile::new);
    let captures = [begin(&one, &taps, false), begin(&two, &taps, false)];
    let [here, there] = ends();
    taps.load().unwrap().at(0).received(there, here, b"x", 1);
    taps.close();
    for capture in &captures {
        assert_eq!((capture.packets(), capture.failure()), (1, None));
        capture.close().unwrap();
    }
    let late = TemporaryFile::new("late");
    let refused = Capture::prepare(&late.0, "mesh0", &taps, false).map(drop);
    assert!(matches!(refused, Err(CaptureError::System(_))));
    assert!(!late.0.exists());
}
