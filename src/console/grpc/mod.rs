//! OTLP over gRPC: HTTP/2 with prior knowledge, on a thread of its own.
//!
//! This file bounds connections and streams; a `call` is one export, for which the receiver of HTTP does the rest
//! ([`super::receive`]).

mod call;

use std::net::TcpListener;
use std::time::Duration;

use actix_web::web;
use h2::server::Builder;
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::state::Console;
use crate::runtime::Shutdown;

/// Connections at once; a further one waits until another ends.
const CONNECTIONS: usize = 64;
/// Exports at once of one connection.
const STREAMS: u32 = 16;
/// Bytes of a connection that may come in before they are asked for, of all its exports together.
const WINDOW: u32 = 256 * 1024;
/// Bytes of an export's metadata.
const LARGEST_HEAD: u32 = 16 * 1024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection without an export for so long is told to end; its client makes another when it needs one.
const IDLE: Duration = Duration::from_secs(300);
/// Time between two attempts to accept where the process has no file descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves until the shutdown.
///
/// # Errors
/// No thread or runtime could be had.
pub(super) fn start(
    console: web::Data<Console>,
    listener: TcpListener,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = async move {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        tokio::select! {
            () = accept(&listener, &console) => {}
            () = shutdown.wait() => {}
        }
    };
    std::thread::Builder::new().name("otlp-grpc".to_owned()).spawn(move || runtime.block_on(serve))?;
    Ok(())
}

async fn accept(listener: &tokio::net::TcpListener, console: &web::Data<Console>) {
    let places = std::sync::Arc::new(Semaphore::new(CONNECTIONS));
    // It is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let console = console.clone();
        tokio::spawn(async move {
            converse(socket, &console, IDLE).await;
            drop(place);
        });
    }
}

/// One connection, until its client ends it or has been `idle` for too long.
async fn converse(socket: TcpStream, console: &web::Data<Console>, idle: Duration) {
    // Only answers leave here, each in one piece.
    let _ = socket.set_nodelay(true);
    let mut settings = Builder::new();
    settings
        .max_concurrent_streams(STREAMS)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(LARGEST_HEAD);
    let handshake = settings.handshake::<_, Bytes>(socket);
    let Ok(Ok(mut connection)) = timeout(HANDSHAKE_TIMEOUT, handshake).await else { return };
    let mut ending = false;
    loop {
        let limit = if ending { call::LONGEST } else { idle };
        match timeout(limit, connection.accept()).await {
            Ok(Some(Ok((request, respond)))) => {
                tokio::spawn(call::serve(request, respond, console.clone()));
            }
            Ok(_) => return,
            Err(_) if ending => return,
            Err(_) => {
                connection.graceful_shutdown();
                ending = true;
            }
        }
    }
}

#[cfg(test)]
mod tests;
