//! Changing a device while it runs, and telling how it is.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use meshvpn_proto::config::uapi::{
    self, AllowedIpChange, Change, DeviceChange, DeviceStatus, Errno, PeerChange, PeerStatus,
};
use meshvpn_proto::forward::Path;
use meshvpn_proto::session::transport::OVERHEAD;
use meshvpn_proto::time::Now;
use zeroize::Zeroizing;

use super::config::{DeviceSnapshot, PeerSnapshot};
use super::driver::{Driver, now};
use crate::dataplane::sockets::{Place, Sockets};
use crate::tunnel::TunnelError;
use crate::udp::UdpSocket;

/// The places of the sockets.
const PLACE_V4: usize = 0;
const PLACE_V6: usize = 1;
/// How often a port is drawn that must be free for both IP versions.
const DRAWS: usize = 16;

/// What a peer's allowed IPs become.
struct AllowedIpsChange {
    slot: usize,
    replaces: bool,
    changes: Vec<AllowedIpChange>,
}

impl Driver<'_> {
    /// Applies a change: all of it, or nothing.
    pub(super) fn apply(&mut self, change: DeviceChange) -> Result<(), TunnelError> {
        // What can fail comes first.
        let mark = change.fwmark.unwrap_or(self.mark);
        if let Some(port) = change.listen_port.filter(|port| *port != self.port) {
            self.port = bind(self.plane.sockets(), port, mark)?;
        } else if mark != self.mark {
            set_mark(self.plane.sockets(), mark).map_err(TunnelError::System)?;
        }
        self.mark = mark;

        let now = now();
        match change.private_key {
            Change::Keep => {}
            Change::Clear => self.machine.set_private_key(now, None),
            Change::Set(key) => {
                self.machine.set_private_key(now, Some(key));
                self.reveal_identity();
            }
        }
        if change.replaces_peers {
            let all: Vec<_> = self.machine.peers().map(|(key, _)| *key).collect();
            for key in all {
                self.machine.remove_peer(now, &key);
            }
        }
        let mut allowed_ips = Vec::new();
        for peer in change.peers {
            self.apply_to_peer(now, peer, &mut allowed_ips);
        }
        self.machine.edit_allowed_ips(|table| {
            for change in allowed_ips {
                if change.replaces {
                    table.remove_all(&change.slot);
                }
                for allowed_ip in change.changes {
                    match allowed_ip {
                        AllowedIpChange::Add(prefix) => drop(table.insert(prefix, change.slot)),
                        AllowedIpChange::Remove(prefix) => drop(table.remove(prefix, &change.slot)),
                    }
                }
            }
        });
        Ok(())
    }

    /// Changes a peer but for its allowed IPs, which are left in `allowed_ips`: all of them are changed at
    /// once.
    fn apply_to_peer(
        &mut self,
        now: Now,
        change: PeerChange,
        allowed_ips: &mut Vec<AllowedIpsChange>,
    ) {
        let known = self.machine.slot_of(&change.public_key);
        if change.is_removed {
            if let Some(slot) = known {
                self.machine.remove_peer(now, &change.public_key);
                allowed_ips.retain(|change| change.slot != slot);
            }
            return;
        }
        if change.is_update_only && known.is_none() {
            return;
        }
        let datagram_max = datagram_max(self.mtu);
        // None: that is our own key.
        let Some(slot) = self.machine.add_peer(now, change.public_key, datagram_max) else {
            return;
        };
        match change.preshared_key {
            Change::Keep => {}
            Change::Clear => self.machine.set_preshared_key(slot, None),
            Change::Set(key) => self.machine.set_preshared_key(slot, Some(key)),
        }
        if let Some(destination) = change.endpoint {
            let path = Path {
                socket: place(destination),
                source: None,
                destination,
            };
            self.machine.set_endpoint(now, slot, path);
        }
        allowed_ips.push(AllowedIpsChange {
            slot,
            replaces: change.replaces_allowed_ips,
            changes: change.allowed_ips,
        });
        if let Some(seconds) = change.persistent_keepalive {
            let interval = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
            self.machine.set_persistent_keepalive(now, slot, interval);
        }
    }

    /// How the device is, as `wg` reads it.
    pub(super) fn describe(&self) -> Zeroizing<String> {
        let mut answer = Zeroizing::new(String::new());
        self.write_description(&mut answer)
            .expect("writing to a string does not fail");
        answer
    }

    fn write_description(&self, out: &mut String) -> std::fmt::Result {
        let device = DeviceStatus {
            private_key: self.machine.private_key(),
            listen_port: self.port,
            fwmark: self.mark,
        };
        // The answer is not written a second time into a larger buffer, which would leave keys behind.
        let peers = self.machine.peers().count();
        out.reserve(512 * (peers + 1) + 64 * self.machine.allowed_ips().len());
        uapi::write_device(out, &device)?;
        for (_, slot) in self.machine.peers() {
            let Some(peer) = self.machine.status(slot) else {
                continue;
            };
            let status = PeerStatus {
                public_key: peer.public_key,
                preshared_key: peer.preshared_key,
                endpoint: peer.path.map(|path| path.destination),
                last_handshake: peer.last_handshake,
                rx_bytes: peer.received_bytes,
                tx_bytes: peer.sent_bytes,
                persistent_keepalive: seconds(peer.persistent_keepalive),
            };
            let allowed_ips = self.machine.allowed_ips().owned_by(&slot);
            uapi::write_peer(out, &status, allowed_ips)?;
        }
        uapi::write_get_end(out, Errno::SUCCESS)?;
        out.write_str("")
    }

    /// How the device is, without its secrets.
    pub(super) fn snapshot(&self) -> DeviceSnapshot {
        let peers = self.machine.peers().filter_map(|(_, slot)| {
            let peer = self.machine.status(slot)?;
            Some(PeerSnapshot {
                public_key: peer.public_key,
                has_preshared_key: peer.preshared_key.is_some(),
                endpoint: peer.path.map(|path| path.destination),
                allowed_ips: self.machine.allowed_ips().owned_by(&slot).collect(),
                last_handshake: peer.last_handshake,
                received_bytes: peer.received_bytes,
                sent_bytes: peer.sent_bytes,
                persistent_keepalive: peer.persistent_keepalive,
                has_session: peer.has_session,
            })
        });
        DeviceSnapshot {
            public_key: self.machine.public_key().copied(),
            listen_port: self.port,
            mark: self.mark,
            mtu: self.mtu,
            peers: peers.collect(),
        }
    }
}

/// Longest UDP payload to a peer: a full packet in its framing.
pub(super) fn datagram_max(mtu: u16) -> usize {
    usize::from(mtu) + OVERHEAD
}

/// The place of the socket that reaches `destination`.
pub(super) fn place(destination: SocketAddr) -> usize {
    if destination.is_ipv4() {
        PLACE_V4
    } else {
        PLACE_V6
    }
}

/// Listens on `port` from now on, or on one that the system chooses if it is 0; returns which.
///
/// # Errors
/// When the port cannot be had; then nothing has changed.
pub(super) fn bind(sockets: &Sockets, port: u16, mark: u32) -> Result<u16, TunnelError> {
    let (v4, v6, port) = bind_pair(port, mark)?;
    sockets
        .set(PLACE_V4, Some(v4))
        .and_then(|()| sockets.set(PLACE_V6, v6))
        .map_err(TunnelError::System)?;
    Ok(port)
}

/// Sockets for both IP versions on one port; there may be no IPv6 here.
fn bind_pair(port: u16, mark: u32) -> Result<(UdpSocket, Option<UdpSocket>, u16), TunnelError> {
    let bind = |ip: IpAddr, port| {
        let local = SocketAddr::new(ip, port);
        UdpSocket::bind_for_peers(local, (mark != 0).then_some(mark))
            .map_err(|source| TunnelError::Bind { local, source })
    };
    let mut draws = DRAWS;
    loop {
        draws -= 1;
        let v4 = bind(Ipv4Addr::UNSPECIFIED.into(), port)?;
        let chosen = v4.local().port();
        match bind(Ipv6Addr::UNSPECIFIED.into(), chosen) {
            Ok(v6) => return Ok((v4, Some(v6), chosen)),
            Err(error) if error.errno() == Some(libc::EAFNOSUPPORT) => {
                return Ok((v4, None, chosen));
            }
            // Free for one version only: another draw, where the port was not asked for.
            Err(error) if port == 0 && error.errno() == Some(libc::EADDRINUSE) && draws > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

fn set_mark(sockets: &Sockets, mark: u32) -> io::Result<()> {
    let sockets = sockets.load();
    sockets
        .iter()
        .flatten()
        .filter_map(Place::udp)
        .try_for_each(|socket| socket.set_mark(mark))
}

fn seconds(interval: Option<Duration>) -> u16 {
    interval.map_or(0, |interval| {
        interval.as_secs().try_into().unwrap_or(u16::MAX)
    })
}
