//! The driver: one thread per device for everything rare.
//!
//! It enters the namespace, creates device and sockets, starts the data plane, and then carries messages
//! between it, those who ask, and the pure [`WireGuard`] machine until it is told to stop or the device
//! is gone.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use meshvpn_proto::config::uapi::DeviceChange;
use meshvpn_proto::forward::Path;
use meshvpn_proto::time::Now;
use meshvpn_proto::wireguard::{Event, Limits, Transmit, WireGuard, WireGuardPeers};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use super::change::{bind, datagram_max};
use super::config::{DEFAULT_MTU, WireGuardConfig};
use super::reports::REPORTS_AT_ONCE;
use super::uapi::Listener;
use super::{COMMANDS, Command, Started};
use crate::aead;
use crate::dataplane::sockets::Place;
use crate::dataplane::{DataPlane, Report};
use crate::driver_thread;
use crate::netlink::{Link, LinkEvents};
use crate::netns;
use crate::seldom::Seldom;
use crate::tun::watch::Watch;
use crate::tun::{Device, Offload};
use crate::tunnel::{Status, TunnelError, segments};

/// How often the device is looked at while there is traffic, at most: in another namespace, where it may have
/// been moved, nobody tells us of changes.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Runs a device from its first system call to its last.
pub(super) fn run(
    config: WireGuardConfig,
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
            Ok((mut driver, handed)) => {
                if started.send(Ok(handed)).is_ok() {
                    driver.drive(stop).await;
                }
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}

/// Both clocks.
pub(super) fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
    }
}

pub(super) struct Driver<'a> {
    pub(super) name: String,
    pub(super) status: &'a Status,
    pub(super) machine: WireGuard,
    pub(super) plane: DataPlane<WireGuardPeers>,
    reports: mpsc::Receiver<Report>,
    commands: mpsc::Receiver<Command>,
    uapi: Option<Listener>,
    link: Link,
    links: LinkEvents,
    watch: Watch,
    pub(super) watched_at: Instant,
    /// When the protocol should hear of activity; none while there is none.
    pub(super) activity_at: Option<Instant>,
    pub(super) mtu: u16,
    pub(super) port: u16,
    pub(super) mark: u32,
    has_session: bool,
    pub(super) tells_drops: Seldom,
    pub(super) must_rest: bool,
}

impl<'a> Driver<'a> {
    async fn set_up(
        config: WireGuardConfig,
        status: &'a Status,
    ) -> Result<(Self, Started), TunnelError> {
        let choice = aead::choose(config.aead)?;
        let ciphers = [choice.backend.start()?, choice.backend.start()?];
        let device = Device::open(&config.name, Offload::On)?;
        let watch = Watch::new(&device.queue).map_err(TunnelError::System)?;
        let link = Link::find(&device.name)?;
        let links = LinkEvents::subscribe().map_err(TunnelError::System)?;
        let mtu = config.mtu.unwrap_or(DEFAULT_MTU);
        let most_segments = Some(segments(datagram_max(mtu)));
        if config.is_up {
            link.configure(mtu, most_segments, &config.addresses, &config.routes)
                .await?;
        } else {
            link.set_mtu(mtu, most_segments).await?;
        }
        let uapi = if config.has_uapi {
            Some(Listener::bind(&config.name).map_err(|source| TunnelError::Uapi { source })?)
        } else {
            None
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| TunnelError::System(error.into()))?;
        let machine = WireGuard::new(Limits::default(), seed);
        let (plane, reports) = DataPlane::start(device, Vec::new(), machine.table(), ciphers)
            .map_err(TunnelError::System)?;
        let mark = config.device.fwmark.unwrap_or(0);
        let port = bind(
            plane.sockets(),
            config.device.listen_port.unwrap_or(0),
            mark,
        )?;
        let (sender, commands) = mpsc::channel(COMMANDS);
        let handed = Started {
            aead: choice.backend.name(),
            counters: plane.counters(),
            taps: Arc::clone(plane.taps()),
            commands: sender,
        };
        status.set_mtu(0, mtu);
        let mut driver = Self {
            name: config.name,
            status,
            machine,
            plane,
            reports,
            commands,
            uapi,
            link,
            links,
            watch,
            watched_at: Instant::now(),
            activity_at: None,
            mtu,
            port,
            mark,
            has_session: false,
            tells_drops: Seldom::default(),
            must_rest: false,
        };
        driver.machine.set_up(now(), config.is_up);
        let rest = DeviceChange {
            listen_port: None,
            fwmark: None,
            ..config.device
        };
        driver.apply(rest)?;
        info!(device = driver.name, port, mtu, aead = handed.aead, backend = %choice, "device started");
        Ok((driver, handed))
    }

    async fn drive(&mut self, stop: &Notify) {
        // Clients of the UAPI socket ask through the same door as everyone; it is served beside this loop.
        let (sender, mut asked) = mpsc::channel(COMMANDS);
        let uapi = self.uapi.take();
        let serving = async {
            match &uapi {
                Some(listener) => {
                    debug!(path = %listener.path().display(), "wg may connect");
                    listener.serve(&sender).await;
                }
                None => pending().await,
            }
        };
        tokio::pin!(serving);
        let mut reports = Vec::with_capacity(REPORTS_AT_ONCE);
        loop {
            self.drain();
            let wake = self.machine.poll_timeout();
            let wake = wake.into_iter().chain(self.activity_at).min();
            let timeout = async {
                match wake {
                    Some(at) => sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                count = self.reports.recv_many(&mut reports, REPORTS_AT_ONCE) => {
                    if count == 0 || self.handle_reports(&mut reports).await.is_break() {
                        return;
                    }
                }
                Some(command) = self.commands.recv() => self.handle_command(command),
                Some(command) = asked.recv() => self.handle_command(command),
                () = timeout => self.handle_timeout().await,
                () = self.links.changed() => self.follow_device().await,
                () = &mut serving => {
                    let reason = "the UAPI socket was removed";
                    info!(device = self.name, reason, "device closed");
                    return self.status.close(Some(reason.to_owned()));
                }
                () = stop.notified() => {
                    info!(device = self.name, "device closed");
                    return;
                }
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        // Who asked may have gone: then nobody hears the answer.
        match command {
            Command::Get(answer) => drop(answer.send(self.describe())),
            Command::Snapshot(answer) => drop(answer.send(self.snapshot())),
            Command::Set(change, answer) => {
                let outcome = self.apply(*change);
                // Some frames need not wait any more: for peers that are gone, say.
                self.plane.resume();
                if let Err(error) = &outcome {
                    warn!(device = self.name, %error, "nothing was changed");
                }
                drop(answer.send(outcome));
            }
            Command::Reveal(tap, answer) => drop(answer.send(self.reveal_to(tap))),
        }
    }

    async fn handle_timeout(&mut self) {
        let now = now();
        if self.activity_at.is_some_and(|at| at <= now.instant) {
            self.activity_at = None;
            // Before it is taken: what comes meanwhile is told again.
            self.plane.listen_for_activity();
            self.machine.handle_activity(now);
            if now.instant.duration_since(self.watched_at) >= WATCH_INTERVAL {
                self.watched_at = now.instant;
                self.follow_device().await;
            }
        }
        self.machine.handle_timeout(now);
    }

    /// Takes over what somebody has done to the device: bring it up or down, or give it another MTU, which
    /// packets are padded up to, and never above.
    pub(super) async fn follow_device(&mut self) {
        let Ok(state) = self.watch.state() else {
            // It is gone, which the data plane notices too.
            return;
        };
        self.machine.set_up(now(), state.is_up);
        if state.mtu == self.mtu {
            return;
        }
        self.mtu = state.mtu;
        let table = self.machine.table();
        for (_, slot) in self.machine.peers() {
            let room = &table.slot(slot).datagram_max;
            room.store(
                datagram_max(state.mtu),
                std::sync::atomic::Ordering::Relaxed,
            );
        }
        // Fails for a device that is in another namespace by now; it only costs a little speed there.
        let most_segments = segments(datagram_max(state.mtu));
        if let Err(error) = self.link.set_segments(most_segments).await {
            debug!(device = self.name, %error, "segments are as before");
        }
        info!(device = self.name, mtu = state.mtu, "MTU changed");
        self.status.set_mtu(0, state.mtu);
    }

    /// Does everything that the machine wants done.
    pub(super) fn drain(&mut self) {
        let mut must_resume = false;
        // Before what is sent: a capture wants a handshake's keys before its messages.
        while let Some(event) = self.machine.poll_event() {
            must_resume |= matches!(event, Event::Session { .. } | Event::GaveUp { .. });
            self.reveal(&event);
            self.handle_event(&event);
        }
        while let Some(transmit) = self.machine.poll_transmit() {
            self.send(&transmit);
        }
        if must_resume {
            self.plane.resume();
        }
    }

    fn send(&self, transmit: &Transmit) {
        let sockets = self.plane.sockets().load();
        let listeners = self.plane.taps().load();
        let Path {
            socket: place,
            source,
            destination,
        } = transmit.path;
        // What is lost here is sent again when it is not answered.
        if let Some(Some(Place::Udp(socket))) = sockets.get(place) {
            let listening = listeners.as_ref().map(|listeners| listeners.at(place));
            socket.send_unfragmented(&transmit.datagram, source, destination, listening);
        }
    }

    fn handle_event(&mut self, event: &Event) {
        let device = &self.name;
        let peer = |slot: &usize| self.machine.status(*slot).map(|peer| peer.public_key);
        match event {
            Event::Session { slot, role } => {
                if let Some(peer) = peer(slot) {
                    debug!(device, %peer, ?role, "new session");
                }
                self.status.count_session();
                if !self.has_session {
                    self.has_session = true;
                    self.status.set_up(true);
                }
            }
            Event::GaveUp { slot } => {
                if let Some(peer) = peer(slot) {
                    info!(device, %peer, "the peer does not answer; nothing more is tried until something is sent");
                }
            }
            Event::Moved { slot, path } => {
                if let Some(peer) = peer(slot) {
                    debug!(device, %peer, endpoint = %path.destination, "the peer has moved");
                }
            }
            _ => {}
        }
    }
}
