//! A service with its telemetry, to copy: SERVER spans that continue the caller's trace, a histogram by route, log
//! records that belong to their span, all by OTLP, and a shutdown that loses none of it.
//!
//!     OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 PORT=8080 cargo run --example service     (HOST=0.0.0.0 in a container)
//!
//! The lab does it in full: [telemetry](../src/runtime/telemetry/mod.rs) (bounded memory, an exact count of what was
//! lost), [root span](../src/runtime/http/root_span.rs), [requests](../src/runtime/http/observe.rs) (limits, errors,
//! requests without an answer), [shutdown](../src/runtime/shutdown.rs), [propagation](../src/runtime/propagation.rs).

use std::collections::HashMap;
use std::error::Error;
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpServer, body::MessageBody, http::Method, web};
use opentelemetry::{KeyValue, global, metrics::Histogram, trace::TracerProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator};
use opentelemetry_sdk::{logs::SdkLoggerProvider, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// One provider a signal. Whoever holds it stops it, after everything else.
struct Telemetry(SdkTracerProvider, SdkMeterProvider, SdkLoggerProvider);

impl Telemetry {
    /// Where to send is said by the specification's variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `..._HEADERS`).
    fn start(service: &'static str) -> Result<Self, Box<dyn Error>> {
        // Here reqwest has TLS without a provider of its cryptography; with its feature `rustls` leave this out.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // What is set by hand would hide what the operator sets.
        let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| service.to_owned());
        let resource = Resource::builder().with_service_name(name).build();
        let spans = SpanExporter::builder().with_http().build()?;
        let traces = SdkTracerProvider::builder().with_resource(resource.clone());
        let traces = traces.with_batch_exporter(spans).build();
        let metrics = SdkMeterProvider::builder().with_resource(resource.clone());
        let metrics = metrics.with_periodic_exporter(MetricExporter::builder().with_http().build()?).build();
        let logs = SdkLoggerProvider::builder().with_resource(resource);
        let logs = logs.with_batch_exporter(LogExporter::builder().with_http().build()?).build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_meter_provider(metrics.clone());
        tracing_subscriber::registry()
            // What the exporters' own client says would be exported again, without end.
            .with(EnvFilter::try_new("info,hyper=off,hyper_util=off,reqwest=off,opentelemetry=off")?)
            .with(tracing_opentelemetry::layer().with_tracer(traces.tracer(service)))
            .with(OpenTelemetryTracingBridge::new(&logs))
            .with(fmt::layer().with_writer(std::io::stderr))
            .try_init()?;
        Ok(Self(traces, metrics, logs))
    }

    /// Sends what is left, for no longer than `deadline`: a backend that hangs holds up no exit. What could not be sent before
    /// says the SDK, with its feature `internal-logs` and without `opentelemetry=off` on the layer for standard error.
    #[allow(clippy::print_stderr, reason = "what made log records is gone")]
    fn stop(self, deadline: Duration) {
        let (done, wait) = mpsc::channel();
        std::thread::spawn(move || {
            let ends = [self.0.shutdown(), self.1.shutdown(), self.2.shutdown()];
            done.send(ends.into_iter().collect::<Result<Vec<_>, _>>())
        });
        let ended = wait.recv_timeout(deadline);
        if !matches!(ended, Ok(Ok(_))) {
            eprintln!("telemetry was lost: {ended:?}");
        }
    }
}

/// Seconds that requests took; made once, and with the bounds that the conventions name.
static DURATIONS: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    let meter = global::meter("service");
    let histogram = meter.f64_histogram("http.server.request.duration").with_unit("s");
    histogram.with_boundaries(bounds.to_vec()).build()
});

/// Any word is a method in HTTP, and a client can send many: a label has the known ones (the conventions' `_OTHER`).
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// Around every request: its span, its observation. Labels are routes, never paths: ids make no series.
async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let route = request.match_pattern().unwrap_or_else(|| "other".to_owned());
    if route == "/health" {
        return next.call(request).await;
    }
    let (method, began) = (known(request.method()), Instant::now());
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{} {route}", if method == "_OTHER" { "HTTP" } else { method }),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    let headers: HashMap<_, _> = headers.collect();
    let _ = span.set_parent(global::get_text_map_propagator(|propagator| propagator.extract(&headers)));
    let answer = next.call(request).instrument(span.clone()).await;
    let status =
        answer.as_ref().map_or_else(|e| e.as_response_error().status_code(), ServiceResponse::status);
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let labels = [
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.route", route),
        KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
    ];
    DURATIONS.record(began.elapsed().as_secs_f64(), &labels);
    answer
}

/// A span of its own below the request's, and a log record that has its ids.
#[tracing::instrument(skip_all)]
async fn greet(name: web::Path<String>) -> String {
    tracing::info!(name = name.as_str(), "Greeted");
    format!("Hello {name}\n")
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = Telemetry::start("hello-service")?;
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = std::env::var("PORT").map_or(Ok(8080), |port| port.parse())?;
    let app = || {
        let app = App::new().wrap(from_fn(observe)).route("/health", web::get().to(async || "ok"));
        app.route("/hello/{name}", web::get().to(greet))
    };
    // SIGTERM: it takes no more, and the requests it has get ten seconds.
    let served = HttpServer::new(app).workers(2).shutdown_timeout(10).bind((host, port))?.run().await;
    tracing::info!("Stopped");
    // However it ended: what it said of that is telemetry too.
    telemetry.stop(Duration::from_secs(3));
    Ok(served?)
}
