//! One integration binary: each file is a subject, each test a sentence. See CONTRIBUTING.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by failing")]
#![allow(unreachable_pub, reason = "what subjects share is theirs alone anyway")]

mod api;
mod docs;
mod helpers;
mod lambda;
mod logs;
mod metrics;
mod postgres;
mod queue;
mod shutdown;
mod traces;
mod up;
