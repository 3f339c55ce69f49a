//! The resolver's thread: it binds the sockets, and then carries questions and answers between clients, the
//! pure [`Forwarder`] and name servers until it is told to stop.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use meshvpn_proto::dns::{Forwarder, QueryNumber, Transport, Zone};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{debug, info};

use super::Counters;
use super::clients::{Asked, Client, Desk, serve_datagrams, serve_streams};
use super::config::{ResolverConfig, ResolverError, Upstreams};
use super::exchange::{Arrival, exchange};
use super::upstreams::Followed;
use crate::driver_thread::Started;
use crate::netns;

/// Questions that wait for the loop, and answers of servers.
const QUEUE: usize = 256;
/// How often another port is tried when UDP has been given one that TCP cannot have.
const PORT_TRIES: usize = 16;

/// Runs a resolver from its first system call to its last.
pub(super) fn run(
    config: &ResolverConfig,
    zone: &Arc<ArcSwap<Zone>>,
    counters: &Arc<Counters>,
    upstreams: watch::Receiver<Upstreams>,
    stop: &Notify,
    started: &Started<Vec<SocketAddr>, ResolverError>,
) {
    let runtime = enter(config).and_then(|()| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ResolverError::System)
    });
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error))),
    };
    runtime.block_on(async {
        match Service::set_up(config, zone, counters).await {
            Ok((service, own)) => {
                if started.send(Ok(own.clone())).is_ok() {
                    service.serve(own, upstreams, stop).await;
                }
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}

fn enter(config: &ResolverConfig) -> Result<(), ResolverError> {
    let Some(name) = &config.netns else {
        return Ok(());
    };
    netns::enter(name).map_err(|source| ResolverError::Netns {
        name: name.clone(),
        source,
    })
}

struct Service {
    forwarder: Forwarder<Client>,
    counters: Arc<Counters>,
    mark: Option<u32>,
    questions: mpsc::Receiver<Asked>,
    arrivals: mpsc::Receiver<Arrival>,
    arrived: mpsc::Sender<Arrival>,
    /// What is under way for each query; ends with it.
    exchanges: BTreeMap<QueryNumber, JoinSet<()>>,
    /// The tasks that serve clients.
    _desks: JoinSet<()>,
}

impl Service {
    async fn set_up(
        config: &ResolverConfig,
        zone: &Arc<ArcSwap<Zone>>,
        counters: &Arc<Counters>,
    ) -> Result<(Self, Vec<SocketAddr>), ResolverError> {
        let (asked, questions) = mpsc::channel(QUEUE);
        let (arrived, arrivals) = mpsc::channel(QUEUE);
        let (zone, clients) = (Arc::clone(zone), config.clients.clone());
        let desk = Arc::new(Desk::new(zone, Arc::clone(counters), clients, asked));
        let mut desks = JoinSet::new();
        let mut own = Vec::new();
        for local in &config.listen {
            let (socket, listener, at) = bind(*local).await?;
            desks.spawn(serve_datagrams(Arc::clone(&desk), Arc::new(socket), at));
            desks.spawn(serve_streams(Arc::clone(&desk), listener, at));
            info!("names are answered at {at}");
            own.push(at);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| ResolverError::System(error.into()))?;
        let service = Self {
            forwarder: Forwarder::new(Vec::new(), seed),
            counters: Arc::clone(counters),
            mark: config.mark,
            questions,
            arrivals,
            arrived,
            exchanges: BTreeMap::new(),
            _desks: desks,
        };
        Ok((service, own))
    }

    async fn serve(
        mut self,
        own: Vec<SocketAddr>,
        mut changes: watch::Receiver<Upstreams>,
        stop: &Notify,
    ) {
        let mut followed = Followed::new(changes.borrow_and_update().clone(), own);
        loop {
            self.drain();
            let timeout = self.forwarder.poll_timeout();
            tokio::select! {
                () = stop.notified() => return,
                Some(asked) = self.questions.recv() => {
                    if let Some(upstreams) = followed.changed() {
                        self.forwarder.set_upstreams(upstreams);
                    }
                    self.forward(asked);
                }
                Some(arrival) = self.arrivals.recv() => self.arrive(arrival),
                () = wait_until(timeout) => self.forwarder.handle_timeout(Instant::now()),
                Ok(()) = changes.changed() => {
                    followed.set(changes.borrow_and_update().clone());
                }
            }
        }
    }

    fn forward(&mut self, asked: Asked) {
        let Asked {
            client,
            question,
            message,
        } = asked;
        debug!("asked for {}", question.summary());
        let now = Instant::now();
        let outcome = self
            .forwarder
            .handle_question(now, client.clone(), question, &message);
        match outcome {
            Ok(()) => Counters::count(&self.counters.forwarded),
            Err(reply) => {
                Counters::count(&self.counters.failed);
                client.send(reply);
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let (now, number, upstream) = (Instant::now(), arrival.query, arrival.upstream);
        match arrival.message {
            Some(message) => self.forwarder.handle_answer(now, number, upstream, message),
            None => self.forwarder.handle_failure(now, number, upstream),
        }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.forwarder.poll_transmit() {
            let tasks = self.exchanges.entry(transmit.query).or_default();
            tasks.spawn(exchange(transmit, self.mark, self.arrived.clone()));
        }
        while let Some(answer) = self.forwarder.poll_answer() {
            self.exchanges.remove(&answer.query);
            if !answer.is_answered {
                Counters::count(&self.counters.failed);
            }
            for (client, reply) in answer.replies {
                client.send(reply);
            }
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => pending().await,
    }
}

/// Both sockets of an address, on one port.
async fn bind(local: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), ResolverError> {
    let failed = |transport| {
        move |source| ResolverError::Bind {
            local,
            transport,
            source,
        }
    };
    let mut tries = 0;
    loop {
        let socket = UdpSocket::bind(local)
            .await
            .map_err(failed(Transport::Udp))?;
        let at = socket.local_addr().map_err(failed(Transport::Udp))?;
        tries += 1;
        match TcpListener::bind(at).await {
            Ok(listener) => return Ok((socket, listener, at)),
            // The kernel has chosen a port that is free for UDP alone.
            Err(_) if local.port() == 0 && tries < PORT_TRIES => {}
            Err(error) => return Err(failed(Transport::Tcp)(error)),
        }
    }
}
