//! How much is kept, and for how long, of what would otherwise grow for ever.

use std::time::Duration;

use clap::Args;
use clap::builder::RangedI64ValueParser;

use super::duration::{BareUnit, duration};

/// What the services keep of notifications, alerts and the keys of repeated requests.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Retention (order, notify)")]
pub struct RetentionConfig {
    /// Longest time that notifications, alerts and orders' idempotency keys are kept, such as 12h or 7d
    #[arg(long, env = "RETENTION_AGE", value_name = "TIME", default_value = "7d", value_parser = age)]
    pub retention_age: Duration,
    /// Most of each that are kept; the oldest go first
    #[arg(long, env = "RETENTION_ROWS", value_name = "N", default_value = "1000000", value_parser = count())]
    pub retention_rows: i64,
    /// Most bytes of each that are kept
    #[arg(long, env = "RETENTION_BYTES", value_name = "N", default_value = "268435456", value_parser = count())]
    pub retention_bytes: i64,
}

/// What the queue keeps of dead letters. On rabbitmq, sqs and kafka the broker's own policies say that.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeadLetterConfig {
    /// Longest time that dead letters are kept (embedded, redis)
    #[arg(long, env = "DEAD_LETTER_AGE", value_name = "TIME", default_value = "14d", value_parser = age)]
    pub dead_letter_age: Duration,
    /// Most dead letters that are kept, a few more for a while (embedded, redis)
    #[arg(long, env = "DEAD_LETTER_ROWS", value_name = "N", default_value = "10000", value_parser = count())]
    pub dead_letter_rows: i64,
    /// Most bytes of dead letters that are kept (embedded)
    #[arg(long, env = "DEAD_LETTER_BYTES", value_name = "N", default_value = "268435456", value_parser = count())]
    pub dead_letter_bytes: i64,
}

fn count() -> RangedI64ValueParser<i64> {
    RangedI64ValueParser::new().range(1..=1_000_000_000_000)
}

/// At least a second, at most ten years; a bare number is seconds.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let years = Duration::from_secs(10 * 365 * 86_400);
    let read = duration(text, BareUnit::Seconds).filter(|age| (Duration::from_secs(1)..=years).contains(age));
    read.ok_or_else(|| "expected a time such as 12h or 7d, at most 3650d".into())
}
