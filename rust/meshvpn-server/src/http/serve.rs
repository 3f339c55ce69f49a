//! Accepts connections and serves HTTP/1.1 on them.
//!
//! A client that is slow, half-open or sends nonsense costs one task and a few seconds, and nobody else
//! anything.

use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Peer;

/// Connections at once: nodes keep theirs open.
const MOST_CONNECTIONS: usize = 65_536;
/// For a request's head to arrive.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a request's head at most.
const LONGEST_HEAD: usize = 16 * 1024;
/// After an error of the listener: no file descriptor is left, say.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until the task is dropped.
pub async fn serve(listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, address)) => {
                let peer = Peer {
                    address,
                    is_encrypted: false,
                };
                tokio::spawn(connection(stream, peer, router.clone(), permit));
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, permit: OwnedSemaphorePermit) {
    // Messages are small and wait for nothing.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.with_upgrades().await {
        tracing::debug!("connection from {}: {error}", peer.address);
    }
    drop(permit);
}
