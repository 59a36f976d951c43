//! One integration binary: each file is a subject, each test a sentence. See CONTRIBUTING.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test says so by failing"
)]
#![allow(unreachable_pub, reason = "what subjects share is theirs alone anyway")]

mod alerts;
mod api;
mod backends;
mod bench;
mod chaos;
mod clock;
mod completions;
mod config_file;
mod conformance;
mod console;
mod console_archive;
mod console_lab;
mod console_metrics;
mod console_traces;
mod dashboards;
mod deploy;
mod docs;
mod doctor;
mod examples;
mod exemplars;
mod export;
mod exporters;
mod failures;
mod faults;
mod full_disk;
mod helpers;
mod hosts;
mod jaeger;
mod keep;
mod lambda;
mod late_commit;
mod load;
mod log_output;
mod logs;
mod manners;
mod memory;
mod metrics;
mod names;
mod otlp;
mod otlp_memory;
mod otlp_port;
mod pgbouncer;
mod postgres;
mod protocols;
mod queue;
mod readme;
mod redis;
mod registry;
mod release;
mod scale;
mod scenarios;
mod schema;
mod settings;
mod shutdown;
mod signals;
mod sqs;
mod stack;
mod traces;
mod up;
mod up_detached;
mod verify;
