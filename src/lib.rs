//! A distributed-observability lab: five services in one executable, and the commands that start
//! them, load them, break them and verify what the telemetry backends received.
//!
//! Read the modules in this order; imports point down the list, never up, and roles never import
//! roles:
//!
//! 1. [`cli`] what a person can start, and what one run of it does
//! 2. [`roles`] the five services, each a router over the shared runtime
//! 3. [`console`] the built-in viewer of traces, metrics and logs
//! 4. [`lab`] the commands that work on the system from outside; readers of telemetry backends
//! 5. [`store`] users, orders with their outbox, notifications
//! 6. [`queue`] one trait, one worker, one relay, and the transports
//! 7. [`api`] the wire contract: types, rules, typed clients
//! 8. [`runtime`] telemetry, HTTP in and out, health, shutdown
//! 9. [`sqlite`] files of SQLite, each with a thread of its own
//! 10. [`config`] every setting; [`schema`] every name; [`exposition`] and [`otlp`], what telemetry is written in; `terminal` and `lines`

pub mod api;
pub mod cli;
pub mod config;
pub mod console;
pub mod exposition;
pub mod lab;
mod lines;
pub mod otlp;
pub mod queue;
pub mod roles;
pub mod runtime;
pub mod schema;
pub mod sqlite;
pub mod store;
mod terminal;
