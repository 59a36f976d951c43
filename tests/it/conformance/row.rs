//! One transport under test, and handles of its queues.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::CommandFactory;
use o11y_lab::config::{Guarantees, KeyOrder, QueueConfig, TRANSPORTS};
use o11y_lab::queue::{self, Queue};

use crate::helpers::block_on;
use crate::helpers::brokers::{self, Broker, Settings, fresh_queue};

/// What a transport is, as far as cases of all of them have to know. What it promises beyond them stands
/// before its row.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// Starts a broker.
    pub start: fn() -> Box<dyn Broker>,
    /// The one of tests that leave it running.
    pub shared: &'static OnceLock<Box<dyn Broker>>,
    /// The visibility timeout of the handles.
    pub visibility_ms: u64,
    /// Further settings of the handles.
    pub more: &'static [(&'static str, &'static str)],
}

static NO_BROKER: OnceLock<Box<dyn Broker>> = OnceLock::new();

impl Row {
    /// What most brokers do; a row names where it differs.
    pub const DEFAULT: Self = Self {
        name: "",
        start: || panic!("a row says how its broker starts"),
        shared: &NO_BROKER,
        visibility_ms: 1000,
        more: &[],
    };

    /// The broker that tests share.
    pub fn broker(&self) -> &'static dyn Broker {
        brokers::shared(self.shared, self.start)
    }

    /// What the program's own table says of it.
    pub fn guarantees(&self) -> &'static Guarantees {
        let row = TRANSPORTS.iter().find(|row| row.name == self.name);
        &row.unwrap_or_else(|| panic!("no transport {}", self.name)).guarantees
    }

    /// Whether messages and dead letters keep their order.
    pub fn ordered(&self) -> bool {
        self.guarantees().order != KeyOrder::None
    }

    /// The attempt of a delivery after one that ended in a crash.
    pub fn attempt_after_a_crash(&self) -> u32 {
        if self.guarantees().crashes_count { 2 } else { 1 }
    }
}

/// A queue of one's own with two handles, as two processes would have them.
pub struct Pair {
    pub row: &'static Row,
    pub broker: &'static dyn Broker,
    pub settings: Settings,
    pub one: Arc<dyn Queue>,
    pub two: Arc<dyn Queue>,
    pub visibility_timeout: Duration,
}

impl Pair {
    /// A further handle.
    pub async fn open(&self) -> Arc<dyn Queue> {
        open(self.row, self.broker, &self.settings).await
    }
}

/// Opens a handle as a role with these environment variables would.
pub async fn open(row: &Row, broker: &dyn Broker, settings: &Settings) -> Arc<dyn Queue> {
    let config = config(row, settings);
    queue::open(&config, broker.data_dir()).await.expect("the queue opens")
}

/// The configuration that these environment variables make.
pub fn config(row: &Row, settings: &Settings) -> QueueConfig {
    #[derive(clap::Parser)]
    struct Parse {
        #[command(flatten)]
        queue: QueueConfig,
    }
    let command = Parse::command();
    let flag = |variable: &str| {
        let mut known = command.get_arguments();
        let known = known.find(|arg| arg.get_env().is_some_and(|name| name == variable));
        known.and_then(clap::Arg::get_long).map(|long| format!("--{long}"))
    };
    let mut words = vec!["test".to_owned(), format!("--queue-visibility-timeout={}", row.visibility_ms)];
    let more = row.more.iter().map(|(variable, value)| (variable, *value));
    for (variable, value) in settings.iter().map(|(variable, value)| (variable, value.as_str())).chain(more) {
        // Others are for the client's library, such as the AWS SDK's.
        words.extend(flag(variable).map(|flag| format!("{flag}={value}")));
    }
    <Parse as clap::Parser>::parse_from(words).queue
}

/// Runs a case on a fresh queue of the shared broker.
pub fn with_pair(row: &'static Row, case: impl AsyncFnOnce(&Pair)) {
    let broker = row.broker();
    let settings = broker.settings(&fresh_queue());
    block_on(async {
        let pair = Pair {
            row,
            broker,
            one: open(row, broker, &settings).await,
            two: open(row, broker, &settings).await,
            settings,
            visibility_timeout: Duration::from_millis(row.visibility_ms),
        };
        case(&pair).await;
        pair.one.close().await;
        pair.two.close().await;
    });
}
