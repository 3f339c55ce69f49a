//! Setting a tunnel up: from a configuration to a driver that can be let loose.

use std::sync::Arc;
use std::time::Instant;

use meshvpn_proto::forward::Path;
use meshvpn_proto::forward::send::{MAX_SEND_BYTES, MAX_SEND_SEGMENTS};
use meshvpn_proto::tunnel::{self as machine, Framing, PointToPoint, device_mtu};
use tracing::{debug, info};

use super::{Driver, SOCKET};
use crate::aead;
use crate::dataplane::DataPlane;
use crate::netlink::{Link, egress};
use crate::seldom::Seldom;
use crate::tun::{Device, Offload};
use crate::tunnel::config::{TunnelConfig, TunnelError};
use crate::tunnel::status::Status;
use crate::udp::UdpSocket;

impl<'a> Driver<'a> {
    /// Makes everything that the tunnel is made of, and starts forwarding. When a step fails, what the
    /// earlier ones made goes.
    pub(super) async fn set_up(
        config: TunnelConfig,
        status: &'a Status,
    ) -> Result<Self, TunnelError> {
        let choice = aead::choose(config.aead)?;
        let ciphers = [choice.backend.start()?, choice.backend.start()?];
        let (local, remote, outer) = (config.local, config.remote, config.outer());
        let socket = UdpSocket::bind(local, config.mark)
            .map_err(|source| TunnelError::Bind { local, source })?;
        let unreachable = |source| TunnelError::Unreachable {
            local,
            remote,
            source,
        };
        let outside = egress(local.ip(), remote, config.mark)
            .await
            .map_err(unreachable)?;
        let interface_mtu = outside.mtu;

        let device = Device::open(&config.name, Offload::On)?;
        let link = Link::find(&device.name)?;
        let mtu = config.mtu.unwrap_or_else(|| {
            device_mtu(
                interface_mtu,
                outer,
                &config.framing,
                config.is_ipv6_capable(),
            )
        });
        let datagram_max = usize::from(interface_mtu.saturating_sub(outer.overhead()));
        let segments = Some(segments(datagram_max));
        link.configure(mtu, segments, &config.addresses, &config.routes)
            .await?;
        let outside = egress(local.ip(), remote, config.mark)
            .await
            .map_err(unreachable)?;
        if outside.index == link.index {
            return Err(TunnelError::Loop { remote });
        }

        let path = Path {
            socket: SOCKET,
            source: None,
            destination: remote,
        };
        let (peers, aead) = match config.framing {
            Framing::Plain => (PointToPoint::plain(path, datagram_max), "none"),
            Framing::Preshared(_) => {
                debug!(device = config.name, backend = %choice, "AEAD backend chosen");
                let peers = PointToPoint::sealed(path, datagram_max);
                (peers, choice.backend.name())
            }
        };
        let peers = Arc::new(peers);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| TunnelError::System(error.into()))?;
        let now = Instant::now();
        let machine = machine::Tunnel::new(now, &config.framing, outer, interface_mtu, seed);
        let sockets = vec![socket];
        let (plane, reports) = DataPlane::start(device, sockets, Arc::clone(&peers), ciphers)
            .map_err(TunnelError::System)?;
        info!(
            device = config.name, %local, %remote, mtu, path_mtu = interface_mtu, aead,
            "tunnel started"
        );
        status.set_mtu(interface_mtu, mtu);
        Ok(Self {
            config,
            status,
            aead,
            link,
            peers,
            plane,
            reports,
            machine,
            mtu,
            sent_before: 0,
            refused_at: None,
            tells_drops: Seldom::default(),
        })
    }
}

/// Segments that the kernel may put into a super-packet: as many full-size ones as leave in one send.
/// With one more, every super-packet would need a second send.
pub(crate) fn segments(datagram_max: usize) -> u32 {
    (MAX_SEND_BYTES / datagram_max.max(1)).min(MAX_SEND_SEGMENTS) as u32
}
