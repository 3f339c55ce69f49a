//! Frames that wait to be written: bounded, and the oldest make room for the newest.
//!
//! Whoever sends through a slow connection wants its newest packets to arrive, not its oldest; and must
//! hear of the congestion by loss, as on every link, and soon. So the bound is small, and nobody ever waits
//! for room.

use super::frame::{HEADER_LEN, MAX_PACKET, PACKET_OVERHEAD, SEND_PACKET};
use crate::keys::PublicKey;

/// Bytes that wait, at most, unless somebody says otherwise: a few batches of the data plane, and 40 ms of
/// a connection that takes 100 Mbit/s.
pub const DEFAULT_BYTES: usize = 512 << 10;

/// Whole frames with packets, one after the other.
#[derive(Debug)]
pub struct FrameQueue {
    bytes: Vec<u8>,
    /// Where the oldest begins.
    start: usize,
    most_bytes: usize,
    dropped: u64,
}

impl FrameQueue {
    /// An empty queue for `most_bytes`, and at least for one frame.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            most_bytes: most_bytes.max(PACKET_OVERHEAD + MAX_PACKET),
            dropped: 0,
        }
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Frames dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }

    /// Appends whole frames of packets, as they lie.
    pub(super) fn push_frames(&mut self, mut frames: &[u8]) {
        while frames.len() > self.most_bytes {
            frames = &frames[frame_len(frames)..];
            self.dropped += 1;
        }
        self.make_room(frames.len());
        self.bytes.extend_from_slice(frames);
    }

    /// Appends `contents`, cut into packets of `segment_size` bytes, for `destination`. A packet that no
    /// relay carries is dropped.
    pub fn push_packets(
        &mut self,
        destination: &PublicKey,
        contents: &[u8],
        segment_size: Option<usize>,
    ) {
        for packet in contents.chunks(segment_size.unwrap_or(contents.len()).max(1)) {
            if packet.len() > MAX_PACKET {
                self.dropped += 1;
                continue;
            }
            self.make_room(PACKET_OVERHEAD + packet.len());
            let len = destination.as_bytes().len() + packet.len();
            self.bytes.push(SEND_PACKET);
            self.bytes.extend_from_slice(&(len as u32).to_be_bytes());
            self.bytes.extend_from_slice(destination.as_bytes());
            self.bytes.extend_from_slice(packet);
        }
    }

    /// Moves everything that waits to the end of `out`; without a copy when that is empty.
    pub fn take_into(&mut self, out: &mut Vec<u8>) {
        if out.is_empty() && self.start == 0 {
            core::mem::swap(&mut self.bytes, out);
        } else {
            out.extend_from_slice(&self.bytes[self.start..]);
            self.clear();
        }
    }

    /// Drops everything that waits, and counts it.
    pub fn discard(&mut self) {
        while !self.is_empty() {
            self.drop_oldest();
        }
    }

    fn make_room(&mut self, len: usize) {
        while self.len() + len > self.most_bytes {
            self.drop_oldest();
        }
        // What was dropped in front must not make the buffer grow without end.
        if self.start > self.most_bytes {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    fn drop_oldest(&mut self) {
        self.start += frame_len(&self.bytes[self.start..]);
        self.dropped += 1;
        if self.is_empty() {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }
}

/// The length of the frame that `frames`, which are whole, begin with.
fn frame_len(frames: &[u8]) -> usize {
    let [_, a, b, c, d] = *frames.first_chunk().expect("whole frames");
    HEADER_LEN + u32::from_be_bytes([a, b, c, d]) as usize
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frame;
    use super::*;
    use proptest::prelude::*;

    fn taken(queue: &mut FrameQueue) -> Vec<u8> {
        let mut out = Vec::new();
        queue.take_into(&mut out);
        out
    }

    #[test]
    fn the_oldest_make_room() {
        let to = PublicKey::new([1; 32]);
        let mut queue = FrameQueue::new(100 << 10);
        for number in 0..200u8 {
            queue.push_packets(&to, &[number; 1024], None);
        }
        let held = (100 << 10) / (1024 + PACKET_OVERHEAD);
        assert_eq!(queue.take_dropped(), 200 - held as u64);
        assert!(
            queue.bytes.capacity() <= 4 * (100 << 10),
            "what was dropped is gone"
        );
        let out = taken(&mut queue);
        let (first, _) = Frame::split(&out).unwrap().unwrap();
        let oldest = (200 - held) as u8;
        let packet = &[oldest; 1024][..];
        assert_eq!(
            first,
            Frame::SendPacket {
                destination: to,
                packet
            }
        );
        assert!(queue.is_empty());
    }

    #[test]
    fn what_no_relay_carries_is_dropped() {
        let mut queue = FrameQueue::new(1 << 20);
        queue.push_packets(&PublicKey::new([1; 32]), &vec![0; MAX_PACKET + 1], None);
        assert_eq!((queue.len(), queue.take_dropped()), (0, 1));
    }

    proptest! {
        /// Against a plain list of packets: the queue holds the newest of them that fit, whole and in order.
        #[test]
        fn it_holds_the_newest_that_fit(
            runs in proptest::collection::vec((1usize..3000, 1usize..40), 1..60),
            takes in proptest::collection::vec(any::<bool>(), 60),
        ) {
            let most = 70 << 10;
            let to = PublicKey::new([9; 32]);
            let mut queue = FrameQueue::new(most);
            let mut model = std::collections::VecDeque::new();
            let (mut dropped, mut counted) = (0, 0);
            for (number, ((segment, count), is_taken)) in runs.into_iter().zip(takes).enumerate() {
                let contents = vec![number as u8; segment * count];
                queue.push_packets(&to, &contents, Some(segment));
                for packet in contents.chunks(segment) {
                    model.push_back(Frame::SendPacket { destination: to, packet }.to_bytes());
                    while model.iter().map(Vec::len).sum::<usize>() > most {
                        model.pop_front();
                        dropped += 1;
                    }
                }
                counted += queue.take_dropped();
                prop_assert_eq!(counted, dropped);
                if is_taken {
                    let expected: Vec<u8> = model.drain(..).flatten().collect();
                    prop_assert_eq!(taken(&mut queue), expected);
                }
            }
        }
    }
}
