//! What may be typed next into a filter: keys, and values of one key, of the spans that are kept.
//!
//! Counted when asked for: taking a span in costs nothing, and what is gone is not suggested.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::params::{Pairs, Params};
use super::state::Console;
use super::traces::StoredTrace;
use super::{attributes, jaeger, query, tags};

/// Fields of the query language that are no attributes.
const OWN_KEYS: [&str; 6] = ["service", "name", "status", "duration", "kind", "span.duration"];
/// Different keys or values that are counted; there may be one for each span.
const MOST_COUNTED: usize = 10_000;
/// The longest value that is suggested, in bytes.
const LONGEST_VALUE: usize = 200;

/// `GET /api/suggestions?text=&limit=`: `{"keys":[…]}` that have the text in them, the most used first;
/// with `key=`, `{"values":[{"value":…,"count":N}]}`, `count` of spans.
pub(super) async fn answer(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let params = Params(&pairs);
    let limit = match params.limit("limit", 20, 100) {
        Ok(limit) => limit,
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let text = params.get("text").unwrap_or_default().to_lowercase();
    let traces = console.all_traces();
    let Some(key) = params.get("key") else {
        let own = ranked(OWN_KEYS.iter().map(|key| ((*key).to_owned(), 0)), &text);
        let found = ranked(keys(&traces).into_iter().map(|(key, count)| (key.to_owned(), count)), &text);
        let names: Vec<_> = own.into_iter().chain(found).map(|(key, _)| key).take(limit).collect();
        return HttpResponse::Ok().json(json!({"keys": names}));
    };
    let found = ranked(values(&traces, key), &text).into_iter().take(limit);
    let list: Vec<Value> = found.map(|(value, count)| json!({"value": value, "count": count})).collect();
    HttpResponse::Ok().json(json!({"values": list}))
}

/// Those that have the text, first those that begin with it, each by count.
fn ranked(all: impl IntoIterator<Item = (String, usize)>, text: &str) -> Vec<(String, usize)> {
    let mut found: Vec<_> = all
        .into_iter()
        .filter_map(|(name, count)| {
            let at = name.to_lowercase().find(text)?;
            Some((at > 0, Reverse(count), name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, Reverse(count), name)| (name, count)).collect()
}

/// One of more than the most, unless it is counted already, is left out.
fn count<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if counts.len() < MOST_COUNTED || counts.contains_key(&key) {
        *counts.entry(key).or_default() += 1;
    }
}

/// The keys of attributes of spans, events, resources and scopes, with how often they are there.
fn keys(traces: &[Arc<StoredTrace>]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for trace in traces {
        let of_spans = trace.spans.iter().flat_map(|kept| {
            std::iter::once(&kept.span.attributes)
                .chain(kept.span.events.iter().map(|event| &event.attributes))
        });
        let of_origins =
            trace.origins.iter().flat_map(|origin| [&origin.resource.attributes, &origin.scope.attributes]);
        for pair in of_spans.chain(of_origins).flatten() {
            count(&mut counts, pair.key.as_str());
        }
    }
    counts
}

/// The values of a key, as texts, with how many spans have them.
fn values(traces: &[Arc<StoredTrace>], key: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let own = key.to_ascii_lowercase();
    for trace in traces {
        for kept in &trace.spans {
            match own.as_str() {
                "service" => note(&mut counts, &trace.origin(kept).service),
                "name" => note(&mut counts, &kept.span.name),
                "kind" => note(&mut counts, query::kind(kept)),
                "status" => note(&mut counts, &query::status(kept).unwrap_or("unset").to_lowercase()),
                _ => {
                    tags::any_value(trace, kept, key, &mut |value| {
                        note(&mut counts, &attributes::text(value));
                        // On to the other places.
                        false
                    });
                }
            }
        }
    }
    counts
}

fn note(counts: &mut HashMap<String, usize>, value: &str) {
    if value.is_empty() || value.len() > LONGEST_VALUE {
        return;
    }
    if let Some(count) = counts.get_mut(value) {
        *count += 1;
    } else if counts.len() < MOST_COUNTED {
        counts.insert(value.to_owned(), 1);
    }
}
