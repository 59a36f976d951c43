//! Latency at a steady rate and the time to drain a backlog, through the worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use o11y_lab::config::QueueConfig;
use o11y_lab::queue::worker::{self, Handler, HandlerError, Policy};
use o11y_lab::queue::{self, Message, Queue};
use o11y_lab::runtime::Shutdown;
use tokio::sync::Notify;

use crate::helpers::block_on;
use crate::helpers::brokers::{Broker, Settings, fresh_queue};
use crate::raw;
use crate::row::{self, Row};

/// Messages a second, and for how long.
const RATE: u32 = 500;
const STEADY: Duration = Duration::from_secs(10);
/// As many as the relay hands over at once.
const BATCH: usize = 100;

pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
}

/// A fresh queue of a broker.
pub struct Subject<'a> {
    transport: &'static str,
    broker: &'a dyn Broker,
    settings: Settings,
    config: QueueConfig,
}

impl<'a> Subject<'a> {
    pub fn new(transport: &'static str, broker: &'a dyn Broker, visibility: Duration) -> Self {
        let settings = broker.settings(&fresh_queue());
        let visibility_ms = u64::try_from(visibility.as_millis()).unwrap();
        let config = row::config(&Row { name: transport, visibility_ms, ..Row::DEFAULT }, &settings);
        Self { transport, broker, settings, config }
    }

    async fn open(&self) -> Arc<dyn Queue> {
        queue::open(&self.config, self.broker.data_dir()).await.expect("the queue opens")
    }

    /// From when a message was due to be published until its handler ended.
    pub fn latency(&self) -> Latency {
        let epoch = Instant::now();
        let count = usize::try_from(RATE * STEADY.as_secs() as u32).unwrap();
        let seen = Arc::new(Seen::new(count, epoch));
        std::thread::scope(|scope| {
            // Two threads as two processes would be.
            scope.spawn(|| block_on(self.consume(seen.clone())));
            scope.spawn(|| block_on(self.publish_steadily(count, epoch)));
        });
        let mut times = std::mem::take(&mut *seen.times.lock().unwrap());
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        Latency { p50: at(0.5), p99: at(0.99) }
    }

    async fn publish_steadily(&self, count: usize, epoch: Instant) {
        let queue = self.open().await;
        let (mut sent, start) = (0, epoch.elapsed() + Duration::from_secs(1));
        let due_at = |n: usize| start + Duration::from_secs(1) * u32::try_from(n).unwrap() / RATE;
        while sent < count {
            // All that is due, as the relay would find it in the outbox.
            let now = epoch.elapsed();
            let due: Vec<_> = (sent..count).take_while(|n| due_at(*n) <= now).take(BATCH).collect();
            if due.is_empty() {
                tokio::time::sleep(due_at(sent) - now).await;
                continue;
            }
            let batch: Vec<_> = due.iter().map(|n| message(*n, due_at(*n))).collect();
            queue.publish(&batch).await.expect("published");
            sent += due.len();
        }
        queue.close().await;
    }

    /// Messages a second through the worker with a handler that does nothing, from the first on: the
    /// bare client is not timed while it connects or joins a group either.
    pub fn drained(&self, backlog: usize) -> f64 {
        block_on(async {
            self.fill(backlog).await;
            let began = Instant::now();
            let seen = Arc::new(Seen::new(backlog, began));
            self.consume(seen.clone()).await;
            let first = seen.times.lock().unwrap().iter().min().copied().unwrap_or_default();
            backlog as f64 / (began.elapsed() - first).as_secs_f64()
        })
    }

    /// Messages a second through the bare client.
    pub fn drained_bare(&self, backlog: usize) -> f64 {
        let concurrency = self.config.queue_concurrency;
        block_on(async {
            if self.transport == "embedded" {
                return raw::embedded(self.broker.data_dir(), backlog, concurrency);
            }
            self.fill(backlog).await;
            match self.transport {
                "redis" => raw::redis(&self.settings, backlog, concurrency).await,
                "rabbitmq" => raw::rabbitmq(&self.settings, backlog, concurrency).await,
                #[cfg(feature = "kafka")]
                "kafka" => raw::kafka(&self.settings, backlog, concurrency).await,
                "sqs" => raw::sqs(&self.config, backlog).await,
                other => panic!("there is no bare client for {other}"),
            }
        })
    }

    async fn fill(&self, backlog: usize) {
        let queue = self.open().await;
        let all: Vec<_> = (0..backlog).map(|n| message(n, Duration::ZERO)).collect();
        for batch in all.chunks(BATCH) {
            queue.publish(batch).await.expect("published");
        }
        queue.close().await;
    }

    async fn consume(&self, seen: Arc<Seen>) {
        let shutdown = Shutdown::new(Duration::from_secs(10));
        let policy = Policy::from(&self.config);
        let worker = worker::run(self.open().await, seen.clone(), policy, shutdown.clone());
        let stop = async {
            seen.all.notified().await;
            shutdown.begin();
        };
        // The end of the worker is part of it: by then everything is settled.
        tokio::join!(worker, stop);
    }
}

/// A handler that only notes when it was called.
struct Seen {
    epoch: Instant,
    left: AtomicUsize,
    times: Mutex<Vec<Duration>>,
    all: Notify,
}

impl Seen {
    fn new(count: usize, epoch: Instant) -> Self {
        let times = Mutex::new(Vec::with_capacity(count));
        Self { epoch, left: AtomicUsize::new(count), times, all: Notify::new() }
    }
}

#[async_trait]
impl Handler for Seen {
    async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        let due: u64 = std::str::from_utf8(&message.body).unwrap().parse().unwrap();
        self.times.lock().unwrap().push(self.epoch.elapsed().saturating_sub(Duration::from_nanos(due)));
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.all.notify_one();
        }
        Ok(())
    }
}

/// A key of its own for each, so that no transport has an order to keep.
fn message(n: usize, due: Duration) -> Message {
    let traceparent = format!("00-{:032x}-{:016x}-01", n + 1, n + 1);
    Message {
        id: uuid::Uuid::now_v7().to_string(),
        key: n.to_string(),
        headers: BTreeMap::from([("traceparent".to_owned(), traceparent)]),
        body: due.as_nanos().to_string().into_bytes(),
    }
}
