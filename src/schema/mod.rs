//! The names everybody agrees on, as data: services, ports, metrics, faults.
//!
//! Code, tests, dashboards, compose and Terraform are checked against these tables, so a name
//! stands here once. Label values are closed sets: a value that is not listed is never exposed.

pub mod faults;
mod metrics;

pub use faults::{Checked, FAULT_ATTRIBUTE, FAULT_NAMES, FAULTS, Fault, Parameter, SECONDS, Values};
pub use metrics::{Kind, Label, METRICS, Metric, names};

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
    /// The port it listens on unless told otherwise.
    pub port: u16,
    /// The services it calls; `up` starts those first.
    pub needs: &'static [Role],
    /// Whether it keeps a database of its own.
    pub store: bool,
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
        port: 3000,
        needs: &[Role::User, Role::Order, Role::Lambda],
        store: false,
        queue: QueueUse::None,
        about: "the only public entry; validates orders through the Lambda, calls user and order",
    },
    Service {
        role: Role::User,
        command: "user",
        name: "user-service",
        port: 3001,
        needs: &[],
        store: true,
        queue: QueueUse::None,
        about: "users: create, list, read",
    },
    Service {
        role: Role::Order,
        command: "order",
        name: "order-service",
        port: 3002,
        needs: &[Role::User],
        store: true,
        queue: QueueUse::Publishes,
        about: "orders: create, list, read, change status; publishes to the queue",
    },
    Service {
        role: Role::Notify,
        command: "notify",
        name: "notification-service",
        port: 3003,
        needs: &[],
        store: true,
        queue: QueueUse::Consumes,
        about: "consumes the queue, sends notifications, receives Alertmanager's webhooks",
    },
    Service {
        role: Role::Lambda,
        command: "lambda",
        name: "order-validator",
        port: 3004,
        needs: &[],
        store: false,
        queue: QueueUse::None,
        about: "AWS Lambda order validator; locally the same handler behind the Invoke API",
    },
];

/// The first port of the lab; a service's port is this plus its place in [`SERVICES`].
pub const PORT_BASE: u16 = 3000;
/// The console's page and read-only API.
pub const CONSOLE_PORT: u16 = 3005;
/// The console's OTLP/HTTP receiver, as the OpenTelemetry specification has it.
pub const OTLP_PORT: u16 = 4318;

/// The ports of one lab, derived from `--port-base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    base: u16,
}

impl Ports {
    /// Ports counted from `base`; the default base keeps OTLP on its standard port.
    pub fn from_base(base: u16) -> Self {
        Self { base }
    }

    /// The port of a role.
    pub fn of(self, role: Role) -> u16 {
        self.base.saturating_add(role as u16)
    }

    /// The console's port.
    pub fn console(self) -> u16 {
        self.base.saturating_add(CONSOLE_PORT - PORT_BASE)
    }

    /// The port of the Prometheus that `up` runs if asked.
    pub fn prometheus(self) -> u16 {
        self.base.saturating_add(7)
    }

    /// The port of the Alertmanager that `up` runs if asked.
    pub fn alertmanager(self) -> u16 {
        self.base.saturating_add(8)
    }

    /// The OTLP/HTTP port: 4318 on the default base, base + 6 on any other.
    pub fn otlp(self) -> u16 {
        if self.base == PORT_BASE { OTLP_PORT } else { self.base.saturating_add(6) }
    }
}

/// The methods that stand in labels and span names as they are; any other is [`OTHER_METHOD`].
pub const KNOWN_METHODS: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
/// A method that is none of the known ones, as the HTTP conventions spell it.
pub const OTHER_METHOD: &str = "_OTHER";
/// The route of a request that matched none.
pub const OTHER_ROUTE: &str = "other";

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
        let body: &[u16] = if self.method == "GET" { &[] } else { &[400, 413, 415] };
        let mut all = [self.statuses, body, &[500, 503, 504]].concat();
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
    fn the_service_table_is_indexed_by_role_and_its_ports_follow_the_base() {
        for (i, service) in SERVICES.iter().enumerate() {
            assert_eq!(service.role as usize, i);
            assert_eq!(service.port, PORT_BASE + i as u16);
            assert_eq!(Ports::from_base(PORT_BASE).of(service.role), service.port);
        }
        assert_eq!(Ports::from_base(PORT_BASE).otlp(), 4318);
        assert_eq!(Ports::from_base(7000).otlp(), 7006);
        assert_eq!(Ports::from_base(7000).console(), 7005);
    }
}
