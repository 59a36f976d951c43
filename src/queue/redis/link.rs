//! Connection to Redis that is made again after it broke.
//!
//! The client's own reconnecting keeps commands and sends them later, when no caller waits for them any
//! more. Here a broken connection fails the calls that are on it, at once, and the next call connects.

use std::path::Path;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::config::{Config, ConnectionConfig, TcpConfig};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::answers::reason;
use crate::config::Secret;
use crate::queue::QueueError;
use crate::queue::broker::{CALL_TIMEOUT, tls, unavailable, within};

/// Longest time one step of connecting may take: below a call's, so that a call which ends
/// leaves nothing behind that tries for long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Most commands that wait for the socket.
const BUFFERED: usize = 4096;

/// Link to a Redis server: its address, and the present connection.
pub(super) struct RedisLink {
    config: Config,
    live: Mutex<Option<LiveConnection>>,
}

struct LiveConnection {
    client: Client,
    /// Ends with the connection, and the connection with it.
    task: AbortOnDropHandle<Result<(), Error>>,
}

impl RedisLink {
    /// Connects to nothing yet.
    pub(super) fn new(config: Config) -> Self {
        Self { config, live: Mutex::new(None) }
    }

    /// Makes a call on the connection, bounded by `limit` plus the usual time for an answer. After a
    /// failure, whatever it was, the next call has a new connection: the old one may hang, or lead
    /// to a server that is not the primary any more.
    pub(super) async fn call<T, F>(
        &self,
        limit: Duration,
        call: impl FnOnce(Client) -> F + Send,
    ) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let mut used = None;
        let answer = within(limit + CALL_TIMEOUT, async {
            let client = self.client().await.map_err(|error| reason(&error))?;
            used = Some(client.id().to_owned());
            call(client).await.map_err(|error| reason(&error))
        })
        .await;
        if let (Err(_), Some(used)) = (&answer, used) {
            self.drop_if(&used);
        }
        answer
    }

    /// Ends the connection.
    pub(super) async fn close(&self) {
        self.live.lock().await.take();
    }

    async fn client(&self) -> Result<Client, Error> {
        let mut live = self.live.lock().await;
        if let Some(live) = live.as_ref().filter(|live| !live.task.is_finished()) {
            return Ok(live.client.clone());
        }
        *live = None;
        let client = Client::new(self.config.clone(), None, Some(connection()), None);
        let mut task = AbortOnDropHandle::new(client.connect());
        tokio::select! {
            biased;
            connected = client.wait_for_connect() => connected?,
            ended = &mut task => {
                ended.map_err(|_| Error::new(ErrorKind::Canceled, "the task ended"))??;
                return Err(Error::new(ErrorKind::IO, "closed at once"));
            }
        }
        Ok(live.insert(LiveConnection { client, task }).client.clone())
    }

    /// A task that holds the lock is about to connect, and so has seen it broken too.
    fn drop_if(&self, used: &str) {
        if let Ok(mut live) = self.live.try_lock() {
            live.take_if(|live| live.client.id() == used);
        }
    }
}

/// The client's settings for this URL, with our own idea of whom to trust.
pub(super) fn config(url: &Secret, authority: Option<&Path>) -> Result<Config, QueueError> {
    // The client reads the system's authorities as soon as it sees the scheme; those are ours to choose.
    let encrypted = url.expose().strip_prefix("rediss");
    let plain = encrypted.map(|rest| format!("redis{rest}"));
    let mut config = Config::from_url(plain.as_deref().unwrap_or(url.expose())).map_err(|error| {
        // The text may quote the URL, and with it the password.
        tracing::debug!(kind = error.kind().to_str(), "REDIS_URL cannot be used");
        unavailable("cannot be found by REDIS_URL")
    })?;
    if encrypted.is_some() {
        config.tls = Some(tls(authority)?.into());
    }
    Ok(config)
}

fn connection() -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: CONNECT_TIMEOUT,
        internal_command_timeout: CONNECT_TIMEOUT,
        max_command_buffer_len: BUFFERED,
        // Otherwise a small command may wait 40 ms for an acknowledgement of the one before.
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        ..ConnectionConfig::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use clap::Parser;

    use super::*;
    use crate::config::QueueConfig;

    #[derive(clap::Parser)]
    struct ParsedRedis {
        #[command(flatten)]
        queue: QueueConfig,
    }

    fn made_of(url: &str) -> Result<Config, QueueError> {
        let parsed = ParsedRedis::parse_from(["test", &format!("--redis-url={url}")]);
        config(&parsed.queue.broker.redis_url.unwrap(), None)
    }

    #[test]
    fn a_url_says_which_kind_of_redis_it_is_and_whether_to_encrypt() {
        let plain = made_of("redis://h").unwrap();
        assert!(plain.server.is_centralized() && plain.tls.is_none());
        let cluster = made_of("rediss-cluster://u:p@h:7000?node=i:7001").unwrap();
        assert!(cluster.server.is_clustered() && cluster.tls.is_some());
        let sentinel = made_of("redis-sentinel://h:26379?sentinelServiceName=main").unwrap();
        assert!(sentinel.server.is_sentinel() && sentinel.tls.is_none());
    }

    #[test]
    fn a_url_that_cannot_be_used_is_not_quoted() {
        let no_service = made_of("redis-sentinel://u:hunter2@h:26379").unwrap_err().to_string();
        assert!(!no_service.contains("hunter2") && no_service.contains("REDIS_URL"), "{no_service}");
    }
}
