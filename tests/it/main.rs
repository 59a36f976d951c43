//! One integration binary: each file is a subject, each test a sentence. See CONTRIBUTING.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by failing")]

mod api;
mod console;
mod docs;
mod helpers;
mod logs;
mod metrics;
mod otlp;
mod queue;
mod schema;
mod shutdown;
mod traces;
