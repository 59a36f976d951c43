//! PromQL, read as Prometheus reads it: which metrics an expression relies on, and whether they and
//! their labels exist. For alerts and for dashboards.

use std::collections::{BTreeMap, BTreeSet};

use o11y_lab::schema::{METRICS, Metric, MetricKind, SERVICES};
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector, parse};

use super::rules::Rule;

/// Names of labels.
pub type Labels = BTreeSet<String>;

/// What every target brings; see deploy/prometheus/targets.
const TARGET: &[&str] = &["job", "service", "instance"];

/// What the roles do not expose and we may use all the same: from Prometheus itself, the process
/// collector, Jaeger's span metrics and the backends, with their labels.
const FOREIGN: &[(&str, &[&str])] = &[
    ("up", &[]),
    ("scrape_duration_seconds", &[]),
    ("scrape_samples_scraped", &[]),
    ("scrape_series_added", &[]),
    ("ALERTS", &["alertname", "alertstate", "severity", "slo"]),
    ("process_cpu_seconds_total", &[]),
    ("process_resident_memory_bytes", &[]),
    ("process_virtual_memory_bytes", &[]),
    ("process_open_fds", &[]),
    ("process_max_fds", &[]),
    ("process_threads", &[]),
    ("process_start_time_seconds", &[]),
    ("traces_span_metrics_calls_total", SPAN),
    ("traces_span_metrics_duration_milliseconds_bucket", SPAN_BUCKET),
    ("traces_span_metrics_duration_milliseconds_count", SPAN),
    ("traces_span_metrics_duration_milliseconds_sum", SPAN),
    ("alertmanager_notifications_failed_total", &["integration", "reason"]),
    ("prometheus_notifications_dropped_total", &[]),
];
const SPAN: &[&str] = &["service_name", "span_name", "span_kind", "status_code"];
const SPAN_BUCKET: &[&str] = &["service_name", "span_name", "span_kind", "status_code", "le"];

/// A series that rules record.
#[derive(Default)]
struct Recorded {
    labels: Labels,
    /// The scraped metrics behind it.
    sources: BTreeSet<String>,
}

/// The metrics there are.
#[derive(Default)]
pub struct Known {
    recorded: BTreeMap<String, Recorded>,
}

/// What an expression says of itself.
#[derive(Debug, Default)]
pub struct Reading {
    /// The labels its result may have.
    pub labels: Labels,
    /// The scraped metrics it relies on, through recorded ones too, with a histogram's suffix.
    pub sources: BTreeSet<String>,
    /// Its selectors, as they stand.
    pub selectors: Vec<String>,
    /// What does not exist.
    pub complaints: Vec<String>,
}

impl Known {
    /// The scraped metrics, and those that `rules` record.
    pub fn with(rules: &[Rule]) -> Self {
        let mut known = Self::default();
        for rule in rules {
            let Some(name) = &rule.record else { continue };
            let reading = known.read(&rule.expr);
            let recorded = known.recorded.entry(name.clone()).or_default();
            recorded.labels.extend(reading.labels);
            recorded.labels.extend(rule.labels.keys().cloned());
            recorded.sources.extend(reading.sources);
        }
        known
    }

    /// Reads an expression; one that does not parse is a complaint.
    pub fn read(&self, expr: &str) -> Reading {
        let mut reading = Reading::default();
        match parse(expr) {
            Ok(tree) => reading.labels = self.walk(&tree, &mut reading),
            Err(error) => reading.complaints.push(format!("{expr}: {error}")),
        }
        reading
    }

    fn walk(&self, expr: &Expr, reading: &mut Reading) -> Labels {
        match expr {
            Expr::VectorSelector(selector) => self.select(selector, reading),
            Expr::MatrixSelector(matrix) => self.select(&matrix.vs, reading),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, reading),
            Expr::Binary(binary) => self.binary(binary, reading),
            Expr::Call(call) => self.call(call, reading),
            Expr::Paren(inner) => self.walk(&inner.expr, reading),
            Expr::Unary(inner) => self.walk(&inner.expr, reading),
            Expr::Subquery(inner) => self.walk(&inner.expr, reading),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Labels::new(),
        }
    }

    fn aggregate(&self, aggregate: &AggregateExpr, reading: &mut Reading) -> Labels {
        let below = self.walk(&aggregate.expr, reading);
        match &aggregate.modifier {
            Some(LabelModifier::Include(by)) => {
                let by: Labels = by.labels.iter().cloned().collect();
                require(&by, &below, "by", reading);
                by
            }
            Some(LabelModifier::Exclude(without)) => {
                below.into_iter().filter(|label| !without.labels.contains(label)).collect()
            }
            None => Labels::new(),
        }
    }

    fn binary(&self, binary: &BinaryExpr, reading: &mut Reading) -> Labels {
        let left = self.walk(&binary.lhs, reading);
        let right = self.walk(&binary.rhs, reading);
        let matching = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref());
        if let Some(LabelModifier::Include(on)) = matching {
            let on: Labels = on.labels.iter().cloned().collect();
            require(&on, &left, "on (left)", reading);
            require(&on, &right, "on (right)", reading);
        }
        &left | &right
    }

    fn call(&self, call: &Call, reading: &mut Reading) -> Labels {
        let mut labels = Labels::new();
        for argument in &call.args.args {
            labels.extend(self.walk(argument, reading));
        }
        match (call.func.name, call.args.args.get(1).map(AsRef::as_ref)) {
            ("histogram_quantile", _) if !labels.remove("le") => {
                reading.complaints.push("histogram_quantile without the label le".into());
            }
            ("label_replace" | "label_join", Some(Expr::StringLiteral(name))) => {
                labels.insert(name.val.clone());
            }
            _ => {}
        }
        labels
    }

    fn select(&self, selector: &VectorSelector, reading: &mut Reading) -> Labels {
        reading.selectors.push(selector.to_string());
        let Some(name) = &selector.name else {
            reading.complaints.push(format!("{selector}: a selector without a metric's name"));
            return Labels::new();
        };
        let mut labels: Labels = TARGET.iter().map(|label| (*label).to_owned()).collect();
        let own = FOREIGN.iter().find(|(foreign, _)| foreign == name).map(|(_, labels)| *labels);
        if let Some(recorded) = self.recorded.get(name) {
            labels.clone_from(&recorded.labels);
            reading.sources.extend(recorded.sources.iter().cloned());
        } else if let Some(own) = own {
            labels.extend(own.iter().map(|label| (*label).to_owned()));
            reading.sources.insert(name.clone());
        } else if let Some((metric, bucket)) = scraped(name) {
            labels.extend(metric.labels.iter().map(|label| label.key.to_owned()));
            labels.extend(bucket.then(|| "le".to_owned()));
            reading.sources.insert(name.clone());
            reading.complaints.extend(unmatched(metric, selector));
        } else {
            reading.complaints.push(format!("{name}: no such metric"));
        }
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) {
                reading.complaints.push(format!("{selector}: {name} has no label {}", matcher.name));
            }
        }
        labels
    }
}

fn require(wanted: &Labels, there: &Labels, place: &str, reading: &mut Reading) {
    let missing: Vec<_> = wanted.difference(there).cloned().collect();
    if !missing.is_empty() {
        reading.complaints.push(format!("{place}: no label {missing:?} among {there:?}"));
    }
}

/// The metric of the schema with this exposed name, and whether the name is that of its buckets.
fn scraped(name: &str) -> Option<(&'static Metric, bool)> {
    METRICS.iter().find_map(|metric| match metric.kind {
        MetricKind::Histogram(_) => {
            let suffix = name.strip_prefix(metric.name)?;
            matches!(suffix, "_bucket" | "_sum" | "_count").then_some((metric, suffix == "_bucket"))
        }
        MetricKind::Counter | MetricKind::Gauge => (metric.name == name).then_some((metric, false)),
    })
}

/// Matchers that match no value the label can have.
fn unmatched(metric: &Metric, selector: &VectorSelector) -> Vec<String> {
    let services = || SERVICES.iter().filter(|s| metric.exposed_by(s.role)).map(|s| s.name.to_owned());
    let values = |label: &str| -> Vec<String> {
        match (label, metric.kind) {
            ("service" | "job", _) => services().collect(),
            ("le", MetricKind::Histogram(bounds)) => {
                bounds.iter().map(|bound| format!("{bound:?}")).chain(["+Inf".to_owned()]).collect()
            }
            _ => {
                let own = metric.labels.iter().find(|own| own.key == label);
                own.map(|own| own.values.iter().map(|v| (*v).to_owned()).collect()).unwrap_or_default()
            }
        }
    };
    let hits = |matcher: &Matcher, values: &[String]| match matcher.op {
        MatchOp::Equal | MatchOp::Re(_) => values.iter().any(|value| matcher.is_match(value)),
        // What is left out has to be there, or nothing is left out.
        MatchOp::NotEqual | MatchOp::NotRe(_) => values.iter().any(|value| !matcher.is_match(value)),
    };
    let wrong = selector.matchers.matchers.iter().filter(|matcher| {
        let values = values(&matcher.name);
        !values.is_empty() && !hits(matcher, &values)
    });
    wrong.map(|matcher| format!("{selector}: {} has no such value", matcher.name)).collect()
}
