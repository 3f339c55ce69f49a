//! Setting up a device over netlink: MTU, state, addresses, routes; and where packets would go.
//!
//! Everything set here belongs to the device and goes when it goes.

use std::ffi::CString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, MulticastGroup, RouteMessageBuilder};
use tokio::sync::Notify;

/// How long a new IPv6 address may take until it receives packets, and how often to look.
const ADDRESS_WAIT: Duration = Duration::from_secs(1);
const ADDRESS_POLL: Duration = Duration::from_millis(1);

/// An address with the length of its network's prefix, e.g. `10.0.0.1/24`; also a network, when all
/// bits behind the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// Bits of the prefix: at most 32 or 128.
    pub prefix_len: u8,
}

impl core::fmt::Display for Cidr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// A step of setting up a device that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} on {device}: {source}")]
pub struct NetlinkError {
    /// What was to be done, e.g. `add route 10.9.0.0/16`.
    pub step: String,
    /// The device's name.
    pub device: String,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// A device to be set up.
#[derive(Debug, Clone)]
pub struct Link {
    handle: Handle,
    name: String,
    /// Its number in its namespace.
    pub index: u32,
}

impl Link {
    /// Finds the device `name` in the calling thread's namespace. To be called inside a tokio
    /// runtime, which carries the netlink connection from then on.
    ///
    /// # Errors
    /// When there is no such device, or netlink cannot be had.
    pub fn find(name: &str) -> Result<Self, NetlinkError> {
        let failed = |source| NetlinkError {
            step: "reach the device".into(),
            device: name.into(),
            source,
        };
        let handle = connect().map_err(failed)?;
        let c_name = CString::new(name).map_err(|error| failed(error.into()))?;
        // SAFETY: the string ends with a zero and lives through the call.
        match unsafe { libc::if_nametoindex(c_name.as_ptr()) } {
            0 => Err(failed(io::Error::last_os_error())),
            index => Ok(Self {
                handle,
                name: name.into(),
                index,
            }),
        }
    }

    /// Sets everything that a new device needs: MTU and segments (see [`Self::set_mtu`]), state,
    /// addresses, then routes.
    ///
    /// # Errors
    /// The kernel's, for the first step that it refused.
    pub async fn configure(
        &self,
        mtu: u16,
        segments: Option<u32>,
        addresses: &[Cidr],
        routes: &[Cidr],
    ) -> Result<(), NetlinkError> {
        self.set_mtu(mtu, segments).await?;
        self.bring_up().await?;
        for address in addresses {
            self.add_address(*address).await?;
        }
        for route in routes {
            self.add_route(*route).await?;
        }
        Ok(())
    }

    /// Brings the device up.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn bring_up(&self) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(self.index).up().build();
        let result = self.handle.link().set(message).execute().await;
        self.check(result, || "bring up the interface".into())
    }

    /// Sets the MTU in bytes, and the largest number of segments in a super-packet if given.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn set_mtu(&self, mtu: u16, segments: Option<u32>) -> Result<(), NetlinkError> {
        let mut message = LinkUnspec::new_with_index(self.index).mtu(u32::from(mtu));
        if let Some(segments) = segments {
            message = message.append_extra_attribute(LinkAttribute::GsoMaxSegs(segments));
        }
        let message = message.build();
        let result = self.handle.link().set(message).execute().await;
        self.check(result, || format!("set MTU {mtu}"))
    }

    /// Sets the largest number of segments in a super-packet.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn set_segments(&self, segments: u32) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(self.index)
            .append_extra_attribute(LinkAttribute::GsoMaxSegs(segments))
            .build();
        let result = self.handle.link().set(message).execute().await;
        self.check(result, || format!("set segments {segments}"))
    }

    /// Adds an address. Packets to it are received when this returns.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn add_address(&self, address: Cidr) -> Result<(), NetlinkError> {
        let mut request =
            self.handle
                .address()
                .add(self.index, address.address, address.prefix_len);
        if address.address.is_ipv6() {
            // On a tunnel nobody else could have it.
            let message = request.message_mut();
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        let result = request.execute().await;
        self.check(result, || format!("add address {address}"))?;
        self.wait_until_local(address.address).await;
        Ok(())
    }

    /// The kernel finishes IPv6 addresses from a work queue; a packet that comes before is dropped.
    async fn wait_until_local(&self, address: IpAddr) {
        let is_local = async || {
            let route = route_to(&self.handle, address, None, None).await;
            route.is_ok_and(|route| route.header.kind == RouteType::Local)
        };
        let waiting = async {
            while !is_local().await {
                tokio::time::sleep(ADDRESS_POLL).await;
            }
        };
        // After that time something else is wrong, such as an interface that is down.
        let _ = tokio::time::timeout(ADDRESS_WAIT, waiting).await;
    }

    /// Adds a route to a network through the device.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn add_route(&self, network: Cidr) -> Result<(), NetlinkError> {
        let Cidr {
            address,
            prefix_len,
        } = network;
        let message = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(address, prefix_len)
            .map(|builder| {
                builder
                    .output_interface(self.index)
                    .scope(RouteScope::Link)
                    .build()
            });
        let result = match message {
            Ok(message) => self.handle.route().add(message).execute().await,
            Err(error) => Err(rtnetlink::Error::InvalidNla(error.to_string())),
        };
        self.check(result, || format!("add route {network}"))
    }

    fn check(
        &self,
        result: Result<(), rtnetlink::Error>,
        step: impl FnOnce() -> String,
    ) -> Result<(), NetlinkError> {
        result.map_err(|error| NetlinkError {
            step: step(),
            device: self.name.clone(),
            source: into_io_error(error),
        })
    }
}

/// Tells when interfaces of a namespace change.
#[derive(Debug)]
pub struct LinkEvents(Arc<Notify>);

impl LinkEvents {
    /// Of the calling thread's namespace. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn subscribe() -> io::Result<Self> {
        let (connection, _, mut events) =
            rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
        tokio::spawn(connection);
        let changed = Arc::new(Notify::new());
        let telling = Arc::clone(&changed);
        tokio::spawn(async move {
            while events.next().await.is_some() {
                telling.notify_one();
            }
        });
        Ok(Self(changed))
    }

    /// Waits until some interface has changed since the last call.
    pub async fn changed(&self) {
        self.0.notified().await;
    }
}

/// The interface through which packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Egress {
    /// Its index.
    pub index: u32,
    /// Its MTU in bytes.
    pub mtu: u16,
}

/// The interface through which packets from `local` to `remote` with firewall mark `mark` leave the
/// calling thread's namespace.
///
/// What ICMP made the kernel believe of the path's MTU is left out: anyone can forge that, it is kept
/// for ten minutes, and the path may have become wider since.
///
/// # Errors
/// The kernel's, when there is no route.
pub async fn egress(local: IpAddr, remote: SocketAddr, mark: Option<u32>) -> io::Result<Egress> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let result = egress_by(&handle, local, remote, mark).await;
    // Its socket is closed when this returns, and not some time later.
    connection.abort();
    let _ = connection.await;
    result
}

async fn egress_by(
    handle: &Handle,
    local: IpAddr,
    remote: SocketAddr,
    mark: Option<u32>,
) -> io::Result<Egress> {
    let source = (!local.is_unspecified()).then_some(local);
    let route = route_to(handle, remote.ip(), source, mark).await?;
    let scope = match remote {
        SocketAddr::V6(remote) if remote.scope_id() != 0 => Some(remote.scope_id()),
        _ => None,
    };
    let routed = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
    let unreachable = || io::Error::from(io::ErrorKind::HostUnreachable);
    let index = scope.or(routed).ok_or_else(unreachable)?;
    let links = handle.link().get().match_index(index).execute();
    let link = pin!(links).try_next().await.map_err(into_io_error)?;
    let mtu = link
        .ok_or_else(unreachable)?
        .attributes
        .into_iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(mtu),
            _ => None,
        });
    let mtu = mtu.map_or(u16::MAX, |mtu| mtu.try_into().unwrap_or(u16::MAX));
    Ok(Egress { index, mtu })
}

fn connect() -> io::Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

/// What the kernel would do with a packet.
async fn route_to(
    handle: &Handle,
    destination: IpAddr,
    source: Option<IpAddr>,
    mark: Option<u32>,
) -> io::Result<RouteMessage> {
    let bits = if destination.is_ipv4() { 32 } else { 128 };
    let mut builder = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(destination, bits)
        .map_err(io::Error::other)?;
    if let Some(source) = source {
        builder = builder
            .source_prefix(source, bits)
            .map_err(io::Error::other)?;
    }
    if let Some(mark) = mark {
        builder = builder.mark(mark);
    }
    let routes = handle.route().get(builder.build()).execute();
    let route = pin!(routes).try_next().await.map_err(into_io_error)?;
    route.ok_or_else(|| io::ErrorKind::HostUnreachable.into())
}

fn into_io_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

/// The number of the interface called `name`, in the calling thread's namespace.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the string ends with a zero and lives through the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => None,
        index => Some(index),
    }
}
