//! Forwarding: a run of frames to one peer is turned round where it lies, and copied once.
//!
//! ```text
//! | 04 | length | destination 32 | packet … |      as the sender wrote it
//! | 05 | length | source 32      | packet … |      as the receiver reads it
//! ```

use core::ops::Range;
use std::time::Instant;

use super::{ClientId, Closed, Progress, Server};
use crate::keys::{KEY_LEN, PublicKey};
use crate::relay::frame::{
    Frame, FrameError, GoneReason, HEADER_LEN, PACKET_OVERHEAD, RECV_PACKET, SEND_PACKET, header,
};

/// Frames to one peer that follow each other.
struct Run {
    destination: PublicKey,
    range: Range<usize>,
    packets: u64,
}

impl Server {
    /// Takes what a client has sent: whole frames, and at the end perhaps the beginning of one, which is to be
    /// given again with what follows it. The bytes are overwritten.
    ///
    /// # Errors
    /// The client's connection is to be closed; it is no client any more.
    pub fn handle_bytes(
        &mut self,
        now: Instant,
        id: ClientId,
        bytes: &mut [u8],
    ) -> Result<Progress, Closed> {
        let consumed = match self.handle_frames(id, bytes) {
            Ok(consumed) => consumed,
            Err(error) => {
                self.remove(id);
                return Err(error.into());
            }
        };
        let client = self.clients.get_mut(&id).ok_or(Closed::Superseded)?;
        let bucket = client.bucket.as_mut();
        Ok(Progress {
            consumed,
            pause_until: bucket.and_then(|bucket| bucket.take(now, consumed)),
        })
    }

    fn handle_frames(&mut self, id: ClientId, bytes: &mut [u8]) -> Result<usize, FrameError> {
        let Some(source) = self.clients.get(&id).map(|client| client.key) else {
            return Ok(bytes.len());
        };
        let mut run: Option<Run> = None;
        let mut position = 0;
        let result = loop {
            let rest = &mut bytes[position..];
            let (kind, len) = match header(rest) {
                Ok(Some((kind, len))) if HEADER_LEN + len <= rest.len() => (kind, len),
                Ok(_) => break Ok(position),
                Err(error) => break Err(error),
            };
            let end = position + HEADER_LEN + len;
            if kind == SEND_PACKET {
                let key = rest[HEADER_LEN..HEADER_LEN + len].first_chunk_mut::<KEY_LEN>();
                let Some(key) = key else {
                    break Err(FrameError::Malformed { kind, len });
                };
                let destination = PublicKey::new(*key);
                *key = *source.as_bytes();
                rest[0] = RECV_PACKET;
                match &mut run {
                    Some(run) if run.destination == destination => {
                        run.range.end = end;
                        run.packets += 1;
                    }
                    _ => {
                        let next = Run {
                            destination,
                            range: position..end,
                            packets: 1,
                        };
                        if let Some(run) = run.replace(next) {
                            self.forward(id, &run, bytes);
                        }
                    }
                }
            } else {
                match Frame::split(rest) {
                    Ok(Some((frame, _))) => self.handle_frame(id, &frame),
                    Ok(None) => {}
                    Err(error) => break Err(error),
                }
            }
            position = end;
        };
        if let Some(run) = run {
            self.forward(id, &run, bytes);
        }
        result
    }

    fn forward(&mut self, from: ClientId, run: &Run, bytes: &[u8]) {
        let frames = &bytes[run.range.clone()];
        let packet_bytes = frames.len() as u64 - run.packets * PACKET_OVERHEAD as u64;
        self.statistics.received_packets += run.packets;
        self.statistics.received_bytes += packet_bytes;
        let Some(to) = self.newest(&run.destination) else {
            self.statistics.dropped_absent += run.packets;
            let peer = run.destination;
            let reason = GoneReason::NotHere;
            return self.tell(from, &Frame::PeerGone { peer, reason });
        };
        if let Some(sender) = self.clients.get_mut(&from) {
            sender.remember_destination(run.destination);
        }
        if let Some(receiver) = self.clients.get_mut(&to) {
            receiver.packets.push_frames(frames);
            self.statistics.dropped_slow += receiver.packets.take_dropped();
            self.statistics.sent_packets += run.packets;
            self.statistics.sent_bytes += packet_bytes;
            if receiver.wake() {
                self.writable.push_back(to);
            }
        }
    }

    fn handle_frame(&mut self, id: ClientId, frame: &Frame<'_>) {
        match frame {
            Frame::Ping(bytes) => self.tell(id, &Frame::Pong(*bytes)),
            Frame::NotePreferred(is_home) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.is_home = *is_home;
                }
            }
            // Nothing that a client has to say to a relay, or nothing that we know.
            _ => {}
        }
    }
}
