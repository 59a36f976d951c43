//! The names everybody agrees on, as data: services, ports, metrics, faults, and all that telemetry says.
//!
//! Code, tests, dashboards, compose and Terraform are checked against these tables, so a name
//! stands here once. Label values are closed sets: a value that is not listed is never exposed.

pub mod faults;
mod metrics;
mod otlp;
pub mod registry;
mod slo;

pub use faults::{
    Checked, FAULT_ATTRIBUTE, FAULT_ENDS, FAULT_NAMES, FAULT_SET, FAULTS, Fault, Parameter, SECONDS, Values,
};
pub use metrics::{Label, METRICS, Metric, MetricKind, PROCESS_HELP, names};
pub use otlp::{INTEGER_KEYS, OTLP_METRICS, OtlpKind, OtlpMetric};
pub use slo::{AVAILABILITY, BurnPage, Objective};

use std::fmt;

/// The five parts a process of this program can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Role {
    /// The only public entry.
    Gateway,
    /// Users: create, list, read.
    User,
    /// Orders and the outbox.
    Order,
    /// The queue's consumer.
    Notify,
    /// The order validator, an AWS Lambda function.
    Lambda,
}

impl Role {
    /// The row of [`SERVICES`] that describes this role.
    pub fn service(self) -> &'static Service {
        &SERVICES[self as usize]
    }

    /// The subcommand, which is also the value of `O11Y_LAB_ROLE`.
    pub fn as_str(self) -> &'static str {
        self.service().command
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of the service table.
#[derive(Debug)]
pub struct Service {
    /// The role this row describes.
    pub role: Role,
    /// The subcommand.
    pub command: &'static str,
    /// `service.name` in traces, `service` in logs, `job` in metrics.
    pub name: &'static str,
    /// Its port, counted from the lab's first one; see [`Ports`].
    pub port_offset: u16,
    /// The services it calls; `up` starts those first.
    pub needs: &'static [Role],
    /// The variable that tells other services where it is, where one calls it.
    pub url_variable: Option<&'static str>,
    /// Its place when the whole lab drains: those who give work stop before those who take it.
    pub drain_place: usize,
    /// The SQLite file of a service that keeps rows of its own.
    pub store: Option<&'static str>,
    /// What it does with the queue.
    pub queue: QueueUse,
    /// One line for `--help` and the table that `up` prints.
    pub about: &'static str,
}

/// What a service does with the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueUse {
    /// Nothing.
    None,
    /// It publishes.
    Publishes,
    /// It consumes.
    Consumes,
}

/// Every service, indexed by [`Role`].
pub static SERVICES: [Service; 5] = [
    Service {
        role: Role::Gateway,
        command: "gateway",
        name: "api-gateway",
        port_offset: 0,
        needs: &[Role::User, Role::Order, Role::Lambda],
        url_variable: None,
        drain_place: 0,
        store: None,
        queue: QueueUse::None,
        about: "the only public entry; validates orders through the Lambda, calls user and order",
    },
    Service {
        role: Role::User,
        command: "user",
        name: "user-service",
        port_offset: 1,
        needs: &[],
        url_variable: Some("USER_SERVICE_URL"),
        drain_place: 2,
        store: Some("users.db"),
        queue: QueueUse::None,
        about: "users: create, list, read",
    },
    Service {
        role: Role::Order,
        command: "order",
        name: "order-service",
        port_offset: 2,
        needs: &[Role::User],
        url_variable: Some("ORDER_SERVICE_URL"),
        drain_place: 1,
        store: Some("orders.db"),
        queue: QueueUse::Publishes,
        about: "orders: create, list, read, change status; publishes to the queue",
    },
    Service {
        role: Role::Notify,
        command: "notify",
        name: "notification-service",
        port_offset: 3,
        needs: &[],
        url_variable: None,
        drain_place: 4,
        store: Some("notifications.db"),
        queue: QueueUse::Consumes,
        about: "consumes the queue, sends notifications, receives Alertmanager's webhooks",
    },
    Service {
        role: Role::Lambda,
        command: "lambda",
        name: "order-validator",
        port_offset: 4,
        needs: &[],
        url_variable: Some("AWS_ENDPOINT_URL_LAMBDA"),
        drain_place: 3,
        store: None,
        queue: QueueUse::None,
        about: "AWS Lambda order validator; locally the same handler behind the Invoke API",
    },
];

impl Service {
    /// The port it listens on unless told otherwise.
    pub fn port(&self) -> u16 {
        PORT_BASE + self.port_offset
    }
}

/// The first port of the lab unless told otherwise.
pub const PORT_BASE: u16 = 3000;

/// What listens beside the services: the console and the backends that `up` runs if asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The console's page and read-only API.
    Console,
    /// The console's OTLP/HTTP receiver.
    Otlp,
    /// Prometheus.
    Prometheus,
    /// Alertmanager.
    Alertmanager,
    /// The console's OTLP/gRPC receiver.
    OtlpGrpc,
}

/// One row of the endpoint table.
struct EndpointPort {
    endpoint: Endpoint,
    /// Counted from the lab's first port, as [`Service::port_offset`].
    offset: u16,
    /// Its port on the default base, where a standard gives it one.
    standard: Option<u16>,
}

/// OTLP has port 4318 over HTTP and 4317 over gRPC by the OpenTelemetry protocol's specification.
const ENDPOINTS: [EndpointPort; 5] = [
    EndpointPort { endpoint: Endpoint::Console, offset: 5, standard: None },
    EndpointPort { endpoint: Endpoint::Otlp, offset: 6, standard: Some(4318) },
    EndpointPort { endpoint: Endpoint::Prometheus, offset: 7, standard: None },
    EndpointPort { endpoint: Endpoint::Alertmanager, offset: 8, standard: None },
    EndpointPort { endpoint: Endpoint::OtlpGrpc, offset: 9, standard: Some(4317) },
];

/// The page and API of a Jaeger on its standard port, which compose publishes.
pub const JAEGER_PORT: u16 = 16_686;

/// The ports of one lab, derived from `--port-base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    base: u16,
}

impl Ports {
    /// Ports counted from `base`; the default base keeps OTLP on its standard ports.
    pub fn from_base(base: u16) -> Self {
        Self { base }
    }

    /// The port of a role.
    pub fn of(self, role: Role) -> u16 {
        self.base.saturating_add(role.service().port_offset)
    }

    /// The port of something beside the roles.
    pub fn at(self, endpoint: Endpoint) -> u16 {
        let row = ENDPOINTS.iter().find(|row| row.endpoint == endpoint);
        match row.and_then(|row| row.standard) {
            Some(port) if self.base == PORT_BASE => port,
            _ => self.base.saturating_add(row.map_or(0, |row| row.offset)),
        }
    }
}

/// The methods that stand in labels and span names as they are; any other is [`OTHER_METHOD`].
pub const KNOWN_METHODS: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
/// A method that is none of the known ones, as the HTTP conventions spell it.
pub const OTHER_METHOD: &str = "_OTHER";
/// The route of a request that matched none.
pub const OTHER_ROUTE: &str = "other";
/// Status of a request whose client went away before the answer. No registry has it; proxies log it.
pub const CLIENT_CLOSED_REQUEST: u16 = 499;

/// One HTTP route of a role: what the router serves and what the metrics may be labelled with.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The route template, as in `http.route`.
    pub path: &'static str,
    /// The status codes it answers beside those of every route; see [`Route::answers`].
    pub statuses: &'static [u16],
}

impl Route {
    /// Every status code the route answers, once: its own, what any route may fail with, and what
    /// a body may be refused with.
    pub fn answers(&self) -> Vec<u16> {
        let body: &[u16] = if self.method == "GET" { &[] } else { &[400, 408, 413, 415] };
        let mut all = [self.statuses, body, &[CLIENT_CLOSED_REQUEST, 500, 503, 504]].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether the route belongs to the platform and not to the application: the Lambda Invoke API
    /// is AWS's surface, so its requests make no SERVER span of ours; the invocation does.
    pub fn is_internal(&self) -> bool {
        self.path.starts_with("/2015-03-31/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_indexed_by_role_and_endpoint_and_ports_follow_the_base() {
        for (i, service) in SERVICES.iter().enumerate() {
            assert_eq!(service.role as usize, i);
            assert_eq!(Ports::from_base(PORT_BASE).of(service.role), service.port());
        }
        for (i, row) in ENDPOINTS.iter().enumerate() {
            assert_eq!(row.endpoint as usize, i);
        }
        assert_eq!(Ports::from_base(PORT_BASE).at(Endpoint::Otlp), 4318);
        assert_eq!(Ports::from_base(7000).at(Endpoint::Otlp), 7006);
        assert_eq!(Ports::from_base(PORT_BASE).at(Endpoint::OtlpGrpc), 4317);
        assert_eq!(Ports::from_base(7000).at(Endpoint::OtlpGrpc), 7009);
        assert_eq!(Ports::from_base(7000).at(Endpoint::Console), 7005);
    }

    #[test]
    fn no_two_parts_of_a_lab_share_a_port_or_a_place_in_the_drain() {
        let offsets = SERVICES.iter().map(|s| s.port_offset).chain(ENDPOINTS.iter().map(|e| e.offset));
        let offsets: Vec<_> = offsets.collect();
        let places: Vec<_> = SERVICES.iter().map(|service| service.drain_place).collect();
        for all in [offsets.iter().map(|o| usize::from(*o)).collect(), places] {
            let distinct: std::collections::BTreeSet<_> = all.iter().collect();
            assert_eq!(distinct.len(), all.len(), "{all:?}");
        }
    }
}
