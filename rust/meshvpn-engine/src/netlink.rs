//! Setting up a device over netlink: MTU, state, addresses, routes.
//!
//! Everything set here belongs to the device and goes when it goes.

use std::ffi::CString;
use std::net::IpAddr;

use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags};
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};

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
    pub source: std::io::Error,
}

/// A device to be set up.
#[derive(Debug, Clone)]
pub struct Link {
    handle: Handle,
    name: String,
    index: u32,
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
        let (connection, handle, _) = rtnetlink::new_connection().map_err(failed)?;
        tokio::spawn(connection);
        let c_name = CString::new(name).map_err(|error| failed(error.into()))?;
        // SAFETY: the string ends with a zero and lives through the call.
        match unsafe { libc::if_nametoindex(c_name.as_ptr()) } {
            0 => Err(failed(std::io::Error::last_os_error())),
            index => Ok(Self {
                handle,
                name: name.into(),
                index,
            }),
        }
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

    /// Adds an address. An IPv6 one can be used at once: on a tunnel nobody else could have it.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn add_address(&self, address: Cidr) -> Result<(), NetlinkError> {
        let mut request =
            self.handle
                .address()
                .add(self.index, address.address, address.prefix_len);
        if address.address.is_ipv6() {
            let message = request.message_mut();
            message
                .attributes
                .push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        let result = request.execute().await;
        self.check(result, || format!("add address {address}"))
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
            source: match error {
                rtnetlink::Error::NetlinkError(message) => message.to_io(),
                other => std::io::Error::other(other),
            },
        })
    }
}
