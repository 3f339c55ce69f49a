//! The sockets of a data plane: numbered places that the driver may fill and empty while it runs. In some of
//! them is no socket but the port of a relay connection: whoever sends need not know the difference.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::relay::RelayPort;
use crate::udp::UdpSocket;
use crate::wait::{Waiter, Waker};

/// All sockets at one moment, by their places; a [`Path`](meshvpn_proto::forward::Path) names a place.
pub type Places = Vec<Option<Place>>;

/// What is in a place.
#[derive(Debug, Clone)]
pub enum Place {
    /// A socket.
    Udp(Arc<UdpSocket>),
    /// A connection to a relay.
    Relay(Arc<RelayPort>),
}

impl Place {
    /// The socket, if it is one.
    pub fn udp(&self) -> Option<&UdpSocket> {
        match self {
            Self::Udp(socket) => Some(socket),
            Self::Relay(_) => None,
        }
    }
}

/// The sockets, and who waits for them.
#[derive(Debug)]
pub struct Sockets {
    places: ArcSwap<Places>,
    waiter: Waiter,
}

impl Sockets {
    /// `sockets` in the first places. Whoever waits for them is woken by `waker` too.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new(sockets: Vec<UdpSocket>, waker: &Waker) -> io::Result<Self> {
        let waiter = Waiter::new(&[])?;
        waiter.add(waker.as_fd(), 0)?;
        for socket in &sockets {
            waiter.add(socket.as_fd(), 0)?;
        }
        let places = sockets
            .into_iter()
            .map(|socket| Some(Place::Udp(Arc::new(socket))));
        Ok(Self {
            places: ArcSwap::from_pointee(places.collect()),
            waiter,
        })
    }

    /// The sockets of this moment: load them once a batch.
    pub fn load(&self) -> Guard<Arc<Places>> {
        self.places.load()
    }

    /// Puts a socket into a place, or empties it. What was there is closed as soon as nobody is
    /// using it.
    ///
    /// # Errors
    /// When it cannot be waited for; then nothing has changed.
    pub fn set(&self, place: usize, socket: Option<UdpSocket>) -> io::Result<()> {
        if let Some(socket) = &socket {
            self.waiter.add(socket.as_fd(), 0)?;
        }
        self.replace(place, socket.map(|socket| Place::Udp(Arc::new(socket))));
        Ok(())
    }

    /// Puts the port of a relay connection into a place. What comes over it is delivered by an
    /// [`Injector`](super::Injector).
    pub fn set_relay(&self, place: usize, port: Arc<RelayPort>) {
        self.replace(place, Some(Place::Relay(port)));
    }

    fn replace(&self, place: usize, content: Option<Place>) {
        let mut places = Places::clone(&self.load());
        if places.len() <= place {
            places.resize(place + 1, None);
        }
        if let Some(Place::Udp(former)) = &places[place] {
            // Not left to closing: a forked child may have it open still.
            self.waiter.remove(former.as_fd());
        }
        places[place] = content;
        self.places.store(Arc::new(places));
    }

    /// Sleeps until something waits at a socket, or the waker is set.
    ///
    /// # Errors
    /// Never in practice.
    pub fn wait(&self) -> io::Result<()> {
        self.waiter.wait(None, |_| {})
    }
}
