//! The driver: one thread per tunnel for everything rare.
//!
//! It enters the namespace, creates device and socket, sets addresses and routes, starts the data
//! plane, and then carries messages between it and the pure [`tunnel`](machine) machine until it is
//! told to stop or the device is gone.

mod set_up;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use meshvpn_proto::forward::{Control, DropReason, Tally};
use meshvpn_proto::session::transport::Session;
use meshvpn_proto::tunnel::{self as machine, PointToPoint, Transmit, device_mtu};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tracing::{debug, info, warn};

use super::Started;
use super::config::{TunnelConfig, TunnelError};
use super::status::{Phase, Status};
use crate::dataplane::sockets::Place;
use crate::dataplane::{DataPlane, Report};
use crate::driver_thread;
use crate::netlink::{Link, egress};
use crate::netns;
use crate::seldom::Seldom;
pub(crate) use set_up::segments;

/// How often the driver looks whether packets went out, which decides whether the path is watched.
const ACTIVITY_INTERVAL: Duration = Duration::from_millis(500);
/// How often the local interface's MTU is looked up again, in activity intervals: every 30 s.
const INTERFACE_INTERVAL: u32 = 60;
/// How often datagrams that the kernel refuses make the driver look, at most: it may refuse all.
const REFUSED_INTERVAL: Duration = Duration::from_millis(100);
/// When the driver complains that the peer has never answered, in activity intervals: after 3 s.
const PATIENCE: u32 = 6;
/// The tunnel's only socket.
const SOCKET: usize = 0;

/// Runs a tunnel from its first system call to its last.
pub(super) fn run(
    config: TunnelConfig,
    status: &Status,
    stop: &Notify,
    started: &driver_thread::Started<Started, TunnelError>,
) {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match netns::enter_named(config.netns.as_deref())
        .and_then(|()| result.map_err(TunnelError::System))
    {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error))),
    };
    runtime.block_on(async {
        match Driver::set_up(config, status).await {
            Ok(mut driver) => {
                let handed = Started {
                    aead: driver.aead,
                    counters: driver.plane.counters(),
                    taps: Arc::clone(driver.plane.taps()),
                };
                if started.send(Ok(handed)).is_ok() {
                    driver.drive(stop).await;
                }
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}

struct Driver<'a> {
    config: TunnelConfig,
    status: &'a Status,
    aead: &'static str,
    link: Link,
    peers: Arc<PointToPoint>,
    plane: DataPlane<PointToPoint>,
    reports: mpsc::Receiver<Report>,
    machine: machine::Tunnel,
    mtu: u16,
    sent_before: u64,
    /// When the kernel last refused a datagram as too long.
    refused_at: Option<Instant>,
    tells_drops: Seldom,
}

impl Driver<'_> {
    async fn drive(&mut self, stop: &Notify) {
        let mut activity = interval(ACTIVITY_INTERVAL);
        activity.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0;
        loop {
            self.drain().await;
            let wake = self.machine.poll_timeout();
            let timeout = async {
                match wake {
                    Some(at) => sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                report = self.reports.recv() => match report {
                    Some(Report::Control(control)) => self.handle_control(&control),
                    Some(Report::TooLong) => self.handle_refused().await,
                    // Of peers whose sessions come and go: here there is one, and it is told of anew.
                    Some(Report::Waiting(_) | Report::Confirmed(_) | Report::Activity) => {}
                    Some(Report::Stopped(error)) => {
                        let reason = if error.raw_os_error() == Some(libc::EBADFD) {
                            "the device was deleted".to_owned()
                        } else {
                            format!("forwarding failed: {error}")
                        };
                        warn!(device = self.config.name, reason, "tunnel stopped");
                        return self.status.close(Some(reason));
                    }
                    None => return,
                },
                () = timeout => self.machine.handle_timeout(Instant::now()),
                _ = activity.tick() => {
                    ticks += 1;
                    self.check_activity();
                    if ticks == PATIENCE {
                        self.complain_of_silence();
                    }
                    if ticks % INTERFACE_INTERVAL == 0 {
                        self.look_up_interface_mtu().await;
                    }
                }
                () = stop.notified() => {
                    info!(device = self.config.name, "tunnel closed");
                    return;
                }
            }
        }
    }

    fn handle_control(&mut self, control: &Control) {
        let now = Instant::now();
        let result = match control.slot {
            Some(_) => self.machine.handle_message(now, &control.message),
            None => self.machine.handle_datagram(now, &control.message),
        };
        if let Err(reason) = result {
            self.count_drop(reason);
            if self.tells_drops.is_due() {
                debug!(device = self.config.name, source = %control.path.destination, %reason, "message dropped");
            }
        }
    }

    /// Says what a person would look at first when a tunnel does not come up.
    fn complain_of_silence(&self) {
        if self.status.snapshot().phase != Phase::Connecting {
            return;
        }
        let refused = self
            .plane
            .counters()
            .control
            .tally()
            .dropped(DropReason::BadHandshake);
        let device = &self.config.name;
        let remote = self.config.remote;
        if refused > 0 {
            warn!(device, %remote, refused, "handshakes fail: do both ends have the same key?");
        } else {
            warn!(device, %remote, "no answer yet: is the other end running, and may UDP pass?");
        }
    }

    fn check_activity(&mut self) {
        let sent = self.peers.peer().sent_packets.load(Ordering::Relaxed);
        if sent != self.sent_before {
            self.sent_before = sent;
            self.machine.handle_activity();
        }
    }

    async fn handle_refused(&mut self) {
        if self
            .refused_at
            .is_none_or(|at| at.elapsed() > REFUSED_INTERVAL)
        {
            self.refused_at = Some(Instant::now());
            self.look_up_interface_mtu().await;
            self.machine.handle_refused(Instant::now());
        }
    }

    async fn look_up_interface_mtu(&mut self) {
        let TunnelConfig {
            local,
            remote,
            mark,
            ..
        } = self.config;
        // Without a route there is nothing to learn; sending will say so.
        let Ok(outside) = egress(local.ip(), remote, mark).await else {
            return;
        };
        if outside.index == self.link.index {
            let device = &self.config.name;
            warn!(device, %remote, "{}", TunnelError::Loop { remote });
        } else {
            self.machine
                .handle_interface_mtu(Instant::now(), outside.mtu);
        }
    }

    /// Does everything that the machine wants done.
    async fn drain(&mut self) {
        loop {
            // Events first: what follows is sent with the session that they bring, or tells the peer
            // that it can be used.
            if let Some(event) = self.machine.poll_event() {
                self.handle_event(event).await;
            } else if let Some(transmit) = self.machine.poll_transmit() {
                self.transmit(&transmit);
            } else {
                return;
            }
        }
    }

    async fn handle_event(&mut self, event: machine::Event) {
        let device = &self.config.name;
        match event {
            machine::Event::Receive(session) => self.peers.receive_with(session),
            machine::Event::Use(session) => {
                info!(device, "new session with the peer");
                self.peers.install(session);
                self.status.count_session();
            }
            machine::Event::Up => {
                info!(device, "the peer answers");
                self.status.set_up(true);
            }
            machine::Event::Down => {
                warn!(device, "the peer does not answer");
                self.status.set_up(false);
            }
            machine::Event::PathMtu(path_mtu) => self.set_path_mtu(path_mtu).await,
        }
    }

    async fn set_path_mtu(&mut self, path_mtu: u16) {
        let outer = self.config.outer();
        let datagram_max = usize::from(path_mtu.saturating_sub(outer.overhead()));
        self.peers
            .peer()
            .datagram_max
            .store(datagram_max, Ordering::Relaxed);
        if self.config.mtu.is_none() {
            let is_ipv6_capable = self.config.is_ipv6_capable();
            let mtu = device_mtu(path_mtu, outer, &self.config.framing, is_ipv6_capable);
            match self.link.set_mtu(mtu, Some(segments(datagram_max))).await {
                Ok(()) => self.mtu = mtu,
                Err(error) => warn!(device = self.config.name, %error, "device MTU unchanged"),
            }
        }
        info!(
            device = self.config.name,
            path_mtu,
            mtu = self.mtu,
            "path MTU changed"
        );
        self.status.set_mtu(path_mtu, self.mtu);
    }

    fn transmit(&self, transmit: &Transmit) {
        let sockets = self.plane.sockets().load();
        let Some(Some(Place::Udp(socket))) = sockets.get(SOCKET) else {
            return;
        };
        let datagram = match transmit {
            Transmit::Datagram(datagram) => Some(datagram.clone()),
            Transmit::Message(message) => self.frame(message),
        };
        // What is lost here is sent again when it is not answered.
        if let Some(datagram) = datagram {
            let listeners = self.plane.taps().load();
            let listening = listeners.as_ref().map(|listeners| listeners.at(SOCKET));
            socket.send_unfragmented(&datagram, None, self.config.remote, listening);
        }
    }

    /// A message in the tunnel's framing; `None` before there is a session.
    fn frame(&self, message: &[u8]) -> Option<Vec<u8>> {
        let session = self.peers.peer().session.load();
        let Session::Sealed(session) = &**session.as_ref()? else {
            return Some(message.to_vec());
        };
        session.seal(message)
    }

    fn count_drop(&self, reason: DropReason) {
        let mut tally = Tally::default();
        tally.drop(reason, 1);
        self.plane.counters().control.add(&tally);
    }
}
