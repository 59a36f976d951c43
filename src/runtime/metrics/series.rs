//! The series of a role: the label sets of its metrics, all of them there from start-up.

use metrics::{Unit, counter, gauge, histogram};

use crate::runtime::http::unmatched_answers;
use crate::schema::{
    Fault, KNOWN_METHODS, Metric, MetricKind, OTHER_METHOD, OTHER_ROUTE, Route, Service, names,
};

type Labels = Vec<(&'static str, String)>;

/// Describes a metric and makes its series.
pub(super) fn register(metric: &Metric, service: &Service, routes: &[Route]) {
    describe(metric);
    for labels in series(metric, service, routes) {
        match metric.kind {
            MetricKind::Counter => counter!(metric.name, &labels).increment(0),
            MetricKind::Gauge => {
                gauge!(metric.name, &labels).set(if metric.name == names::BUILD_INFO { 1.0 } else { 0.0 })
            }
            // Handles count: a histogram that is registered is rendered with zero observations.
            MetricKind::Histogram(_) => drop(histogram!(metric.name, &labels)),
        }
    }
}

fn describe(metric: &Metric) {
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(metric.name, Unit::Count, metric.help),
        MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        MetricKind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
    }
}

/// The label sets of a metric: the cross product of its closed sets.
fn series(metric: &Metric, service: &Service, routes: &[Route]) -> Vec<Labels> {
    match metric.name {
        names::HTTP_SERVER_DURATION => routes.iter().flat_map(route_series).chain(unmatched()).collect(),
        names::HTTP_SERVER_ACTIVE => {
            let matched = routes.iter().map(|route| route_labels(route.method, route.path));
            matched.chain(methods().map(|method| route_labels(method, OTHER_ROUTE))).collect()
        }
        names::BUILD_INFO => {
            vec![vec![("version", env!("CARGO_PKG_VERSION").into()), ("service", service.name.into())]]
        }
        names::FAULT_ACTIVE => {
            Fault::of(service.role).map(|fault| vec![("fault", fault.name.to_owned())]).collect()
        }
        names::HTTP_CLIENT_DURATION => {
            let peers: Vec<_> = service.needs.iter().map(|role| role.service().name).collect();
            let mut all = cross(metric);
            all.retain(|labels| labels.iter().any(|(_, value)| peers.contains(&value.as_str())));
            all
        }
        _ => cross(metric),
    }
}

fn route_series(route: &Route) -> impl Iterator<Item = Labels> + '_ {
    route.answers().into_iter().map(|status| server_labels(route.method, route.path, status))
}

/// No such path, or no such method there.
fn unmatched() -> impl Iterator<Item = Labels> {
    methods().flat_map(|method| {
        unmatched_answers(method).iter().map(move |status| server_labels(method, OTHER_ROUTE, *status))
    })
}

fn methods() -> impl Iterator<Item = &'static str> {
    KNOWN_METHODS.into_iter().chain([OTHER_METHOD])
}

/// The labels of [`names::HTTP_SERVER_ACTIVE`].
pub fn route_labels(method: &'static str, route: &'static str) -> Labels {
    vec![("http_request_method", method.into()), ("http_route", route.into())]
}

/// The labels of one observation of [`names::HTTP_SERVER_DURATION`].
pub fn server_labels(method: &'static str, route: &'static str, status: u16) -> Labels {
    let mut labels = route_labels(method, route);
    labels.push(("http_response_status_code", status.to_string()));
    labels
}

fn cross(metric: &Metric) -> Vec<Labels> {
    metric.labels.iter().fold(vec![Labels::new()], |sets, label| {
        let extend = |set: &Labels, value: &&'static str| {
            let mut set = set.clone();
            set.push((label.key, (*value).to_owned()));
            set
        };
        sets.iter().flat_map(|set| label.values.iter().map(move |value| extend(set, value))).collect()
    })
}
