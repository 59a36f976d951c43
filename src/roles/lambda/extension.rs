//! The function as an extension of itself.
//!
//! Lambda tells only those environments of their end that have an extension; the others are killed.
//! So the function registers one, internal and without events: then SIGTERM comes, and what could not
//! be exported in time before the last answer gets another half second. (Lambda Extensions API,
//! 2020-01-01. The crate for it would bring a server and a second calendar, for two requests.)

use std::time::Duration;

use actix_web::http::Method;
use serde_json::json;

use crate::runtime::oneshot::OneShot;

const NAME: &str = "o11y-lab-shutdown";
const IDENTIFIER: &str = "lambda-extension-identifier";
/// It is on this machine, and a caller waits for the start.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Longer than any environment lives: the request for an event is not answered before its end.
const LIFETIME: Duration = Duration::from_secs(14 * 86_400);
const LARGEST_ANSWER: usize = 64 * 1024;

/// Registers, which Lambda allows only before the first invocation is asked for, and from then on says
/// that there is nothing to wait for. An environment that knows no extensions works all the same.
pub(super) async fn register(runtime_api: &str) {
    // An emulator names a scheme and a path, Lambda neither.
    let base = match runtime_api.contains("://") {
        true => format!("{runtime_api}/2020-01-01/extension"),
        false => format!("http://{runtime_api}/2020-01-01/extension"),
    };
    let asked = OneShot::new(TIMEOUT, LARGEST_ANSWER)
        .send(
            Method::POST,
            &format!("{base}/register"),
            &[("lambda-extension-name", NAME)],
            Some(json!({ "events": [] }).to_string()),
        )
        .await;
    match asked {
        Ok(answer) => match answer.headers.get(IDENTIFIER).and_then(|value| value.to_str().ok()) {
            Some(identifier) => {
                actix_web::rt::spawn(idle(format!("{base}/event/next"), identifier.to_owned()));
            }
            None => no_warning(&answer.status.to_string()),
        },
        Err(error) => no_warning(&error.to_string()),
    }
}

/// Asks for an event, of which there will be none: the end of the start as extensions declare it.
async fn idle(url: String, identifier: String) {
    let http = OneShot::new(LIFETIME, LARGEST_ANSWER);
    let _ = http.send(Method::GET, &url, &[(IDENTIFIER, &identifier)], None).await;
}

fn no_warning(cause: &str) {
    tracing::warn!(cause, "This function will not be told of its end");
}
