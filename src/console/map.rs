//! The map: who calls whom, as the spans kept say it, with rate, errors and p95 of nodes and edges.
//!
//! One pass over the spans of a bounded window, when it is asked for. A call is a CLIENT span, and leads to the service of
//! the SERVER span below it, else to what its attributes name; a message is a PRODUCER span on one side of its queue and a
//! CONSUMER span on the other, whichever traces they are in.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::jaeger;
use super::map_calls::CallFigures;
use super::map_node::{NodeKey, OtherSide, has, short};
use super::params::{Pairs, Params, now};
use super::span::{CLIENT, CONSUMER, PRODUCER, SERVER};
use super::state::Console;
use super::traces::{StoredSpan, StoredTrace};

/// How far back is looked where nothing is said, in nanoseconds.
const LOOKBACK: u64 = 15 * 60 * 1_000_000_000;
/// The most nodes and edges of an answer; further ones are counted.
const MOST_NODES: usize = 150;
const MOST_EDGES: usize = 400;
/// Within this time, in nanoseconds, the spans of a call have come from all sides.
const ARRIVED: u64 = 10_000_000_000;

type Edge<'a> = (NodeKey<'a>, NodeKey<'a>);

#[derive(Debug, Default)]
struct ServiceMap<'a> {
    /// Of services: what they served.
    served: HashMap<&'a str, CallFigures<'a>>,
    edges: HashMap<Edge<'a>, CallFigures<'a>>,
    /// Which service answered at an address.
    addresses: HashMap<(&'a str, i64), &'a str>,
    spans: usize,
    /// What ended later than this may not be whole, in nanoseconds since the epoch.
    arrived: u64,
    /// The first start of a span.
    began: Option<u64>,
}

/// `GET /api/map?lookback=`: `{"nodes":[…],"edges":[…],"spans":N,"seconds":N,"leftOut":N}`.
///
/// A node has `id`, `name`, `kind` (`callers`, `service`, `foreign`, `queue`, `database`) and its figures: of a service of what
/// it served, of others of the calls to them. An edge has `from`, `to` and the figures of its calls, as the caller saw
/// them, with its most frequent failures as `causes`: `[{"type","count"}]`, by `error.type`. Figures are `count`, `errors`, `rate` (a second), `errorRatio`, `p95`. Both name the traces by `find`, the
/// fields of the list's form.
pub(super) async fn answer(console: web::Data<Console>, pairs: Pairs) -> HttpResponse {
    let lookback = match Params(&pairs).duration("lookback") {
        Ok(lookback) => lookback.unwrap_or(LOOKBACK),
        Err(why) => return jaeger::error(StatusCode::BAD_REQUEST, &why),
    };
    let (traces, now) = (console.all_traces(), now());
    let map = ServiceMap::of(&traces, now.saturating_sub(lookback), now.saturating_sub(ARRIVED));
    let began = map.began.unwrap_or(now).max(now.saturating_sub(lookback));
    let seconds = (now.saturating_sub(began) as f64 / 1e9).max(1.0);
    HttpResponse::Ok().json(map.to_json(seconds))
}

impl<'a> ServiceMap<'a> {
    /// Of the spans that ended at `from` or later, in nanoseconds since the epoch. What ended after `arrived` may have a
    /// caller whose span is on its way.
    fn of(traces: &'a [Arc<StoredTrace>], from: u64, arrived: u64) -> Self {
        let mut map = Self { arrived, ..Self::default() };
        let mut callee = Vec::new();
        for trace in traces.iter().filter(|trace| trace.end >= from) {
            callee.clear();
            callee.resize(trace.spans.len(), None);
            let lately = trace.spans.iter().enumerate().filter(|(_, kept)| kept.end() >= from);
            for (_, kept) in lately.clone().filter(|(_, kept)| [SERVER, CONSUMER].contains(&kept.span.kind)) {
                map.serve(trace, kept, &mut callee);
            }
            for (place, kept) in lately {
                map.spans += 1;
                map.began = Some(map.began.map_or(kept.start(), |began| began.min(kept.start())));
                let service = short(&trace.origin(kept).service);
                match kept.span.kind {
                    CLIENT => map.call(service, kept, callee[place]),
                    PRODUCER => map.publish(service, kept, &OtherSide::of(kept)),
                    _ => {}
                }
            }
        }
        map.settle();
        map
    }

    fn edge(&mut self, from: NodeKey<'a>, to: NodeKey<'a>, kept: &'a StoredSpan) {
        self.edges.entry((from, to)).or_default().add(kept);
    }

    /// A request or message that was served; `callee` learns of a client's span who answered it.
    fn serve(&mut self, trace: &'a StoredTrace, kept: &'a StoredSpan, callee: &mut [Option<&'a str>]) {
        let service = short(&trace.origin(kept).service);
        self.served.entry(service).or_default().add(kept);
        let to = NodeKey::Named(service);
        if kept.span.kind == CONSUMER {
            if let Some(queue) = OtherSide::of(kept).queue {
                self.edge(NodeKey::Queue(queue), to, kept);
            }
            return;
        }
        let Some(place) = trace.parent(kept) else {
            if kept.parent() == 0 || kept.end() <= self.arrived {
                self.edge(NodeKey::Callers, to, kept);
            }
            return;
        };
        let parent = &trace.spans[place];
        let caller = short(&trace.origin(parent).service);
        match parent.span.kind {
            CLIENT => callee[place] = Some(service),
            // An instrumentation without client spans: the call is seen where it arrived.
            _ if caller != service => self.edge(NodeKey::Named(caller), to, kept),
            _ => {}
        }
    }

    fn call(&mut self, service: &'a str, kept: &'a StoredSpan, callee: Option<&'a str>) {
        let from = NodeKey::Named(service);
        let other = OtherSide::of(kept);
        if let Some(callee) = callee {
            self.addresses.extend(other.address.map(|address| (address, callee)));
            return self.edge(from, NodeKey::Named(callee), kept);
        }
        if let Some((system, namespace)) = other.database {
            return self.edge(from, NodeKey::Database(system, namespace), kept);
        }
        if other.messaging {
            // What a consumer asks its broker is no call of the service's own.
            if other.sends {
                self.publish(service, kept, &other);
            }
            return;
        }
        if let Some(peer) = other.peer {
            self.edge(from, NodeKey::Named(peer), kept);
        } else if let Some((host, port)) = other.address {
            self.edge(from, NodeKey::Address(host, port), kept);
        }
    }

    fn publish(&mut self, service: &'a str, kept: &'a StoredSpan, other: &OtherSide<'a>) {
        if let Some(queue) = other.queue {
            self.edge(NodeKey::Named(service), NodeKey::Queue(queue), kept);
        }
    }

    /// Calls that nobody answered lead to the service that answers at their address otherwise.
    fn settle(&mut self) {
        for ((from, to), figures) in std::mem::take(&mut self.edges) {
            let known = match to {
                NodeKey::Address(host, port) => {
                    self.addresses.get(&(host, port)).map(|name| NodeKey::Named(name))
                }
                _ => None,
            };
            self.edges.entry((from, known.unwrap_or(to))).or_default().merge(figures);
        }
    }

    fn to_json(&self, seconds: f64) -> Value {
        let mut edges: Vec<_> = self.edges.iter().collect();
        // The busiest, should there be too many.
        edges.sort_unstable_by_key(|(edge, figures)| (std::cmp::Reverse(figures.nanos.len()), **edge));
        let mut nodes: HashMap<NodeKey<'a>, CallFigures<'a>> = HashMap::new();
        let mut left_out = 0;
        let mut shown = Vec::new();
        for (&(from, to), figures) in edges {
            let new = [from, to].iter().filter(|node| !nodes.contains_key(node)).count();
            if shown.len() == MOST_EDGES || nodes.len() + new > MOST_NODES {
                left_out += 1;
                continue;
            }
            nodes.entry(from).or_default();
            nodes.entry(to).or_default();
            // What the callers are told by is their calls.
            let target = nodes.entry(if from == NodeKey::Callers { from } else { to }).or_default();
            target.nanos.extend(&figures.nanos);
            target.errors += figures.errors;
            let mut edge = figures.to_json(seconds);
            (edge["from"], edge["to"], edge["find"]) = (from.id(), to.id(), self.find(from, to));
            edge["causes"] = figures.causes_json();
            shown.push(edge);
        }
        for service in self.served.keys() {
            if nodes.len() < MOST_NODES {
                nodes.entry(NodeKey::Named(service)).or_default();
            }
        }
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.sort_unstable_by_key(|(node, _)| *node);
        let nodes: Vec<_> = nodes.iter().map(|(node, called)| self.node(*node, called, seconds)).collect();
        json!({"nodes": nodes, "edges": shown, "spans": self.spans, "seconds": seconds, "leftOut": left_out})
    }

    fn node(&self, node: NodeKey<'a>, called: &CallFigures<'_>, seconds: f64) -> Value {
        let (kind, figures) = match node {
            NodeKey::Callers => ("callers", called),
            NodeKey::Queue(_) => ("queue", called),
            NodeKey::Database(..) => ("database", called),
            NodeKey::Address(..) => ("foreign", called),
            NodeKey::Named(name) => match self.served.get(name) {
                Some(served) => ("service", served),
                None if self.edges.keys().any(|(from, _)| *from == node) => ("service", called),
                None => ("foreign", called),
            },
        };
        let mut json = figures.to_json(seconds);
        (json["id"], json["name"], json["kind"]) = (node.id(), json!(node.name()), json!(kind));
        json["find"] = match (node, kind) {
            (NodeKey::Named(name), "service") => json!({ "service": name }),
            _ => node.condition(),
        };
        json
    }

    /// What finds the traces of an edge in the list.
    fn find(&self, from: NodeKey<'a>, to: NodeKey<'a>) -> Value {
        let mut find = match to {
            NodeKey::Named(name) if self.served.contains_key(name) => json!({ "text": has("service", name) }),
            _ => to.condition(),
        };
        // What is asked of one span, which is the one of this call.
        let on_it = |find: &Value, key: &str, service: &str| {
            json!(format!("{} {}", find["text"].as_str().unwrap_or_default(), has(key, service)))
        };
        match (from, to) {
            (NodeKey::Named(service), NodeKey::Named(name)) if self.served.contains_key(name) => {
                (find["text"], find["service"]) = (on_it(&find, "parent.service", service), json!(service));
            }
            (NodeKey::Named(service), _) => {
                (find["text"], find["service"]) = (on_it(&find, "service", service), json!(service));
            }
            (NodeKey::Queue(_), NodeKey::Named(service)) => {
                find = from.condition();
                (find["text"], find["service"]) = (on_it(&find, "service", service), json!(service));
            }
            (_, NodeKey::Named(service)) => find = json!({ "service": service }),
            _ => {}
        }
        find
    }
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
