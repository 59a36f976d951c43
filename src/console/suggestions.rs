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
const OWN_KEYS: [&str; 7] =
    ["service", "name", "status", "duration", "kind", "span.duration", "parent.service"];
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
        let found = keys(&traces).into_iter().map(|(key, count)| (key.to_owned(), count));
        let found = ranked(found, &text);
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

/// How often keys were seen.
#[derive(Default)]
struct KeyCounts<'a> {
    counts: Vec<(&'a str, usize)>,
    places: HashMap<&'a str, usize>,
    /// The place of the key that stood last at that position among its span's: spans are alike, so it is mostly the same
    /// again, and comparing is much cheaper than hashing.
    latest: Vec<usize>,
}

impl<'a> KeyCounts<'a> {
    fn note(&mut self, position: usize, key: &'a str) {
        let latest = self.latest.get(position).and_then(|place| self.counts.get_mut(*place));
        if let Some((_, count)) = latest.filter(|(known, _)| *known == key) {
            *count += 1;
            return;
        }
        let place = match self.places.get(key) {
            Some(place) => *place,
            // One beyond the most is left out.
            None if self.counts.len() >= MOST_COUNTED => return,
            None => {
                self.places.insert(key, self.counts.len());
                self.counts.push((key, 0));
                self.counts.len() - 1
            }
        };
        self.counts[place].1 += 1;
        if position >= self.latest.len() {
            self.latest.resize(position + 1, usize::MAX);
        }
        self.latest[position] = place;
    }
}

/// The keys of attributes of spans, events, resources and scopes, with how often they are there.
fn keys(traces: &[Arc<StoredTrace>]) -> Vec<(&str, usize)> {
    let (mut spans, mut others) = (KeyCounts::default(), KeyCounts::default());
    for trace in traces {
        for kept in &trace.spans {
            kept.span.attributes().enumerate().for_each(|(at, pair)| spans.note(at, pair.key()));
            let of_events = kept.span.events().flat_map(|event| event.attributes().enumerate());
            of_events.for_each(|(at, pair)| others.note(at, pair.key()));
        }
        let of_origins =
            trace.origins.iter().flat_map(|origin| [&origin.resource.attributes, &origin.scope.attributes]);
        let pairs = of_origins.flat_map(|attributes| attributes.iter().enumerate());
        pairs.for_each(|(at, pair)| others.note(at, &pair.key));
    }
    for (key, count) in others.counts {
        match spans.places.get(key) {
            Some(place) => spans.counts[*place].1 += count,
            None => spans.counts.push((key, count)),
        }
    }
    spans.counts
}

/// The values of a key, as texts, with how many spans have them.
fn values(traces: &[Arc<StoredTrace>], key: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    let own = key.to_ascii_lowercase();
    for trace in traces {
        for kept in &trace.spans {
            match own.as_str() {
                "service" => note(&mut counts, &trace.origin(kept).service),
                "name" => note(&mut counts, kept.span.name()),
                "kind" => note(&mut counts, query::kind(kept)),
                "status" => note(&mut counts, &query::status(kept).unwrap_or("unset").to_lowercase()),
                _ => {
                    tags::any_value(trace, kept, key, &mut |value| {
                        note(&mut counts, &attributes::text_of(value));
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
