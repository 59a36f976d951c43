//! Where the console takes OTLP. It is a convenience: it never keeps the lab from starting.

use std::net::IpAddr;

use actix_web::http::Uri;

use super::environment::Inherited;
use super::ports::is_free;
use crate::config::{TAKES_GRPC, child as var, is_loopback, reached_at};
use crate::schema::{Endpoint, Ports};

/// What was decided.
#[derive(Clone, Debug)]
pub(super) struct OtlpChoice {
    /// `None`: the console takes none.
    pub(super) port: Option<u16>,
    /// The one for gRPC, where there is one for HTTP.
    pub(super) grpc: Option<u16>,
    /// What a person has to know of it, in one sentence.
    pub(super) note: Option<String>,
}

impl OtlpChoice {
    /// The ports that clients expect.
    pub(super) fn expected(ports: Ports) -> Self {
        let grpc = TAKES_GRPC.then_some(ports.at(Endpoint::OtlpGrpc));
        Self { port: Some(ports.at(Endpoint::Otlp)), grpc, note: None }
    }

    /// The same without gRPC where a stranger has its port: no client finds another one by itself.
    fn with_free_ports(mut self, ports: Ports, host: IpAddr) -> Self {
        let port = ports.at(Endpoint::OtlpGrpc);
        self.grpc = None;
        if self.port.is_none() || !TAKES_GRPC {
            return self;
        }
        if is_free(host, port) {
            self.grpc = Some(port);
        } else {
            let said = format!("port {port} is another program's: the console takes no OTLP over gRPC");
            self.note = Some(self.note.map_or(said.clone(), |note| format!("{note}; {said}")));
        }
        self
    }
}

/// The port that clients expect, unless telemetry goes elsewhere or a stranger has it: then another one. What is
/// `exported` goes by the console in any case.
pub(super) fn choose(base: u16, host: IpAddr, exported: bool, inherited: Inherited<'_>) -> OtlpChoice {
    let ports = Ports::from_base(base);
    let expected = ports.at(Endpoint::Otlp);
    let variable =
        [var::OTLP_TRACES_ENDPOINT, var::OTLP_ENDPOINT].into_iter().find(|v| inherited(v).is_some());
    let unused = variable.filter(|_| exported);
    let variable = variable.filter(|_| !exported);
    let theirs = variable.and_then(|variable| Some((variable, place(&inherited(variable)?))));
    let wrong = theirs.as_ref().and_then(|(variable, place)| place.is_none().then_some(*variable));
    let theirs = theirs.and_then(|(variable, place)| Some((variable, place?)));
    let what = elsewhere(inherited);
    let choice = match (theirs, is_free(host, expected)) {
        (Some((_, place)), true) if is_here(&place, expected) => OtlpChoice::expected(ports),
        (Some((variable, place)), _) => OtlpChoice {
            port: None,
            grpc: None,
            note: Some(format!("{what} go to {place} and not to the console, because {variable} is set")),
        },
        (None, true) => OtlpChoice {
            note: unused
                .map(|unused| format!("{unused} has no effect beside --export"))
                .or_else(|| wrong.map(no_url)),
            ..OtlpChoice::expected(ports)
        },
        (None, false) => another(base, host, expected),
    };
    choice.with_free_ports(ports, host)
}

/// What goes where the traces go: without an exporter or an endpoint of their own, logs and metrics too.
fn elsewhere(inherited: Inherited<'_>) -> String {
    let mut what = vec!["traces"];
    let general = inherited(var::OTLP_ENDPOINT);
    let same =
        general.is_some() && inherited(var::OTLP_TRACES_ENDPOINT).is_none_or(|own| Some(own) == general);
    for (signal, exporter, endpoint) in [
        ("log records", var::OTEL_LOGS_EXPORTER, var::OTLP_LOGS_ENDPOINT),
        ("metrics", var::OTEL_METRICS_EXPORTER, var::OTLP_METRICS_ENDPOINT),
    ] {
        let exported =
            inherited(exporter).is_none_or(|list| list.split(',').any(|name| name.trim() == "otlp"));
        if same && exported && inherited(endpoint).is_none() {
            what.push(signal);
        }
    }
    match what.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ => what.concat(),
    }
}

/// Another port of the lab's own ten, else any.
fn another(base: u16, host: IpAddr, taken: u16) -> OtlpChoice {
    let own = Some(base.saturating_add(6)).filter(|port| is_free(host, *port));
    let port = own.or_else(|| any_free(host));
    let instead = port.map_or("nowhere".into(), |port| format!("on http://{}", reached_at(host, port)));
    let note = format!("port {taken} is another program's: the console takes OTLP {instead}");
    OtlpChoice { port, grpc: None, note: Some(note) }
}

fn any_free(host: IpAddr) -> Option<u16> {
    let listener = std::net::TcpListener::bind((host, 0)).ok()?;
    listener.local_addr().ok().map(|address| address.port())
}

/// What the roles do about it is in their log lines too.
fn no_url(variable: &str) -> String {
    format!("{variable} is no http or https URL: the roles send to their default, port 4318 of this machine")
}

/// Host and port only: an endpoint's user part or query may hold a token. Nothing for what is no endpoint.
fn place(endpoint: &str) -> Option<String> {
    let uri: Uri = endpoint.parse().ok()?;
    let host = uri.host().filter(|_| matches!(uri.scheme_str(), Some("http" | "https")))?;
    Some(uri.port_u16().map_or(host.to_owned(), |port| format!("{host}:{port}")))
}

fn is_here(place: &str, port: u16) -> bool {
    place.rsplit_once(':').is_some_and(|(host, of)| is_loopback(host) && of == port.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A port that something else listens on.
    fn taken() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// The base of a lab whose two ports for OTLP are free.
    fn free_base() -> u16 {
        let bases = std::iter::repeat_with(|| any_free(HERE).unwrap() - 6);
        bases.take(100).find(|base| is_free(HERE, base + 6) && is_free(HERE, base + 9)).unwrap()
    }

    fn set(name: &str, value: String) -> impl Fn(&str) -> Option<String> {
        move |asked: &str| (asked == name).then(|| value.clone())
    }

    #[test]
    fn a_free_port_is_taken_and_nothing_is_said() {
        let base = free_base();
        let free = base + 6;
        for inherited in [String::new(), format!("http://localhost:{free}")] {
            let ours = set("OTEL_EXPORTER_OTLP_ENDPOINT", inherited.clone());
            let ours = |name: &str| ours(name).filter(|value| !value.is_empty());
            let choice = choose(base, HERE, false, &ours);
            assert_eq!((choice.port, choice.note), (Some(free), None), "{inherited}");
            assert_eq!(choice.grpc, TAKES_GRPC.then_some(base + 9), "{inherited}");
        }
    }

    #[test]
    fn what_is_no_endpoint_leads_nowhere_and_is_said() {
        for wrong in ["nonsense", "collector:4318", "ftp://collector"] {
            let choice = choose(free_base(), HERE, false, &set("OTEL_EXPORTER_OTLP_ENDPOINT", wrong.into()));
            let note = choice.note.unwrap_or_default();
            assert!(
                choice.port.is_some() && note.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT is no http"),
                "{note}"
            );
        }
    }

    #[test]
    #[cfg(feature = "grpc")]
    fn a_strangers_port_for_grpc_is_left_to_it_and_http_is_taken_all_the_same() {
        let (_stranger, port) = taken();
        let choice = choose(port - 9, HERE, false, &|_| None);
        let said = format!("port {port} is another program's: the console takes no OTLP over gRPC");
        assert!(choice.port.is_some() && choice.grpc.is_none(), "{choice:?}");
        assert!(choice.note.unwrap().ends_with(&said));
    }

    #[test]
    fn a_strangers_port_is_left_to_it_and_another_one_is_named() {
        let (_stranger, port) = taken();
        let choice = choose(port - 6, HERE, false, &|_| None);
        let other = choice.port.unwrap();
        let note = choice.note.unwrap();
        assert!(other != port && is_free(HERE, other), "{other}");
        assert!(
            note.contains(&port.to_string()) && note.contains(&format!("http://127.0.0.1:{other}")),
            "{note}"
        );
    }

    #[test]
    fn telemetry_for_another_place_or_for_the_strangers_port_opens_none() {
        let (_stranger, port) = taken();
        for endpoint in [format!("http://127.0.0.1:{port}"), "http://me:token@collector:4318/x?key=1".into()]
        {
            let theirs = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint);
            let choice = choose(port - 6, HERE, false, &theirs);
            let note = choice.note.unwrap();
            assert_eq!(choice.port, None, "{note}");
            assert!(note.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") && !note.contains("token"), "{note}");
        }
    }

    #[test]
    fn what_goes_elsewhere_is_named_signal_by_signal() {
        let of = |set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            elsewhere(&move |asked| {
                set.iter().find(|(name, _)| name == asked).map(|(_, value)| value.clone())
            })
        };
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert_eq!(of(&[general]), "traces, log records and metrics");
        assert_eq!(of(&[general, ("OTEL_LOGS_EXPORTER", "none")]), "traces and metrics");
        assert_eq!(
            of(&[general, ("OTEL_METRICS_EXPORTER", "prometheus"), ("OTEL_LOGS_EXPORTER", "otlp")]),
            "traces and log records"
        );
        assert_eq!(of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a:1/v1/traces")]), "traces");
        let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://b:2/v1/metrics");
        assert_eq!(of(&[general, own, ("OTEL_LOGS_EXPORTER", "none")]), "traces");
    }

    #[test]
    fn what_is_exported_goes_by_the_console_whatever_the_environment_says_and_that_is_said() {
        let base = free_base();
        let free = base + 6;
        let theirs = set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318".into());
        let choice = choose(base, HERE, true, &theirs);
        let said = "OTEL_EXPORTER_OTLP_ENDPOINT has no effect beside --export";
        assert_eq!((choice.port, choice.note.as_deref()), (Some(free), Some(said)));
    }
}
