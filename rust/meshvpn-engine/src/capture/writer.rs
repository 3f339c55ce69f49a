//! The thread that writes a capture: takes runs apart, puts headers around datagrams, waits for the disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use meshvpn_proto::packet::pcapng::{self, Secrets};
use meshvpn_proto::packet::udp_packet;
use tracing::{info, warn};

use super::file::CaptureFile;
use super::progress::Progress;
use super::taps::{Record, Run, Taps};

/// What names itself as the file's writer.
const APPLICATION: &str = concat!("meshvpn ", env!("CARGO_PKG_VERSION"));
/// Written at once, at most and a run more. When nothing waits, less is.
const WRITE_BYTES: usize = 1 << 20;

pub(super) struct Writer {
    file: CaptureFile,
    queue: Receiver<Record>,
    progress: Arc<Progress>,
    taps: Arc<Taps>,
    device: String,
    /// Places of the sockets that packets went through, each an interface of the file, in order.
    interfaces: Vec<usize>,
    /// Blocks that are not written yet, and how many of them are packets.
    blocks: Vec<u8>,
    packets: u64,
    /// A packet while it is made.
    packet: Vec<u8>,
    failure: Option<io::Error>,
}

impl Writer {
    /// Begins the file.
    ///
    /// # Errors
    /// When not even its first block can be written.
    pub(super) fn new(
        mut file: CaptureFile,
        queue: Receiver<Record>,
        progress: Arc<Progress>,
        taps: Arc<Taps>,
        device: &str,
    ) -> io::Result<Self> {
        let mut blocks = Vec::new();
        pcapng::section_header(APPLICATION, &mut blocks);
        file.append(&blocks, || true)?;
        blocks.clear();
        Ok(Self {
            file,
            queue,
            progress,
            taps,
            device: device.to_owned(),
            interfaces: Vec::new(),
            blocks,
            packets: 0,
            packet: Vec::new(),
            failure: None,
        })
    }

    /// Writes until nobody can tell anything any more.
    pub(super) fn run(mut self) {
        while let Some(record) = self.next() {
            match record {
                Record::Secrets(lines) => {
                    let kind = Secrets::WireGuardKeyLog;
                    pcapng::decryption_secrets(kind, lines.as_bytes(), &mut self.blocks);
                }
                Record::Run(run) => {
                    self.progress.release(run.cost());
                    self.take(run);
                }
            }
            if self.blocks.len() >= WRITE_BYTES {
                self.write();
            }
        }
        self.write();
    }

    /// The next record. What is there so far is in the file before this thread goes to sleep.
    fn next(&mut self) -> Option<Record> {
        match self.queue.try_recv() {
            Ok(record) => Some(record),
            Err(TryRecvError::Empty) => {
                self.write();
                self.queue.recv().ok()
            }
            Err(TryRecvError::Disconnected) => None,
        }
    }

    fn take(&mut self, mut run: Run) {
        // Settled within the system call that sends it; by dropping, if that thread has come to its end.
        let is_sent = run.is_sent.take();
        if is_sent.is_some_and(|is_sent| !is_sent.blocking_recv().unwrap_or(false)) {
            return;
        }
        if self.failure.is_some() {
            return self.progress.count_dropped(run.count());
        }
        let interface = self.interface(run.socket);
        for datagram in run.datagrams() {
            self.packet.clear();
            udp_packet(run.source, run.destination, datagram, &mut self.packet);
            let direction = Some(run.direction);
            pcapng::packet(interface, run.at, direction, &self.packet, &mut self.blocks);
            self.packets += 1;
        }
    }

    /// The number of the interface that stands for the socket at `place`.
    fn interface(&mut self, place: usize) -> u32 {
        let known = self.interfaces.iter().position(|known| *known == place);
        let number = known.unwrap_or_else(|| {
            let name = format!("{}-udp{place}", self.device);
            pcapng::interface(&name, &mut self.blocks);
            self.interfaces.push(place);
            self.interfaces.len() - 1
        });
        number as u32
    }

    fn write(&mut self) {
        let packets = core::mem::take(&mut self.packets);
        if self.failure.is_none() && !self.blocks.is_empty() {
            match self
                .file
                .append(&self.blocks, || self.progress.is_closing())
            {
                Ok(()) => self.progress.count_packets(packets),
                Err(error) => {
                    self.progress.count_dropped(packets);
                    self.failure = Some(error);
                    // Nobody need copy anything any more.
                    self.taps.detach(&self.progress);
                }
            }
        }
        self.blocks.clear();
    }
}

/// Says how it ended, to the log and to whoever waits.
impl Drop for Writer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failure = Some(io::Error::other("its thread panicked"));
        }
        let device = &self.device;
        let (packets, dropped) = (self.progress.packets(), self.progress.dropped());
        match &self.failure {
            Some(error) => {
                warn!(device, packets, dropped, %error, "the capture ended before it was told to");
            }
            None if dropped > 0 => {
                warn!(
                    device,
                    packets, dropped, "capture ended; not everything could be written in time"
                );
            }
            None => info!(device, packets, "capture ended"),
        }
        self.taps.detach(&self.progress);
        self.progress.finish(self.failure.take());
    }
}
