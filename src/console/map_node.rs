//! What stands on the map, and what of a span's attributes names it.

use serde_json::{Value, json};

use super::attributes::text_of;
use super::traces::StoredSpan;
use crate::otlp::packed::ValueRef;

/// The most characters of a name.
const MOST_CHARACTERS: usize = 100;

/// What a node stands for. A name that calls lead to is a service where spans of it came, else foreign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum NodeKey<'a> {
    /// Who calls from outside: of those no span came.
    Callers,
    Named(&'a str),
    /// Host and port of a callee that nothing else names.
    Address(&'a str, i64),
    Queue(&'a str),
    /// System and namespace.
    Database(&'a str, &'a str),
}

impl NodeKey<'_> {
    pub(super) fn id(self) -> Value {
        json!(match self {
            Self::Callers => "callers".to_owned(),
            Self::Named(name) => format!("named:{name}"),
            Self::Address(host, port) => format!("address:{host}:{port}"),
            Self::Queue(name) => format!("queue:{name}"),
            Self::Database(system, namespace) => format!("database:{system}:{namespace}"),
        })
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Callers => "callers".to_owned(),
            Self::Named(name) | Self::Queue(name) | Self::Database(name, "") | Self::Address(name, 0) => {
                name.to_owned()
            }
            Self::Address(host, port) => format!("{host}:{port}"),
            Self::Database(system, namespace) => format!("{namespace} ({system})"),
        }
    }

    /// The attribute that its calls have, as the list's text filter takes it.
    pub(super) fn condition(self) -> Value {
        let of = |key: &str, value: &str| json!({ "text": has(key, value) });
        match self {
            Self::Callers => json!({}),
            Self::Named(name) => of("service.peer.name", name),
            Self::Address(host, _) => of("server.address", host),
            Self::Queue(name) => of("messaging.destination.name", name),
            Self::Database(system, "") => of("db.system.name", system),
            Self::Database(_, namespace) => of("db.namespace", namespace),
        }
    }
}

/// A condition in the query language.
pub(super) fn has(key: &str, value: &str) -> String {
    format!("{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What the attributes of a span say of the other side of its call, by the current names and the former ones.
pub(super) struct OtherSide<'a> {
    /// Host and port; port 0 where none is told.
    pub(super) address: Option<(&'a str, i64)>,
    /// System and namespace; the latter may be empty.
    pub(super) database: Option<(&'a str, &'a str)>,
    pub(super) queue: Option<&'a str>,
    /// Whether it is a call to a broker, and of those one that sends.
    pub(super) messaging: bool,
    pub(super) sends: bool,
    pub(super) peer: Option<&'a str>,
}

impl<'a> OtherSide<'a> {
    pub(super) fn of(kept: &'a StoredSpan) -> Self {
        // In one pass: the map asks it of every span that calls.
        let [host, port, system, namespace, broker, operation, queue, peer] = kept.span.pick([
            &["server.address", "net.peer.name", "http.host"],
            &["server.port", "net.peer.port"],
            &["db.system.name", "db.system"],
            &["db.namespace", "db.name"],
            &["messaging.system"],
            &["messaging.operation.type"],
            &["messaging.destination.name", "messaging.destination"],
            &["service.peer.name", "peer.service"],
        ]);
        let port = port.map_or(0, |port| match port {
            ValueRef::Int(port) => port,
            other => text_of(&other).parse().unwrap_or_default(),
        });
        Self {
            address: name(host).map(|host| (host, port)),
            database: name(system).map(|system| (system, name(namespace).unwrap_or_default())),
            queue: name(queue),
            messaging: name(broker).is_some(),
            sends: name(operation) == Some("send"),
            peer: name(peer),
        }
    }
}

/// Why a span failed, as its instrumentation names it.
pub(super) fn error_type(kept: &StoredSpan) -> Option<&str> {
    let [cause] = kept.span.pick([&["error.type"]]);
    name(cause)
}

/// A value that is a name.
fn name(value: Option<ValueRef<'_>>) -> Option<&str> {
    match value? {
        ValueRef::Text(text) if !text.is_empty() => Some(short(text)),
        _ => None,
    }
}

/// The beginning of a name: what a sender says must not make an answer large.
pub(super) fn short(name: &str) -> &str {
    name.char_indices().nth(MOST_CHARACTERS).map_or(name, |(end, _)| &name[..end])
}
