//! The console: a viewer of traces, metrics and logs of a running lab, in memory only.
//!
//! Servers in one process. The receivers take OTLP over HTTP and gRPC from any exporter; the page shows
//! what was kept and answers Jaeger's read-only query API, so that tools written for Jaeger work
//! here too. None of them traces or measures itself: watching must not add to what is watched.
//!
//! What comes in: [`receive`] and `grpc` (their [`body`], [`export`], [`record`]), [`stdin`] (log lines), [`scrape`]
//! (the services' own figures).
//! What is kept of it, where that is a part: [`sampler`].
//! What of it survives a restart: [`retain`].
//! Where it stays: [`traces`], [`logs`] and [`metrics`], all bounded, joined in [`state`].
//! What goes on to others as it came: [`forward`].
//! What goes out: [`jaeger`] and [`v3`] (its [`otlp_json`]), which search with [`query`] and [`tags`]; [`many`] traces at once;
//! [`dependencies`] and [`map`];
//! [`metrics`]' two lists; [`summaries`], the list of traces ([`filter`] in the query [`language`] with its [`subject`]s, [`background`],
//! [`scatter`]), with its [`suggestions`]; [`views`], the page's other own: traces with their path ([`critical`]) and links ([`linked`]), log lines, services
//! ([`red`], [`others`], both by [`served`] and [`percentile`]); [`live`] (changes); [`page`].
//! What is taken away as files: [`archive`] ([`otlp_json`], [`log_json`]); what is brought back or removed: [`import`].
//! What acts on the lab, for its [`own_page`] alone: [`lessons`], which plays the scenarios of [`crate::lab::scenario`]; [`start`]
//! (an order, some traffic) and [`faults`].
//! What another one knows: [`alerts`], Prometheus's.

mod alerts;
mod archive;
mod attributes;
mod background;
mod body;
mod critical;
mod dependencies;
mod export;
mod fault_lines;
mod faults;
mod filter;
mod forward;
mod forward_reports;
#[cfg(feature = "grpc")]
mod grpc;
mod ids;
mod import;
mod jaeger;
mod language;
mod lessons;
mod line_head;
mod linked;
mod live;
mod log_json;
mod logs;
mod many;
mod map;
mod map_calls;
mod map_node;
mod metrics;
mod origin;
mod others;
mod otlp_json;
mod own_page;
mod page;
mod params;
mod percentile;
mod query;
mod receive;
mod record;
mod red;
mod retain;
mod sampler;
mod scatter;
mod scrape;
mod served;
mod span;
mod start;
mod state;
mod stdin;
mod stored_trace;
mod subject;
mod suggestions;
mod summaries;
mod tags;
mod traces;
mod v3;
mod views;

#[cfg(test)]
mod sample;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use anyhow::Context;

use crate::config::{ConsoleConfig, not_in_circles};
pub use crate::otlp::json_to_protobuf;
use crate::runtime::Shutdown;
use crate::schema::Endpoint;
use forward::Forwarder;
use state::Console;

/// Connections the receiver keeps open at once; with the limit of one body this bounds its memory.
const OTLP_CONNECTIONS: usize = 64;
/// Connections of the page, each open tab holding one for the live feed.
const PAGE_CONNECTIONS: usize = 256;

/// Runs the console until SIGTERM, SIGINT or SIGHUP, or until the parent that feeds it log lines is gone.
///
/// Must be called inside an actix `System`. Fails when one of its ports cannot be had, naming
/// it, before anything is served.
pub async fn run(config: ConsoleConfig) -> anyhow::Result<()> {
    let ports = config.ports.ports();
    let page = bind(SocketAddr::new(config.host, ports.at(Endpoint::Console)), "the console")?;
    let otlp = config.otlp().map(|port| bind(SocketAddr::new(config.host, port), "OTLP")).transpose()?;
    let grpc = bind_grpc(&config)?;
    let on_grpc = grpc.as_ref().map(TcpListener::local_addr).transpose()?;
    let own = [Some(ports.at(Endpoint::Console)), config.otlp(), on_grpc.map(|address| address.port())];
    let names = (config.host, config.allowed_hosts.as_slice());
    not_in_circles("--forward (CONSOLE_FORWARD)", config.forward.forward.as_deref(), names, &own)?;
    let shutdown = Shutdown::new(Duration::from_secs(1));
    shutdown.listen().context("cannot listen for signals")?;
    let console = web::Data::new(Console::new(&config, on_grpc.map(|address| address.port()))?);
    if let Some(retention) = &console.retention {
        retention.restore(&console).await?;
    }
    retain::start(console.clone(), shutdown.clone());
    stdin::follow(console.clone().into_inner(), shutdown.clone());
    scrape::start(console.clone().into_inner(), config.host, config.scrape_interval);
    decide(console.clone());
    alerts::start(console.clone());
    announce(page.local_addr()?, otlp.as_ref().map(TcpListener::local_addr).transpose()?, on_grpc);

    #[cfg(feature = "grpc")]
    if let Some(listener) = grpc {
        grpc::start(console.clone(), listener, shutdown.clone())?;
    }
    let receiver = otlp.map(|listener| receiver(console.clone(), listener)).transpose()?;
    let stop = web::Data::new(shutdown.clone());
    let served = console.clone();
    let pages = HttpServer::new(move || {
        App::new().app_data(served.clone()).app_data(stop.clone()).configure(page::routes)
    })
    .max_connections(PAGE_CONNECTIONS);

    let pages = pages.workers(1).disable_signals().listen(page)?.run();
    let servers: Vec<_> = receiver.into_iter().chain([pages]).collect();
    let handles: Vec<_> = servers.iter().map(Server::handle).collect();
    let stopped = async {
        shutdown.wait().await;
        // Not gracefully: there is nothing to finish, and open pages would hold it up.
        futures_util::future::join_all(handles.iter().map(|server| server.stop(false))).await;
    };
    tokio::select! {
        served = futures_util::future::try_join_all(servers) => {
            served.context("the console stopped serving")?;
        }
        () = stopped => {}
    }
    if let Some(retention) = &console.retention {
        retention.finish().await;
    }
    // The runtime stays free for a second signal.
    web::block(move || console.forward.as_ref().map(Forwarder::finish)).await.context("the last exports")?;
    Ok(())
}

/// Decides what waits, at the latest half a second after its time.
fn decide(console: web::Data<Console>) {
    if console.sampler().is_none() {
        return;
    }
    actix_web::rt::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            console.decide(params::now());
        }
    });
}

/// One worker each: a large export may keep the receiver busy while the page stays quick, and one export
/// at a time is decoded.
fn receiver(console: web::Data<Console>, listener: TcpListener) -> std::io::Result<Server> {
    let server = HttpServer::new(move || App::new().app_data(console.clone()).configure(receive::routes))
        .max_connections(OTLP_CONNECTIONS);
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!(
            "port {} on {} is not free for {what}; choose other ports with --port-base",
            address.port(),
            address.ip()
        )
    })
}

/// The listener for gRPC, where this build and the settings have one. That its usual port is not free is no reason
/// not to start.
fn bind_grpc(config: &ConsoleConfig) -> anyhow::Result<Option<TcpListener>> {
    let Some((port, chosen)) = config.otlp_grpc()? else { return Ok(None) };
    let bound = bind(SocketAddr::new(config.host, port), "OTLP/gRPC");
    if chosen { bound.map(Some) } else { Ok(bound.ok()) }
}

/// Talk goes to standard error, one line; a closed one is no reason to stop.
fn announce(page: SocketAddr, otlp: Option<SocketAddr>, grpc: Option<SocketAddr>) {
    let named = |what: &str, address: Option<SocketAddr>| {
        address.map(|address| format!("  {what} on http://{address}")).unwrap_or_default()
    };
    let (otlp, grpc) = (named("OTLP/HTTP", otlp), named("OTLP/gRPC", grpc));
    let _ = writeln!(std::io::stderr(), "console on http://{page}{otlp}{grpc}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[actix_web::test]
    async fn a_taken_port_is_one_error_that_names_the_port() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let message = bind(address, "OTLP").unwrap_err().to_string();
        assert!(message.contains(&address.port().to_string()) && message.contains("OTLP"), "{message}");
    }
}
