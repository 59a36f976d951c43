//! The rows: every fault, its parameters, the roles that can have it.

use super::super::Role;
use super::{Fault, Parameter, Values};

/// See [`FAULTS`].
pub const LATENCY: &str = "latency";
/// See [`FAULTS`].
pub const ERROR: &str = "error";
/// See [`FAULTS`].
pub const SLOW_DB: &str = "slow-db";
/// See [`FAULTS`].
pub const CONSUMER_STALL: &str = "consumer-stall";
/// See [`FAULTS`].
pub const HANDLER_ERROR: &str = "handler-error";
/// See [`FAULTS`].
pub const POISON: &str = "poison";
/// See [`FAULTS`].
pub const DROP_CONTEXT: &str = "drop-context";
/// See [`FAULTS`].
pub const PUBLISH_ERROR: &str = "publish-error";
/// See [`FAULTS`].
pub const POOL_LEAK: &str = "pool-leak";
/// See [`FAULTS`].
pub const CLOCK_SKEW: &str = "clock-skew";
/// See [`FAULTS`].
pub const USER_OUTAGE: &str = "user-outage";
/// See [`FAULTS`].
pub const SLOW_NETWORK: &str = "slow-network";
/// See [`FAULTS`].
pub const REPEATED_QUERY: &str = "repeated-query";
/// See [`FAULTS`].
pub const RETRY_STORM: &str = "retry-storm";
/// See [`FAULTS`].
pub const DEPLOY: &str = "deploy";
/// See [`FAULTS`].
pub const SLOW_START: &str = "slow-start";
/// See [`FAULTS`].
pub const MEMORY_GROWTH: &str = "memory-growth";
/// See [`FAULTS`].
pub const CPU_BURN: &str = "cpu-burn";
/// See [`FAULTS`].
pub const LOG_FLOOD: &str = "log-flood";

/// The version that a role says it runs under [`DEPLOY`].
pub const NEXT_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+next");

/// The most that [`MEMORY_GROWTH`] takes, in MiB: with it a role stays within the limit that it has in
/// `compose.yaml`.
pub const MOST_MEMORY_MIB: usize = 24;

/// How long a fault lasts; every fault has it, so that none is forgotten.
pub static SECONDS: Parameter = Parameter {
    name: "seconds",
    meaning: "until it ends by itself, in seconds",
    values: Values::Whole { min: 1, max: 3600, default: 60 },
};

pub(super) const MS: Parameter = Parameter {
    name: "ms",
    meaning: "time added, in milliseconds",
    values: Values::Whole { min: 1, max: 60_000, default: 500 },
};
const RATIO: Parameter =
    Parameter { name: "ratio", meaning: "share of those it could hit", values: Values::Ratio };
const ROUTE: Parameter = Parameter {
    name: "route",
    meaning: "only requests of this route; without it of all",
    values: Values::Route,
};
/// Each is an answer that every route is documented to have; see [`Route::answers`](super::Route::answers).
pub(super) const STATUS: Parameter = Parameter {
    name: "status",
    meaning: "status code of the answer",
    values: Values::OneOf(&[500, 503, 504]),
};
const TIMES: Parameter = Parameter {
    name: "times",
    meaning: "how often it is done again",
    values: Values::Whole { min: 1, max: 50, default: 10 },
};
const CONNECTIONS: Parameter = Parameter {
    name: "connections",
    meaning: "connections that it keeps at the most",
    values: Values::Whole { min: 1, max: 1000, default: 1000 },
};
const KIB: Parameter = Parameter {
    name: "kib",
    meaning: "memory kept for each request, in KiB",
    values: Values::Whole { min: 1, max: 1024, default: 64 },
};
const PERCENT: Parameter = Parameter {
    name: "percent",
    meaning: "share of one core, in percent",
    values: Values::Whole { min: 1, max: 95, default: 80 },
};
const LINES: Parameter = Parameter {
    name: "lines",
    meaning: "log lines each second",
    values: Values::Whole { min: 1, max: 5000, default: 500 },
};

const ALL: &[Role] = &[Role::User, Role::Gateway, Role::Order, Role::Notify, Role::Lambda];
const ORDER_FIRST: &[Role] = &[Role::Order, Role::Gateway, Role::User, Role::Notify, Role::Lambda];
const STORES: &[Role] = &[Role::Order, Role::User, Role::Notify];
const CALLERS: &[Role] = &[Role::Order, Role::Gateway];

const fn row(
    name: &'static str,
    meaning: &'static str,
    parameters: &'static [Parameter],
    roles: &'static [Role],
) -> Fault {
    Fault { name, meaning, parameters, roles }
}

/// Every fault.
pub static FAULTS: [Fault; 19] = [
    row(LATENCY, "Requests wait before they are handled", &[MS, RATIO, ROUTE], ALL),
    row(
        ERROR,
        "Requests are refused with a server error instead of being handled",
        &[RATIO, STATUS, ROUTE],
        ORDER_FIRST,
    ),
    row(
        SLOW_DB,
        "Every database operation takes longer, and fails where it then takes too long",
        &[MS],
        STORES,
    ),
    row(CONSUMER_STALL, "The consumer takes no further message from the queue", &[], &[Role::Notify]),
    row(
        HANDLER_ERROR,
        "Sending a notification fails, in a way that another attempt may get over",
        &[RATIO],
        &[Role::Notify],
    ),
    row(
        POISON,
        "The consumer cannot parse a message's body, as after a change of format it does not know yet",
        &[RATIO],
        &[Role::Notify],
    ),
    row(DROP_CONTEXT, "Messages are published without their trace context", &[RATIO], &[Role::Order]),
    row(PUBLISH_ERROR, "No message can be published: the outbox keeps them", &[], &[Role::Order]),
    row(
        POOL_LEAK,
        "Database operations of requests do not return their connection, until the pool has none left",
        &[CONNECTIONS, RATIO],
        STORES,
    ),
    row(CLOCK_SKEW, "The clock that spans are timed by is slow by so much", &[MS], ALL),
    row(
        USER_OUTAGE,
        "Requests about a share of the users fail, the same users each time",
        &[RATIO, STATUS],
        &[Role::User],
    ),
    row(
        SLOW_NETWORK,
        "Calls of other services take longer on their way, there and back",
        &[MS, RATIO],
        CALLERS,
    ),
    row(
        REPEATED_QUERY,
        "After a page of orders was read, its orders are read again one by one",
        &[TIMES],
        &[Role::Order],
    ),
    row(
        RETRY_STORM,
        "Calls that failed are repeated at once and so often, without a pause and without a budget",
        &[TIMES],
        CALLERS,
    ),
    row(
        DEPLOY,
        "The role says that it runs another version, and its requests wait before they are handled",
        &[MS, RATIO],
        ORDER_FIRST,
    ),
    row(SLOW_START, "The role is not ready and refuses requests, as while it starts", &[], ALL),
    row(MEMORY_GROWTH, "Each request leaves memory behind, up to 24 MiB in all", &[KIB], ALL),
    row(CPU_BURN, "A thread computes for nothing", &[PERCENT], ORDER_FIRST),
    row(LOG_FLOOD, "A line is logged again and again", &[LINES], ORDER_FIRST),
];

/// The names of all faults: the values of the label `fault`.
pub static FAULT_NAMES: [&str; FAULTS.len()] = {
    let mut names = [""; FAULTS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = FAULTS[i].name;
        i += 1;
    }
    names
};
