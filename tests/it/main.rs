//! One integration binary: each file is a subject, each test a sentence. See CONTRIBUTING.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by failing")]

mod api;
mod conformance;
mod helpers;
mod logs;
mod metrics;
mod queue;
mod shutdown;
mod traces;
