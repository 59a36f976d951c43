//! The function as an extension of itself.
//!
//! Lambda tells only those environments of their end that have an extension; the others are killed.
//! So the function registers one, internal and without events: then SIGTERM comes, and what could not
//! be exported in time before the last answer gets another half second. (Lambda Extensions API,
//! 2020-01-01. The crate for it would bring a server and a second calendar, for two requests.)

use std::time::Duration;

use awc::Client;
use serde_json::json;

const NAME: &str = "o11y-lab-shutdown";
const IDENTIFIER: &str = "lambda-extension-identifier";
/// It is on this machine, and a caller waits for the start.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Registers, which Lambda allows only before the first invocation is asked for, and from then on says
/// that there is nothing to wait for. An environment that knows no extensions works all the same.
pub(super) async fn register(runtime_api: &str) {
    // An emulator names a scheme and a path, Lambda neither.
    let base = match runtime_api.contains("://") {
        true => format!("{runtime_api}/2020-01-01/extension"),
        false => format!("http://{runtime_api}/2020-01-01/extension"),
    };
    let client = Client::builder().timeout(TIMEOUT).finish();
    let asked = client.post(format!("{base}/register")).insert_header(("lambda-extension-name", NAME));
    match asked.send_json(&json!({ "events": [] })).await {
        Ok(answer) if answer.headers().contains_key(IDENTIFIER) => {
            let identifier = answer.headers().get(IDENTIFIER).cloned();
            actix_web::rt::spawn(idle(format!("{base}/event/next"), identifier));
        }
        Ok(answer) => no_warning(&answer.status().to_string()),
        Err(error) => no_warning(&error.to_string()),
    }
}

/// Asks for an event, of which there will be none: the end of the start as extensions declare it.
async fn idle(url: String, identifier: Option<awc::http::header::HeaderValue>) {
    let Some(identifier) = identifier else { return };
    let client = Client::builder().disable_timeout().finish();
    let _ = client.get(url).insert_header((IDENTIFIER, identifier)).send().await;
}

fn no_warning(cause: &str) {
    tracing::warn!(cause, "This function will not be told of its end");
}
