//! Whether the receiver of `--pipeline` answers: where it does not, everything else of the report follows from that.

use std::time::Duration;

use actix_web::http::Method;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::claim::{Claim, Flaws};
use crate::config::{pipeline_speaks_grpc, without_login};
use crate::runtime::oneshot::OneShot;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 1 << 16;

/// The row of the receiver, by how it answered before the run and answers now.
pub(super) fn row(receiver: &str, before: Result<(), String>, after: Result<(), String>) -> Claim {
    let mut flaws = Flaws::default();
    for (when, answered) in [("before the run", before), ("after it", after)] {
        if let Err(why) = answered {
            flaws.add(format!("{}: {why}, {when}", without_login(receiver)), String::new);
        }
    }
    Claim::of("pipeline.receiver", "receiver", "it answers", &flaws)
}

/// Why it does not answer, if it does not. Whatever the answer is, the roles' own books say what became of their exports.
pub(super) async fn answers(receiver: &str) -> Result<(), String> {
    let url = Url::parse(&without_login(receiver)).map_err(|error| error.to_string())?;
    if pipeline_speaks_grpc() || url.scheme() != "http" {
        return connects(&url).await;
    }
    let export = format!("{}/v1/traces", url.as_str().trim_end_matches('/'));
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    let nothing = Some("{}".to_owned());
    let answered = http.send(Method::POST, &export, &[], nothing).await;
    answered.map(|_| ()).map_err(|why| why.to_string())
}

/// Its certificate and its protocol are the exporter's to judge.
async fn connects(url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or_default();
    match timeout(ANSWER_WITHIN, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {ANSWER_WITHIN:?}")),
    }
}
