//! What stands on the map, and what of a span's attributes names it.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::{Value, json};

use super::attributes::{find, text};
use super::traces::StoredSpan;

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

/// The text of the first of these attributes that a span has.
pub(super) fn named<'a>(kept: &'a StoredSpan, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| match find(&kept.span.attributes, key)? {
        Any::StringValue(text) if !text.is_empty() => Some(short(text)),
        _ => None,
    })
}

/// The beginning of a name: what a sender says must not make an answer large.
pub(super) fn short(name: &str) -> &str {
    name.char_indices().nth(MOST_CHARACTERS).map_or(name, |(end, _)| &name[..end])
}

/// Host and port of the other side; port 0 where none is told.
pub(super) fn address(kept: &StoredSpan) -> Option<(&str, i64)> {
    let host = named(kept, &["server.address", "net.peer.name", "http.host"])?;
    let port = ["server.port", "net.peer.port"].iter().find_map(|key| find(&kept.span.attributes, key));
    let port = port.map(|port| match port {
        Any::IntValue(port) => *port,
        other => text(other).parse().unwrap_or_default(),
    });
    Some((host, port.unwrap_or_default()))
}
