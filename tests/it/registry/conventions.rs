//! The names of the registry against those that OpenTelemetry publishes.

use std::collections::BTreeMap;

use o11y_lab::schema::OTLP_METRICS;
use o11y_lab::schema::registry::{ATTRIBUTES, SEMANTIC_CONVENTIONS};
use serde::Deserialize;

use crate::docs::registry::instrument;
use crate::helpers::tools::tool;

/// What `conventions.py` says.
#[derive(Deserialize)]
struct Conventions {
    version: String,
    attributes: Vec<String>,
    /// Instrument and unit, where the package makes the metric.
    metrics: BTreeMap<String, Option<(String, String)>>,
}

#[test]
fn what_the_registry_calls_a_convention_is_one_and_what_it_calls_our_own_is_none() {
    let done = tool("conventions.py").output().expect("the tool runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let published: Conventions = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(published.version, SEMANTIC_CONVENTIONS);
    for attribute in ATTRIBUTES {
        let known = published.attributes.iter().any(|key| key == attribute.key);
        assert_eq!(known, attribute.own.is_none(), "{}", attribute.key);
    }
    for row in OTLP_METRICS {
        let known = published.metrics.get(row.name);
        assert_eq!(known.is_some(), row.is_convention(), "{}", row.name);
        if let Some(Some((kind, unit))) = known {
            assert_eq!((kind.as_str(), unit.as_str()), (instrument(row.kind), row.unit), "{}", row.name);
        }
    }
}
