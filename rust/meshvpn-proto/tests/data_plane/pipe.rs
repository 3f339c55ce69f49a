//! A forwarder end to end in memory: frames in, datagrams, frames out.

use std::net::SocketAddr;
use std::sync::Arc;

use meshvpn_proto::forward::split::SuperPacket;
use meshvpn_proto::forward::virtio::{self, Header};
use meshvpn_proto::forward::{Arrival, Control, Inbound, IpView, Joins, Outbound, Path, Tally};
use meshvpn_proto::session::aead::{Key, Portable};
use meshvpn_proto::session::transport::SealedSession;
use meshvpn_proto::tunnel::PointToPoint;

/// Receive buffers of one batch, as the engine has them.
pub(crate) const BATCH_BYTES: usize = 8 * 65_536;
/// What the engine's path takes unless a test says otherwise: a jumbo frame's worth.
pub(crate) const DATAGRAM_MAX: usize = 9000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Plain,
    Sealed,
}

pub(crate) fn near() -> SocketAddr {
    "192.0.2.1:7000".parse().unwrap()
}

pub(crate) fn far() -> SocketAddr {
    "192.0.2.2:7000".parse().unwrap()
}

fn to(destination: SocketAddr) -> Path {
    Path {
        socket: 0,
        source: None,
        destination,
    }
}

/// Both ends of a tunnel. The near end sends, the far end receives.
pub(crate) struct Pipe {
    pub(crate) near: PointToPoint,
    pub(crate) far: PointToPoint,
    pub(crate) outbound: Outbound,
    pub(crate) inbound: Inbound,
}

/// One send, copied out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) contents: Vec<u8>,
    pub(crate) segment_size: Option<usize>,
    pub(crate) may_fragment: bool,
}

impl Sent {
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.contents
            .chunks(self.segment_size.unwrap_or(usize::MAX))
    }
}

/// What one batch of received datagrams led to.
#[derive(Debug)]
pub(crate) struct Received {
    /// Frames for the TUN, virtio header first, and how many packets each stands for.
    pub(crate) frames: Vec<(u32, Vec<u8>)>,
    pub(crate) control: Vec<Control>,
    pub(crate) tally: Tally,
}

impl Pipe {
    pub(crate) fn new(framing: Framing, datagram_max: usize) -> Self {
        let (near, far) = match framing {
            Framing::Plain => (
                PointToPoint::plain(to(far()), datagram_max),
                PointToPoint::plain(to(near()), datagram_max),
            ),
            Framing::Sealed => {
                let ends = (to(far()), to(near()));
                let near = PointToPoint::sealed(ends.0, datagram_max);
                let far = PointToPoint::sealed(ends.1, datagram_max);
                near.install(Arc::new(session(11, 22, 1, 2)));
                far.install(Arc::new(session(22, 11, 2, 1)));
                (near, far)
            }
        };
        let inbound = Inbound::new(Box::new(Portable), BATCH_BYTES, Joins::ALL);
        Self {
            near,
            far,
            outbound: Outbound::new(Box::new(Portable)),
            inbound,
        }
    }

    /// Takes one batch of frames; stops like the engine where the batch is full.
    pub(crate) fn push<'a>(&mut self, frames: impl IntoIterator<Item = &'a [u8]>) -> usize {
        let mut taken = 0;
        for frame in frames {
            self.outbound.frame_buffer()[..frame.len()].copy_from_slice(frame);
            self.outbound.push(frame.len(), &self.near);
            taken += 1;
            if self.outbound.is_full() {
                break;
            }
        }
        self.outbound.seal();
        taken
    }

    /// The near end's whole way out, in as many batches as it takes.
    pub(crate) fn send<'a>(&mut self, frames: impl IntoIterator<Item = &'a [u8]>) -> Vec<Sent> {
        let mut frames = frames.into_iter().peekable();
        let mut sent = Vec::new();
        while frames.peek().is_some() {
            self.push(frames.by_ref());
            sent.extend(self.outbound.transmits().map(|transmit| Sent {
                contents: transmit.contents.to_vec(),
                segment_size: transmit.segment_size,
                may_fragment: transmit.may_fragment,
            }));
            self.outbound.clear(&self.near);
        }
        sent
    }

    /// Takes datagrams from the near end's address at the far end, one buffer each, as one batch.
    pub(crate) fn receive<'a>(
        &mut self,
        datagrams: impl IntoIterator<Item = &'a [u8]>,
    ) -> Received {
        self.receive_arrivals(datagrams.into_iter().map(|bytes| Arrival {
            bytes,
            segment_size: bytes.len(),
            source: near(),
            socket: 0,
            local: None,
            is_truncated: false,
        }))
    }

    pub(crate) fn receive_arrivals<'a>(
        &mut self,
        arrivals: impl IntoIterator<Item = Arrival<'a>>,
    ) -> Received {
        self.inbound.receive(arrivals, &self.far);
        let frames = self
            .inbound
            .writes()
            .map(|(packets, pieces)| (packets, pieces.flat_map(|piece| piece.to_vec()).collect()));
        let frames = frames.collect();
        let control = self.inbound.take_control().collect();
        Received {
            frames,
            control,
            tally: self.inbound.take_tally(),
        }
    }
}

fn session(local: u32, remote: u32, send: u8, receive: u8) -> SealedSession {
    SealedSession::new(local, remote, Key::new([send; 32]), Key::new([receive; 32]))
}

/// A frame that leaves nothing to do: a header of zeros and the packet.
pub(crate) fn plain_frame(packet: &[u8]) -> Vec<u8> {
    [&[0; virtio::LEN], packet].concat()
}

/// The packets that a frame written to the TUN stands for, as the kernel will see them.
pub(crate) fn packets_in(frame: &[u8]) -> Vec<Vec<u8>> {
    let (header, packet) = frame.split_first_chunk().unwrap();
    let header = Header::parse(header).unwrap();
    if header.gso.is_none() {
        assert!(!header.needs_csum, "a single packet goes out as it came");
        return vec![packet.to_vec()];
    }
    let view = IpView::parse(packet).unwrap();
    let whole = SuperPacket::parse(&header, packet, &view, usize::MAX).unwrap();
    let segment = |index| {
        let mut segment = vec![0; whole.segment_len(index)];
        whole.write_segment(index, &mut segment);
        segment
    };
    (0..whole.segments()).map(segment).collect()
}
