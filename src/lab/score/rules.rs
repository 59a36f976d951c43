//! The rules, in our own words.

use std::sync::Arc;

use super::Impact::{Critical, Important, Normal};
use super::facts::{Facts, MOST_VALUES, ServiceFacts};
use super::{Needs, Rule};
use crate::lab::backend::trace::SpanAttributes;
use crate::schema::registry::{ATTRIBUTES, Attribute, EVENTS, LOG_FIELDS, RESOURCE, SPANS};

/// The most INTERNAL spans that a service may have in one trace, and the most short ones that a trace may have.
const MOST_INTERNAL: usize = 10;
const MOST_SHORT: usize = 20;

/// Rules that no backend's answers tell, and why.
pub const NOT_COMPUTED: [(&str, &str); 3] = [
    ("LOG-001", "it is about debug lines over 14 days, and a run takes seconds"),
    ("SDK-001", "which versions of a language an SDK supports stands in no telemetry"),
    ("SPA-003", "its criteria are not written yet in version 0.1"),
];

/// Every rule that is computed.
pub static RULES: &[Rule] = &[
    rule("RES-001", Normal, "a resource has `service.instance.id`", Needs::Resources, |_, own| {
        lacks(own, "service.instance.id")
    }),
    rule(
        "RES-002",
        Important,
        "no two processes of a service share a `service.instance.id`",
        Needs::Resources,
        |_, own| shared_instance(own),
    ),
    rule("RES-003", Important, "on Kubernetes a resource has `k8s.pod.uid`", Needs::Resources, |_, own| {
        let pod = |resource: &&Arc<SpanAttributes>| resource.keys().any(|key| key.starts_with("k8s.pod."));
        let without =
            own.resources.all().iter().filter(pod).find(|resource| !resource.contains_key("k8s.pod.uid"));
        without.map(|_| "a resource of a pod has no k8s.pod.uid".to_owned())
    }),
    rule(
        "RES-004",
        Important,
        "attributes of the conventions are at their level",
        Needs::Resources,
        |_, own| misplaced(own),
    ),
    rule("RES-005", Critical, "a resource has a `service.name`", Needs::Resources, |_, own| {
        let named = |resource: &&Arc<SpanAttributes>| {
            resource.get("service.name").and_then(|name| name.as_str()).is_some_and(|name| !name.is_empty())
        };
        (!own.resources.all().iter().all(|resource| named(&resource)))
            .then(|| "a resource has no service.name".to_owned())
    }),
    rule("SPA-001", Normal, "10 INTERNAL spans of a service in one trace at most", Needs::Spans, |_, own| {
        (own.internal > MOST_INTERNAL).then(|| format!("{} INTERNAL spans in one trace", own.internal))
    }),
    rule("SPA-002", Normal, "the parent of every span is there", Needs::Spans, |_, own| {
        own.orphan.as_ref().map(|name| format!("the parent of {name} is not there"))
    }),
    rule("SPA-004", Important, "no root is a CLIENT span", Needs::Spans, |_, own| {
        own.client_root.as_ref().map(|name| format!("the root {name} is a CLIENT span"))
    }),
    rule("SPA-005", Important, "20 spans of less than 5 ms in one trace at most", Needs::Spans, |_, own| {
        (own.short > MOST_SHORT).then(|| format!("{} spans of less than 5 ms in one trace", own.short))
    }),
    rule(
        "MET-001",
        Important,
        "an attribute of a metric has less than 10,000 values",
        Needs::Series,
        |facts, own| {
            of(facts, own).find_map(|(name, metric)| {
                let many = metric.values.iter().find(|(_, values)| values.len() >= MOST_VALUES);
                many.map(|(key, _)| format!("{key} of {name} has {MOST_VALUES} values or more"))
            })
        },
    ),
    rule("MET-002", Important, "a metric has a unit, in UCUM's spelling", Needs::Series, |facts, own| {
        let wrong = |(name, metric): (&String, &super::facts::MetricFacts)| {
            let unit = metric.units.iter().find(|unit| !is_unit(unit))?;
            Some(format!("the unit of {name} is \"{unit}\""))
        };
        of(facts, own).find_map(wrong)
    }),
    rule("MET-003", Important, "a metric has one unit, whoever sends it", Needs::Series, |facts, own| {
        let two = of(facts, own).find(|(_, metric)| metric.units.len() > 1);
        two.map(|(name, metric)| format!("{name} is in {}", join(&metric.units)))
    }),
    rule(
        "MET-004",
        Normal,
        "a histogram has the same buckets, whoever sends it",
        Needs::Series,
        |facts, own| {
            let two = of(facts, own).find(|(_, metric)| metric.bounds.len() > 1);
            two.map(|(name, metric)| format!("{name} has the bounds {}", join(&metric.bounds)))
        },
    ),
    rule("MET-005", Normal, "a metric's name does not have the unit in it", Needs::Series, |facts, own| {
        let found =
            of(facts, own).find(|(name, metric)| metric.units.iter().any(|unit| is_named(name, unit)));
        found.map(|(name, _)| format!("{name} has its unit in its name"))
    }),
    rule(
        "MET-006",
        Important,
        "no metric is called like an attribute of the conventions",
        Needs::Series,
        |_, own| {
            let same = |name: &&String| Attribute::of(name).is_some_and(|known| known.own.is_none());
            own.metrics.iter().find(same).map(|name| format!("{name} is an attribute too"))
        },
    ),
    rule("LOG-002", Important, "a log record has a severity", Needs::Severities, |_, own| {
        own.no_severity.as_ref().map(|message| format!("\"{message}\" has none"))
    }),
];

const fn rule(
    id: &'static str,
    impact: super::Impact,
    wants: &'static str,
    needs: Needs,
    broken: fn(&Facts, &ServiceFacts) -> Option<String>,
) -> Rule {
    Rule { id, impact, wants, needs, broken }
}

fn lacks(own: &ServiceFacts, key: &str) -> Option<String> {
    let lacking = own.resources.all().iter().any(|resource| !resource.contains_key(key));
    lacking.then(|| format!("a resource has no {key}"))
}

/// What tells processes apart beside the id that has to.
const IDENTITY: [&str; 5] = ["k8s.pod.uid", "k8s.pod.name", "container.id", "host.id", "process.pid"];

fn shared_instance(own: &ServiceFacts) -> Option<String> {
    let who = |resource: &SpanAttributes| IDENTITY.map(|key| resource.get(key).cloned());
    own.resources.all().iter().enumerate().find_map(|(place, one)| {
        let id = one.get("service.instance.id")?;
        let other = own.resources.all()[place + 1..]
            .iter()
            .find(|other| other.get("service.instance.id") == Some(id))?;
        (who(one) != who(other)).then(|| format!("two processes have the service.instance.id {id}"))
    })
}

/// The beginnings of keys that the conventions have on resources, and of those that they have on items.
const OF_RESOURCES: [&str; 9] =
    ["service.", "telemetry.", "host.", "k8s.", "container.", "process.", "os.", "deployment.", "device."];
const OF_ITEMS: [&str; 9] =
    ["http.", "db.", "messaging.", "rpc.", "url.", "exception.", "error.", "client.", "user_agent."];

/// An attribute of the conventions on an item that belongs on the resource, or the other way round. Where our registry has
/// the key at a level, that is right.
fn misplaced(own: &ServiceFacts) -> Option<String> {
    let on_resource = |key: &str| RESOURCE.iter().any(|one| one.key == key);
    let uses =
        || SPANS.iter().map(|row| row.attributes).chain(EVENTS.iter().map(|row| row.attributes)).flatten();
    let on_item =
        |key: &str| uses().any(|one| one.key == key) || LOG_FIELDS.iter().any(|field| field.key == key);
    let conventional = |key: &str| ATTRIBUTES.iter().any(|known| known.key == key && known.own.is_none());
    let begins = |key: &str, with: &[&str]| with.iter().any(|prefix| key.starts_with(prefix));
    let down =
        own.item_keys.iter().find(|key| !on_item(key) && (on_resource(key) || begins(key, &OF_RESOURCES)));
    let mut resource = own.resources.all().iter().flat_map(|resource| resource.keys());
    let up = resource
        .find(|key| !on_resource(key) && (conventional(key) && on_item(key) || begins(key, &OF_ITEMS)));
    down.map(|key| format!("{key} is on a span or a log record"))
        .or_else(|| up.map(|key| format!("{key} is on a resource")))
}

fn of<'a>(
    facts: &'a Facts,
    own: &'a ServiceFacts,
) -> impl Iterator<Item = (&'a String, &'a super::facts::MetricFacts)> {
    own.metrics.iter().filter_map(|name| facts.metrics.get_key_value(name))
}

/// The atoms of UCUM that metrics have, each with what a name would call it.
const UNITS: [(&str, &[&str]); 18] = [
    ("s", &["s", "second", "seconds"]),
    ("ms", &["ms", "millisecond", "milliseconds"]),
    ("us", &["us", "microsecond", "microseconds"]),
    ("ns", &["ns", "nanosecond", "nanoseconds"]),
    ("min", &["minute", "minutes"]),
    ("h", &["hour", "hours"]),
    ("d", &["day", "days"]),
    ("By", &["byte", "bytes"]),
    ("KiBy", &["kibibyte", "kibibytes"]),
    ("MiBy", &["mebibyte", "mebibytes"]),
    ("GiBy", &["gibibyte", "gibibytes"]),
    ("bit", &["bit", "bits"]),
    ("%", &["percent"]),
    ("1", &[]),
    ("Hz", &["hertz"]),
    ("Cel", &["celsius"]),
    ("W", &["watt", "watts"]),
    ("J", &["joule", "joules"]),
];

/// An annotation in braces, an atom, or several of both with `/` and `.` between them.
fn is_unit(unit: &str) -> bool {
    let annotation = |part: &str| part.len() > 2 && part.starts_with('{') && part.ends_with('}');
    !unit.is_empty()
        && unit
            .split(['/', '.'])
            .all(|part| annotation(part) || UNITS.iter().any(|(known, _)| *known == part))
}

fn is_named(name: &str, unit: &str) -> bool {
    let words = UNITS.iter().find(|(known, _)| *known == unit).map_or(&[][..], |(_, words)| words);
    name.split(['.', '_']).any(|word| words.contains(&word))
}

fn join(all: &std::collections::BTreeSet<String>) -> String {
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    all.join(" and ")
}
