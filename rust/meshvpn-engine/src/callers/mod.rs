//! Load for a WireGuard device of any make: peers that shake hands with it, and strangers that flood it.
//!
//! This is for the benchmark, which asks how many handshakes a device answers for a second of its CPU
//! time, and what a flood of them costs a peer that has a session. A busy device answers strangers with
//! cookies, and counts those who use one by their address (whitepaper, section 5.3). So every caller has
//! an address of its own, as in life, and a [`Crowd`] heeds the cookies that it gets; a [`Flood`] does not.
//!
//! | module | holds |
//! |---|---|
//! | `crowd` | peers that call as fast as they are answered |
//! | `flood` | strangers that call at a fixed rate |
//! | `line` | the socket that all callers share |
//!
//! All that takes multiplications on the curve is done before the clock starts: a call costs its sender
//! a hash and a system call, a hundredth of what it costs the device.

mod crowd;
mod flood;
mod line;

use std::time::Duration;

pub use crowd::Crowd;
pub use flood::Flood;
pub use line::Line;

/// What was sent to a device, and what came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Initiations sent, those repeated with a cookie included.
    pub sent: u64,
    /// Responses that came back, each for another initiation.
    pub responses: u64,
    /// Cookies that came back.
    pub cookies: u64,
    /// From the first initiation to the last answer.
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::JoinHandle;
    use std::time::{Instant, SystemTime};

    use meshvpn_proto::forward::Path;
    use meshvpn_proto::keys::{PrivateKey, PublicKey};
    use meshvpn_proto::time::Now;
    use meshvpn_proto::wireguard::{Limits, Rate, WireGuard};

    use super::*;

    /// A device that only shakes hands, at the loopback address; ended when it is dropped.
    struct Device {
        port: u16,
        must_stop: Arc<AtomicBool>,
        thread: Option<JoinHandle<()>>,
    }

    const KEY: [u8; 32] = [7; 32];
    /// Every address of 127.0.0.0/8 is ours.
    const FIRST: Ipv4Addr = Ipv4Addr::new(127, 7, 0, 1);

    fn public_key() -> PublicKey {
        PrivateKey::new(KEY).public_key()
    }

    fn now() -> Now {
        Now {
            instant: Instant::now(),
            unix: SystemTime::UNIX_EPOCH.elapsed().unwrap(),
        }
    }

    impl Device {
        fn start<'a>(peers: impl Iterator<Item = &'a PublicKey>, handshakes: Rate) -> Self {
            let limits = Limits {
                handshakes,
                ..Limits::default()
            };
            let mut machine = WireGuard::new(limits, [1; 32]);
            machine.set_private_key(now(), Some(PrivateKey::new(KEY)));
            for peer in peers {
                machine.add_peer(now(), *peer, 1452).expect("another key");
            }
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(10)))
                .unwrap();
            let port = socket.local_addr().unwrap().port();
            let must_stop = Arc::new(AtomicBool::new(false));
            let thread = std::thread::spawn({
                let must_stop = Arc::clone(&must_stop);
                move || serve(&mut machine, &socket, &must_stop)
            });
            Self {
                port,
                must_stop,
                thread: Some(thread),
            }
        }

        fn line(&self) -> Line {
            Line::open((Ipv4Addr::LOCALHOST, self.port).into(), FIRST).unwrap()
        }
    }

    impl Drop for Device {
        fn drop(&mut self) {
            self.must_stop.store(true, Ordering::Relaxed);
            self.thread.take().unwrap().join().unwrap();
        }
    }

    fn serve(machine: &mut WireGuard, socket: &UdpSocket, must_stop: &AtomicBool) {
        let mut buffer = [0; 2048];
        while !must_stop.load(Ordering::Relaxed) {
            let Ok((len, destination)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let path = Path {
                socket: 0,
                source: None,
                destination,
            };
            let _ = machine.handle_datagram(now(), path, &buffer[..len]);
            while let Some(transmit) = machine.poll_transmit() {
                let to = transmit.path.destination;
                socket.send_to(&transmit.datagram, to).unwrap();
            }
        }
    }

    const GENEROUS: Rate = Rate {
        per_second: 1_000_000,
        burst: 1_000_000,
    };
    const STINGY: Rate = Rate {
        per_second: 1,
        burst: 1,
    };

    #[test]
    fn every_call_of_every_peer_is_answered() {
        let mut crowd = Crowd::new(public_key(), 50).unwrap();
        let device = Device::start(crowd.public_keys(), GENEROUS);
        let mut line = device.line();
        for count in [1, 3] {
            crowd.prepare(count).unwrap();
            let tally = crowd.call(&mut line).unwrap();
            assert_eq!(tally.responses, 50 * count as u64);
            assert_eq!((tally.sent, tally.cookies), (tally.responses, 0));
        }
    }

    #[test]
    fn a_busy_device_answers_those_who_heed_its_cookies() {
        let mut crowd = Crowd::new(public_key(), 50).unwrap();
        let device = Device::start(crowd.public_keys(), STINGY);
        crowd.prepare(2).unwrap();
        let tally = crowd.call(&mut device.line()).unwrap();
        assert_eq!(tally.responses, 100);
        assert!(tally.cookies >= 49, "{tally:?}");
        assert_eq!(tally.sent, tally.responses + tally.cookies);
    }

    #[test]
    fn a_device_that_does_not_answer_is_given_up() {
        let mut crowd = Crowd::new(public_key(), 3).unwrap();
        let device = Device::start(crowd.public_keys().take(2), GENEROUS);
        crowd.prepare(1).unwrap();
        let tally = crowd.call(&mut device.line()).unwrap();
        assert_eq!((tally.sent, tally.responses), (3, 2));
    }

    #[test]
    fn another_device_is_found_out() {
        let mut crowd = Crowd::new(public_key(), 1).unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let liar = std::thread::spawn(move || {
            let mut buffer = [0; 148];
            let (_, to) = socket.recv_from(&mut buffer).unwrap();
            let mut response = [0; 92];
            response[0] = 2;
            response[8..12].copy_from_slice(&buffer[4..8]);
            socket.send_to(&response, to).unwrap();
        });
        crowd.prepare(1).unwrap();
        let mut line = Line::open((Ipv4Addr::LOCALHOST, port).into(), FIRST).unwrap();
        let error = crowd.call(&mut line).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        liar.join().unwrap();
    }

    #[test]
    fn a_flood_keeps_its_rate_and_gets_cookies_alone() {
        let device = Device::start([].iter(), STINGY);
        let flood = Flood::start(public_key(), device.line(), 1000).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let tally = flood.stop().unwrap();
        let rate = tally.sent as f64 / tally.duration.as_secs_f64();
        assert!((100.0..1001.0).contains(&rate), "{rate}");
        assert_eq!(tally.responses, 0);
        assert!(tally.cookies * 2 > tally.sent, "{tally:?}");
    }
}
