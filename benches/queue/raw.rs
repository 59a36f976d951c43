//! The bare clients: receive, settle, nothing else. Each returns messages a second.

use std::path::Path;
use std::time::Instant;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use fred::interfaces::{ClientLike, StreamsInterface};
use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::{Connection, ConnectionProperties};
use o11y_lab::config::QueueConfig;

use crate::helpers::brokers::Settings;

fn of<'a>(settings: &'a Settings, name: &str) -> &'a str {
    &settings.iter().find(|(known, _)| *known == name).expect("a setting").1
}

/// A table of its own in the same way: a read of some rows, then a delete for each of them.
pub fn embedded(folder: &Path, backlog: usize, concurrency: usize) -> f64 {
    let db = rusqlite::Connection::open(folder.join("bare.db")).expect("a database");
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE messages (seq INTEGER PRIMARY KEY, id TEXT, headers TEXT, body BLOB)",
    )
    .expect("a table");
    db.execute(
        "INSERT INTO messages WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         SELECT i, 'id-' || i, hex(randomblob(40)), randomblob(20) FROM n",
        [i64::try_from(backlog).unwrap()],
    )
    .expect("rows");
    let select = "SELECT seq, id, headers, body FROM messages ORDER BY seq LIMIT ?1";
    let mut select = db.prepare(select).expect("a statement");
    let mut delete = db.prepare("DELETE FROM messages WHERE seq = ?1").expect("a statement");
    let (began, mut left) = (Instant::now(), backlog);
    while left > 0 {
        let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(i64, String, String, Vec<u8>)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let rows = select.query_map([i64::try_from(concurrency).unwrap()], read).expect("rows");
        let rows: Vec<_> = rows.collect::<Result<_, _>>().expect("rows");
        for (seq, ..) in &rows {
            delete.execute([seq]).expect("deleted");
        }
        left -= rows.len();
    }
    backlog as f64 / began.elapsed().as_secs_f64()
}

type Read = Option<Vec<(String, Vec<(String, Vec<(String, fred::types::Value)>)>)>>;

pub async fn redis(settings: &Settings, backlog: usize, concurrency: usize) -> f64 {
    let config = fred::types::config::Config::from_url(of(settings, "REDIS_URL")).expect("a URL");
    let client = fred::clients::Client::new(config, None, None, None);
    client.init().await.expect("connected");
    let stream = format!("o11y-lab:{{{}}}", of(settings, "QUEUE_NAME"));
    let () = client.xgroup_create(&stream, "bare", "0", false).await.expect("a group");
    let (began, mut left) = (Instant::now(), backlog);
    while left > 0 {
        let count = u64::try_from(concurrency).ok();
        let read: Read =
            client.xreadgroup("bare", "one", count, None, false, &stream, ">").await.expect("entries");
        let entries: Vec<_> = read.into_iter().flatten().flat_map(|(_, entries)| entries).collect();
        let acks = entries.iter().map(|(id, _)| client.xack::<u64, _, _, _>(&stream, "bare", id.as_str()));
        for acked in join_all(acks).await {
            acked.expect("acknowledged");
        }
        left -= entries.len();
    }
    let rate = backlog as f64 / began.elapsed().as_secs_f64();
    client.quit().await.expect("closed");
    rate
}

pub async fn rabbitmq(settings: &Settings, backlog: usize, concurrency: usize) -> f64 {
    let uri = of(settings, "AMQP_URL");
    let connection = Connection::connect(uri, ConnectionProperties::default()).await.expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    let prefetch = u16::try_from(concurrency).unwrap();
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.expect("a prefetch count");
    let queue = of(settings, "QUEUE_NAME");
    let consumer = channel.basic_consume(
        queue.into(),
        "bare".into(),
        BasicConsumeOptions::default(),
        lapin::types::FieldTable::default(),
    );
    let mut consumer = consumer.await.expect("a consumer");
    let began = Instant::now();
    let mut left = backlog;
    while left > 0 {
        let mut deliveries = Vec::with_capacity(concurrency);
        while deliveries.len() < concurrency.min(left) {
            deliveries.push(consumer.next().await.expect("a delivery").expect("a delivery"));
        }
        for acked in join_all(deliveries.iter().map(|one| one.ack(BasicAckOptions::default()))).await {
            acked.expect("acknowledged");
        }
        left -= deliveries.len();
    }
    let rate = backlog as f64 / began.elapsed().as_secs_f64();
    connection.close(200, "done".into()).await.expect("closed");
    rate
}

pub async fn sqs(config: &QueueConfig, backlog: usize) -> f64 {
    let url = config.broker.sqs_queue_url.clone().expect("a URL");
    let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let http = aws_smithy_http_client::Builder::new().build_http();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(origin)
        .region("us-east-1")
        .credentials_provider(aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "bench"))
        .load()
        .await;
    let client = aws_sdk_sqs::Client::new(&shared);
    let (began, mut left) = (Instant::now(), backlog);
    while left > 0 {
        let received = client.receive_message().queue_url(&url).max_number_of_messages(10);
        let received = received.message_attribute_names("All").send().await.expect("an answer");
        let entry = |(n, message): (usize, &aws_sdk_sqs::types::Message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
            entry.set_receipt_handle(message.receipt_handle.clone()).build().expect("an entry")
        };
        let entries: Vec<_> = received.messages().iter().enumerate().map(entry).collect();
        if !entries.is_empty() {
            let delete = client.delete_message_batch().queue_url(&url).set_entries(Some(entries));
            delete.send().await.expect("deleted");
        }
        left -= received.messages().len();
    }
    backlog as f64 / began.elapsed().as_secs_f64()
}

/// Commits once for as many messages as the worker has in flight.
#[cfg(feature = "kafka")]
pub async fn kafka(settings: &Settings, backlog: usize, concurrency: usize) -> f64 {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};

    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", of(settings, "KAFKA_BROKERS"))
        .set("group.id", "bare")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[of(settings, "QUEUE_NAME")]).expect("subscribed");
    // To join a group takes seconds, and is not what is measured.
    consumer.recv().await.expect("a message");
    let began = Instant::now();
    for taken in 1..backlog {
        consumer.recv().await.expect("a message");
        if taken % concurrency == 0 {
            consumer.commit_consumer_state(CommitMode::Async).expect("committed");
        }
    }
    backlog as f64 / began.elapsed().as_secs_f64()
}
