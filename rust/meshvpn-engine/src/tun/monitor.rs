//! A device without a tunnel, for those who look at packets and answer them by hand.
//!
//! It has no offload: every packet comes as it would cross a wire, one at a time.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Device, Offload, OpenError, check_name};
use crate::netlink::{Cidr, Link, NetlinkError};
use crate::netns;
use crate::wait::{Waiter, Waker};

/// The MTU of a device that nothing is known of: Ethernet's.
const DEFAULT_MTU: u16 = 1500;

/// A device to be created.
#[derive(Debug, Clone)]
pub struct MonitorConfig {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<Cidr>,
    /// Networks to route through it.
    pub routes: Vec<Cidr>,
    /// Its MTU in bytes; 1,500 if not given.
    pub mtu: Option<u16>,
    /// The network namespace to create it in; otherwise the calling thread's.
    pub netns: Option<String>,
}

/// Why a device could not be created. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The namespace could not be entered.
    #[error("cannot enter network namespace {name:?}: {source}")]
    Netns {
        /// Its name or path.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The device could not be created.
    #[error(transparent)]
    Device(#[from] OpenError),
    /// The device could not be set up.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The process is out of threads or descriptors.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// A device whose packets the program reads and writes itself. It is removed when dropped.
#[derive(Debug)]
pub struct Monitor {
    device: Device,
    mtu: u16,
    waiter: Waiter,
    closing: Waker,
    is_closed: AtomicBool,
}

impl Monitor {
    /// Creates the device and sets it up.
    ///
    /// # Errors
    /// [`MonitorError`] for the first step that failed.
    pub fn open(config: MonitorConfig) -> Result<Self, MonitorError> {
        check_name(&config.name)?;
        // A thread of its own: entering a namespace must not move the caller's.
        let setting_up = std::thread::Builder::new().name(format!("{}-setup", config.name));
        let thread = setting_up.spawn(move || Self::set_up(&config))?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("setting up panicked").into()))
    }

    fn set_up(config: &MonitorConfig) -> Result<Self, MonitorError> {
        if let Some(name) = &config.netns {
            netns::enter(name).map_err(|source| MonitorError::Netns {
                name: name.clone(),
                source,
            })?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let device = Device::open(&config.name, Offload::Off)?;
        let mtu = config.mtu.unwrap_or(DEFAULT_MTU);
        runtime.block_on(async {
            let link = Link::find(&device.name)?;
            link.configure(mtu, None, &config.addresses, &config.routes)
                .await
        })?;
        let closing = Waker::new()?;
        let waiter = Waiter::new(&[device.queue.as_fd(), closing.as_fd()])?;
        Ok(Self {
            device,
            mtu,
            waiter,
            closing,
            is_closed: AtomicBool::new(false),
        })
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.device.name
    }

    /// The device's MTU in bytes.
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// The next packet, after waiting for one at most `timeout`; `None` when there is none by then,
    /// or the device has been closed.
    ///
    /// # Errors
    /// The kernel's: the device was deleted.
    pub fn receive(&self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + timeout;
        let mut packet = vec![0; usize::from(u16::MAX)];
        loop {
            if self.is_closed() {
                return Ok(None);
            }
            match self.device.queue.read(&mut packet) {
                Ok(len) => {
                    packet.truncate(len);
                    packet.shrink_to_fit();
                    return Ok(Some(packet));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.waiter.wait(Some(left), |_| {})?;
        }
    }

    /// Gives the kernel a packet, as if it had come from the network.
    ///
    /// # Errors
    /// The kernel's: EINVAL for something that is not IP, EIO when the device is down; EBADF when it
    /// has been closed.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        if self.is_closed() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        self.device.queue.write(&[IoSlice::new(packet)])
    }

    /// Wakes everyone who waits in [`Self::receive`]; nothing is received or sent any more.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.closing.wake();
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// A descriptor that can be read while packets wait.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.device.queue.as_fd()
    }
}
