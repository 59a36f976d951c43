//! The environment of a lab that a command starts for itself: `verify --pipeline`, `scenario check --own-lab`.

use std::ffi::OsString;

use super::{LIFELINE_VARIABLE, TraceMode, child as var};

/// What it sees of this program's own environment, by the beginning of the name: how the receiver is reached, the
/// sampler, proxies and authorities, where programs and temporary files are. Nothing that would make another lab of it.
const INHERITED: [&str; 9] = [
    "OTEL_",
    "PATH",
    "HOME",
    "TMPDIR",
    "SSL_CERT_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "RUST_BACKTRACE",
];

/// The variables of a lab that sends traces, logs and metrics to this receiver of OTLP, or to its own console as any lab.
pub(crate) fn pipeline_environment(receiver: Option<&str>, mode: TraceMode) -> Vec<(OsString, OsString)> {
    let sent = receiver.map(|receiver| {
        [
            (var::OTLP_ENDPOINT, receiver),
            (var::OTEL_TRACES_EXPORTER, "otlp"),
            (var::OTEL_LOGS_EXPORTER, "otlp"),
            (var::OTEL_METRICS_EXPORTER, "otlp,prometheus"),
            (var::METRIC_EXPORT_INTERVAL, "1000"),
        ]
    });
    let ours = [
        (LIFELINE_VARIABLE, "stdin"),
        (
            var::QUEUE_TRACE_MODE,
            match mode {
                TraceMode::Child => "child",
                TraceMode::Link => "link",
            },
        ),
    ];
    // The receiver is the one of the flag, for all signals.
    let without = [
        var::OTLP_TRACES_ENDPOINT,
        var::OTLP_LOGS_ENDPOINT,
        var::OTLP_METRICS_ENDPOINT,
        var::OTEL_CONFIG_FILE,
        var::OTEL_SDK_DISABLED,
    ];
    let inherited = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy().to_uppercase();
        let known = INHERITED.iter().any(|known| name.starts_with(known));
        known && !without.contains(&name.as_str()) && (receiver.is_some() || !name.starts_with("OTEL_"))
    });
    let ours = ours.into_iter().chain(sent.into_iter().flatten());
    inherited.chain(ours.map(|(name, value)| (name.into(), value.into()))).collect()
}

/// Whether the lab would speak gRPC, of any signal.
pub(crate) fn pipeline_speaks_grpc() -> bool {
    let of_signals = var::OTLP_PROTOCOLS.map(|(_, name)| name);
    let mut all = of_signals.into_iter().chain([var::OTLP_PROTOCOL]);
    all.any(|name| std::env::var_os(name).is_some_and(|value| value == "grpc"))
}
