//! Route table of a role, with the handles of its series: a request is matched here once, by the
//! path that the router reads, and span, metrics and log line follow from the row.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Gauge, Histogram};

use crate::runtime::metrics::{route_labels, server_labels};
use crate::schema::{KNOWN_METHODS, OTHER_METHOD, OTHER_ROUTE, Route, names};

/// What a request that matches no route is answered with; one that could not be read has no method.
pub(in crate::runtime) fn unmatched_answers(method: &str) -> &'static [u16] {
    if method == OTHER_METHOD { &[400, 404, 405, 408, 431] } else { &[404, 405] }
}

/// Rows of a role's routes, one for each method of the requests that match none, and one for the HEAD
/// of each GET.
pub struct RouteTable {
    routes: &'static [Route],
    rows: Vec<RouteRow>,
}

/// One row: how requests of one route, or of one method and no route, are named and measured.
pub(super) struct RouteRow {
    /// `None` where no route matches.
    pub(super) route: Option<&'static Route>,
    /// The method as it stands in labels and span names.
    pub(super) method: &'static str,
    /// Name of the SERVER span: the method, and the template where there is one.
    pub(super) span_name: String,
    active: Gauge,
    durations: Vec<(u16, Histogram)>,
}

impl RouteTable {
    /// Looks up every series of `routes`; the recorder is installed before.
    pub fn new(routes: &'static [Route]) -> Self {
        let matched = routes.iter().map(|route| RouteRow::new(route.method, Some(route), route.answers()));
        let unmatched = KNOWN_METHODS.into_iter().chain([OTHER_METHOD]);
        let unmatched =
            unmatched.map(|method| RouteRow::new(method, None, unmatched_answers(method).to_vec()));
        // Rare: its series are looked up when it comes.
        let gets = routes.iter().filter(|route| route.method == "GET");
        let heads = gets.map(|route| RouteRow::new("HEAD", Some(route), Vec::new()));
        Self { routes, rows: matched.chain(unmatched).chain(heads).collect() }
    }

    /// Index of the row of a request; `path` is percent-decoded as the router does it.
    pub(super) fn find(&self, method: &Method, path: &str) -> usize {
        let (method, template) = (method.as_str(), self.template(path));
        let of = |route: Option<&str>, method: &str| {
            self.rows.iter().position(|row| row.method == method && row.route.map(|r| r.path) == route)
        };
        let routed = template.and_then(|_| of(template, method));
        // What no route matches has a row for each method.
        routed.or_else(|| of(None, method)).or_else(|| of(None, OTHER_METHOD)).unwrap_or_default()
    }

    /// The row of what could not be read as a request.
    pub(super) fn unreadable(&self) -> Option<&RouteRow> {
        self.rows.iter().find(|row| row.route.is_none() && row.method == OTHER_METHOD)
    }

    /// The row with this index.
    pub(super) fn row(&self, index: usize) -> Option<&RouteRow> {
        self.rows.get(index)
    }

    /// The methods that `path` knows, for the `Allow` of a 405.
    pub(super) fn methods(&self, path: &str) -> String {
        let template = self.template(path);
        let same = self.routes.iter().filter(|route| Some(route.path) == template);
        same.map(|route| route.method).collect::<Vec<_>>().join(", ")
    }

    /// The template that a path matches: a literal one before one with parameters, as routers have it.
    fn template(&self, path: &str) -> Option<&'static str> {
        let literal = self.routes.iter().find(|route| route.path == path);
        literal.or_else(|| self.routes.iter().find(|route| matches(route.path, path))).map(|route| route.path)
    }
}

impl RouteRow {
    fn new(method: &'static str, route: Option<&'static Route>, answers: Vec<u16>) -> Self {
        let path = route.map_or(OTHER_ROUTE, |route| route.path);
        let span_name = match route {
            Some(route) => format!("{method} {}", route.path),
            None if method == OTHER_METHOD => "HTTP".to_owned(),
            None => method.to_owned(),
        };
        let series =
            |status| metrics::histogram!(names::HTTP_SERVER_DURATION, &server_labels(method, path, status));
        Self {
            route,
            method,
            span_name,
            active: metrics::gauge!(names::HTTP_SERVER_ACTIVE, &route_labels(method, path)),
            durations: answers.into_iter().map(|status| (status, series(status))).collect(),
        }
    }

    /// The route as it stands in labels.
    pub(super) fn path(&self) -> &'static str {
        self.route.map_or(OTHER_ROUTE, |route| route.path)
    }

    /// Counts a request as active until the answer drops this, cancelled requests included.
    pub(super) fn begin(&self) -> ActiveRequest {
        self.active.increment(1.0);
        ActiveRequest(self.active.clone())
    }

    /// Observes an answer.
    pub(super) fn observe(&self, status: StatusCode, took: Duration) {
        let (status, seconds) = (status.as_u16(), took.as_secs_f64());
        match self.durations.iter().find(|(known, _)| *known == status) {
            Some((_, histogram)) => histogram.record(seconds),
            // A status of the framework's own, such as 414: rare, and looked up.
            None => {
                let labels = server_labels(self.method, self.path(), status);
                metrics::histogram!(names::HTTP_SERVER_DURATION, &labels).record(seconds);
            }
        }
    }
}

/// Request that is being served, as the gauge counts it.
pub(super) struct ActiveRequest(Gauge);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Whether `path` is `template` with each `{parameter}` filled by one non-empty segment.
fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let filled = template.split('/').all(|part| match segments.next() {
        Some(segment) if part.starts_with('{') => !segment.is_empty(),
        segment => segment == Some(part),
    });
    filled && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &[Route] = &[
        Route { method: "GET", path: "/api/orders", statuses: &[200] },
        Route { method: "POST", path: "/api/orders", statuses: &[201] },
        Route { method: "GET", path: "/api/orders/{id}", statuses: &[200] },
        Route { method: "POST", path: "/api/orders/validate", statuses: &[200] },
        Route { method: "PATCH", path: "/api/orders/{id}/status", statuses: &[200] },
    ];

    #[test]
    fn a_request_is_named_by_the_route_that_the_router_takes() {
        let table = RouteTable::new(ROUTES);
        let name = |method: &str, path: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
            table.row(table.find(&method, path)).map(|row| row.span_name.as_str())
        };
        for (method, path, expected) in [
            ("GET", "/api/orders", "GET /api/orders"),
            ("POST", "/api/orders", "POST /api/orders"),
            ("GET", "/api/orders/7", "GET /api/orders/{id}"),
            ("POST", "/api/orders/validate", "POST /api/orders/validate"),
            ("PATCH", "/api/orders/7/status", "PATCH /api/orders/{id}/status"),
            // The literal path is another resource, which does not know the method.
            ("GET", "/api/orders/validate", "GET"),
            ("DELETE", "/api/orders", "DELETE"),
            ("GET", "/api/orders/", "GET"),
            ("GET", "/api/orders/7/", "GET"),
            ("GET", "/api/orders//status", "GET"),
            ("GET", "/api", "GET"),
            ("GET", "", "GET"),
            ("HEAD", "/api/orders/7", "HEAD /api/orders/{id}"),
            ("HEAD", "/api/orders/validate", "HEAD"),
            ("BREW", "/api/orders", "HTTP"),
        ] {
            assert_eq!(name(method, path), Some(expected), "{method} {path}");
        }
    }

    #[test]
    fn a_refused_method_is_answered_with_those_the_path_knows() {
        let table = RouteTable::new(ROUTES);
        assert_eq!(table.methods("/api/orders"), "GET, POST");
        assert_eq!(table.methods("/api/orders/validate"), "POST");
        assert_eq!(table.methods("/api/orders/7"), "GET");
        assert_eq!(table.methods("/nothing"), "");
    }
}
