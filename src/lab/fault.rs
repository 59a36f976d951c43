//! `o11y-lab fault`: break a running role on purpose, for so long, and see where it is broken.
//!
//! Speaks to `/faults` of the roles, which have it where `FAULTS_ENABLED` is true. Standard output is
//! data, as a table or with `--json`; remarks go to standard error.

mod render;
pub(crate) mod staged;

use std::io::Write as _;
use std::time::Duration;

use actix_web::http::Method;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::output::CommandOutput;
use crate::config::{FaultAction, FaultArguments, FaultTarget, child};
use crate::runtime::oneshot::OneShot;
use crate::schema::{Fault, Role, SERVICES};
use crate::terminal::escaped;
use staged::{FaultSupport, RoleFaults};

/// Longest wait for a role's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Largest answer of a role, in bytes; a list of its faults has some hundreds.
const LARGEST_ANSWER: usize = 1 << 20;

/// Runs one action.
///
/// # Errors
/// Nothing answers there, faults are off there, or the role refuses what is asked; one line.
pub async fn run(action: FaultAction) -> anyhow::Result<()> {
    let (answer, in_json) = match &action {
        FaultAction::List { target } => (list(target).await?, target.json),
        FaultAction::Set { arguments, target } => (set(arguments, target).await?, target.json),
        FaultAction::Clear { name, target } => (clear(name.as_deref(), target).await?, target.json),
    };
    answer.print(in_json)
}

/// Every fault, as `--json` tells it.
pub(crate) fn described() -> Vec<Value> {
    render::objects()
}

/// The address of one role's `/faults`.
struct FaultEndpoint {
    /// The role's name, or the URL where only that is known.
    name: String,
    url: String,
}

impl FaultEndpoint {
    fn of(role: Role, target: &FaultTarget) -> Self {
        let url = format!("http://127.0.0.1:{}", target.ports.ports().of(role));
        Self { name: role.as_str().to_owned(), url }
    }

    /// The addresses a command is about.
    fn all(target: &FaultTarget) -> Vec<Self> {
        match (&target.url, target.role) {
            (Some(url), _) => vec![Self { name: url.clone(), url: url.clone() }],
            (None, Some(role)) => vec![Self::of(role, target)],
            (None, None) => SERVICES.iter().map(|service| Self::of(service.role, target)).collect(),
        }
    }

    /// Asks, and reads the answer; `None` where nothing answers.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
        let url = format!("{}{path}", self.url);
        let answer = http.send(method, &url, &[], body.map(Value::to_string)).await.ok()?;
        // Something else on this port may answer in any form.
        Some((answer.status.as_u16(), answer.json().unwrap_or_default()))
    }
}

/// The active faults of all addresses; an error where none of them can have faults.
async fn active(endpoints: Vec<FaultEndpoint>) -> anyhow::Result<Vec<(FaultEndpoint, Vec<Value>)>> {
    let mut found = Vec::new();
    let first = endpoints.first().map(|endpoint| endpoint.url.clone()).unwrap_or_default();
    let mut off = None;
    for endpoint in endpoints {
        match RoleFaults::within(&endpoint.url, ANSWER_WITHIN).support().await {
            FaultSupport::Unreachable(_) => {}
            FaultSupport::Disabled(_) => off = Some(endpoint.url),
            FaultSupport::Active(active) => found.push((endpoint, active)),
        }
    }
    match off {
        _ if !found.is_empty() => Ok(found),
        Some(url) => bail!("{}", are_off(&url)),
        None => bail!("{}", is_away(&first)),
    }
}

fn is_away(url: &str) -> String {
    format!("the lab is not running: nobody answers at {url} (--port-base, --url)")
}

fn are_off(url: &str) -> String {
    format!("faults are off at {url}: start it with {}=true, as `up` does", child::FAULTS_ENABLED)
}

/// The table is worth seeing without a lab too; that there is none is a remark.
async fn list(target: &FaultTarget) -> anyhow::Result<CommandOutput> {
    let seen = active(FaultEndpoint::all(target)).await.unwrap_or_else(|reason| {
        let _ = writeln!(std::io::stderr(), "note: {reason}");
        Vec::new()
    });
    let mut active = Vec::new();
    for (endpoint, faults) in seen {
        for mut fault in faults {
            fault["role"] = json!(endpoint.name);
            active.push(fault);
        }
    }
    Ok(CommandOutput {
        text: render::table() + "\n" + &render::active(&active),
        json: json!({ "faults": render::objects(), "active": active }),
    })
}

async fn set(arguments: &FaultArguments, target: &FaultTarget) -> anyhow::Result<CommandOutput> {
    let fault = Fault::named(&arguments.name).context("no such fault")?;
    let endpoint = match (&target.url, target.role) {
        (None, None) => FaultEndpoint::of(fault.roles[0], target),
        _ => FaultEndpoint::all(target).remove(0),
    };
    let (status, mut active) = endpoint
        .ask(Method::POST, "/faults", Some(&arguments.to_json()))
        .await
        .with_context(|| is_away(&endpoint.url))?;
    match status {
        200 if active.is_object() => {}
        404 => bail!("{}", are_off(&endpoint.url)),
        _ => {
            let detail = active["detail"].as_str().unwrap_or("no reason given").to_owned();
            bail!("{} refuses: {}", endpoint.name, escaped(&detail));
        }
    }
    active["role"] = json!(endpoint.name);
    Ok(CommandOutput { text: render::active(std::slice::from_ref(&active)), json: active })
}

async fn clear(name: Option<&str>, target: &FaultTarget) -> anyhow::Result<CommandOutput> {
    let mut cleared = Vec::new();
    for (endpoint, active) in active(FaultEndpoint::all(target)).await? {
        for fault in active.iter().filter_map(|one| one["fault"].as_str()) {
            if Fault::named(fault).is_none() || name.is_some_and(|name| name != fault) {
                continue;
            }
            let gone = endpoint.ask(Method::DELETE, &format!("/faults/{fault}"), None).await;
            match gone {
                Some((200, _)) => cleared.push(json!({ "role": endpoint.name, "fault": fault })),
                _ => bail!("{fault} could not be cleared at {}", endpoint.url),
            }
        }
    }
    let text = |one: &Value| {
        let word = |name: &str| one[name].as_str().unwrap_or_default();
        format!("cleared {} at {}\n", word("fault"), word("role"))
    };
    let text = match cleared.as_slice() {
        [] => "nothing was active\n".to_owned(),
        all => all.iter().map(text).collect(),
    };
    Ok(CommandOutput { text, json: json!({ "cleared": cleared }) })
}
