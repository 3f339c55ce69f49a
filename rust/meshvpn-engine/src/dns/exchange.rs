//! One question to one name server, on a socket of its own: the kernel chooses a port that nobody can guess,
//! and lets only that server's answers in.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use meshvpn_proto::dns::{QueryNumber, Transmit, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::mpsc;
use tracing::debug;

use crate::udp::set_mark;

/// What a server has to say.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) query: QueryNumber,
    pub(super) upstream: SocketAddr,
    /// Its message; none when it cannot be reached.
    pub(super) message: Option<Vec<u8>>,
}

/// Asks, and hands on what comes back, until it is told to stop (by being dropped) or the server is lost.
pub(super) async fn exchange(
    transmit: Transmit,
    mark: Option<u32>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let (query, upstream) = (transmit.query, transmit.upstream);
    let outcome = match transmit.transport {
        Transport::Udp => by_datagram(&transmit, mark, &arrivals).await,
        Transport::Tcp => by_stream(&transmit, mark, &arrivals).await,
    };
    if let Err(error) = outcome {
        debug!(%error, "name server {upstream} cannot be asked");
        let lost = Arrival {
            query,
            upstream,
            message: None,
        };
        // Nobody listens any more: the resolver is closing.
        let _ = arrivals.send(lost).await;
    }
}

async fn by_datagram(
    transmit: &Transmit,
    mark: Option<u32>,
    arrivals: &mpsc::Sender<Arrival>,
) -> io::Result<()> {
    let local: SocketAddr = match transmit.upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    mark.map_or(Ok(()), |mark| set_mark(&socket, mark))?;
    socket.connect(transmit.upstream).await?;
    socket.send(&transmit.message).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    // What is no answer does not end it: the right one may follow.
    loop {
        let len = socket.recv(&mut buffer).await?;
        hand_on(transmit, buffer[..len].to_vec(), arrivals).await?;
    }
}

async fn by_stream(
    transmit: &Transmit,
    mark: Option<u32>,
    arrivals: &mpsc::Sender<Arrival>,
) -> io::Result<()> {
    let socket = match transmit.upstream {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    mark.map_or(Ok(()), |mark| set_mark(&socket, mark))?;
    let mut stream = socket.connect(transmit.upstream).await?;
    stream.write_all(&framed(&transmit.message)).await?;
    loop {
        let mut message = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut message).await?;
        hand_on(transmit, message, arrivals).await?;
    }
}

async fn hand_on(
    transmit: &Transmit,
    message: Vec<u8>,
    arrivals: &mpsc::Sender<Arrival>,
) -> io::Result<()> {
    let arrival = Arrival {
        query: transmit.query,
        upstream: transmit.upstream,
        message: Some(message),
    };
    let closing = |_| io::ErrorKind::NotConnected.into();
    arrivals.send(arrival).await.map_err(closing)
}

/// A message as it goes over a stream: behind its length. Longer ones than a length can say are not made.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend(&message[..usize::from(len)]);
    framed
}
