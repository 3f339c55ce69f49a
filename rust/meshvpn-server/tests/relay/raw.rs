//! A relay on this machine, and a client that blocks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use meshvpn_proto::keys::{PrivateKey, PublicKey};
use meshvpn_proto::relay::client::{Client, Event};
use meshvpn_proto::relay::frame::Frame;
use meshvpn_proto::relay::server::Limits;
use meshvpn_server::relay::running::{RelayConfig, RunningRelay};

/// How long anything may take, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn key(byte: u8) -> PublicKey {
    PrivateKey::new([byte; 32]).public_key()
}

pub(crate) fn config() -> RelayConfig {
    RelayConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        key: PrivateKey::new([200; 32]),
        certificate: None,
        limits: Limits::default(),
        verifier: None,
        on_thread: Box::new(|| Ok(())),
    }
}

pub(crate) fn relay() -> RunningRelay {
    RunningRelay::start(config()).unwrap()
}

/// A connection with what was read from it.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Raw {
    /// Connects and asks for the upgrade, without waiting for an answer to that.
    pub(crate) fn upgrade(relay: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(relay).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = "GET /derp HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\n\
                       Upgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let unread = Vec::new();
        Self { stream, unread }
    }

    /// Logs in as the node with this key.
    pub(crate) fn log_in(relay: SocketAddr, byte: u8) -> Self {
        let mut raw = Self::upgrade(relay);
        let now = Instant::now();
        let mut client = Client::new(now, PrivateKey::new([byte; 32]), [byte; 24]);
        loop {
            let mut rest = &raw.unread[..];
            let event = client.next(now, &mut rest).unwrap();
            let is_ready = matches!(event, Some(Event::Ready { .. }));
            raw.unread = rest.to_vec();
            while let Some(frame) = client.poll_transmit() {
                raw.stream.write_all(&frame).unwrap();
            }
            if is_ready {
                return raw;
            }
            assert!(raw.read(), "the relay closed the connection at log-in");
        }
    }

    pub(crate) fn send(&mut self, frame: &Frame<'_>) {
        self.stream.write_all(&frame.to_bytes()).unwrap();
    }

    pub(crate) fn send_packet(&mut self, to: u8, packet: &[u8]) {
        let destination = key(to);
        self.send(&Frame::SendPacket {
            destination,
            packet,
        });
    }

    /// The next frame, as bytes; none when the relay closes the connection.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((_, len)) = Frame::split(&self.unread).unwrap() {
                let rest = self.unread.split_off(len);
                return Some(std::mem::replace(&mut self.unread, rest));
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// The next packet and who sent it.
    pub(crate) fn receive_packet(&mut self) -> (PublicKey, Vec<u8>) {
        loop {
            let bytes = self.receive().expect("a packet");
            let (frame, _) = Frame::split(&bytes).unwrap().unwrap();
            if let Frame::RecvPacket { source, packet } = frame {
                return (source, packet.to_vec());
            }
        }
    }

    fn read(&mut self) -> bool {
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            Ok(read) => {
                self.unread.extend_from_slice(&piece[..read]);
                read > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing is heard of the relay: {error}"),
        }
    }
}

/// Asks until it holds.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}
