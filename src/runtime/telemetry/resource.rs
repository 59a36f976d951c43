//! Who the spans come from: service, process, host, and the container or ECS task where known.

use std::time::Duration;

use http::Request;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use serde::Deserialize;
use url::Url;

use super::otlp::Client;
use super::settings::Settings;
use crate::config::LambdaEnvironment;

/// The agent is on the same host; a start must not wait for one that is not there.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);
const LARGEST_METADATA: usize = 256 * 1024;

type Attributes = Vec<(&'static str, String)>;

/// The resource. Blocks for at most [`METADATA_TIMEOUT`], and only where `ecs` names an agent.
///
/// What the user's variables say wins over what is found here, except the name and the SDK.
pub(super) fn resource(
    settings: &Settings,
    environment: &str,
    ecs: Option<&str>,
    function: Option<LambdaEnvironment>,
) -> Resource {
    let mut found: Attributes = vec![
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", uuid::Uuid::now_v7().to_string()),
        ("deployment.environment.name", environment.to_owned()),
        ("host.name", gethostname::gethostname().to_string_lossy().into_owned()),
    ];
    found.extend(host_id().map(|id| ("host.id", id)));
    found.extend(container_id().map(|id| ("container.id", id)));
    found.extend(ecs.and_then(task_metadata).map(|task| task.attributes()).unwrap_or_default());
    let fixed = [
        KeyValue::new("service.name", settings.service_name.clone()),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("telemetry.sdk.name", "opentelemetry"),
        KeyValue::new("telemetry.sdk.language", "rust"),
        KeyValue::new("telemetry.sdk.version", SDK_VERSION),
    ];
    Resource::builder_empty()
        .with_attributes(found.into_iter().map(|(key, value)| KeyValue::new(key, value)))
        .with_attributes(function.map(on_lambda).unwrap_or_default())
        .with_attributes(settings.attributes.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())))
        .with_attributes(fixed)
        .build()
}

/// The SDK does not export its version; a test compares this with Cargo.lock.
const SDK_VERSION: &str = "0.33.1";

/// One kernel has one id for each of its boots, in all its containers, whose host names differ. So a backend that
/// compares hosts to find clocks that differ (Jaeger) sees one clock where there is one. Not the machine-id: an image
/// has none or that of its build, and it is meant to stay on the machine (machine-id(5)).
fn host_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

fn container_id() -> Option<String> {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    id_in_cgroup(&read("/proc/self/cgroup")).or_else(|| id_in_mountinfo(&read("/proc/self/mountinfo")))
}

/// cgroup v1: the last part of a path, perhaps as `docker-<id>.scope`.
fn id_in_cgroup(text: &str) -> Option<String> {
    let names = text.lines().filter_map(|line| line.rsplit('/').next());
    names
        .filter_map(|name| name.strip_suffix(".scope").unwrap_or(name).rsplit(['-', ':']).next())
        .find_map(id)
}

/// cgroup v2 hides the path; the container's own mounts, such as its hostname file, still name it.
fn id_in_mountinfo(text: &str) -> Option<String> {
    let own = text.lines().filter(|line| line.contains("/etc/hostname") || line.contains("/etc/resolv.conf"));
    own.flat_map(|line| line.split(['/', ' '])).find_map(id)
}

fn id(text: &str) -> Option<String> {
    (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
}

/// The semantic conventions' resource of an AWS Lambda function; the account is known only from an
/// invocation's ARN, so it stands on the span.
fn on_lambda(function: LambdaEnvironment) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("cloud.provider", "aws"),
        KeyValue::new("cloud.platform", "aws_lambda"),
        KeyValue::new("faas.name", function.name),
        KeyValue::new("faas.version", function.version),
        KeyValue::new("faas.max_memory", function.memory_mib * 1024 * 1024),
    ];
    attributes.extend(function.region.map(|region| KeyValue::new("cloud.region", region)));
    attributes.extend(function.log_stream.map(|stream| KeyValue::new("faas.instance", stream)));
    attributes.extend(function.log_group.map(|group| {
        KeyValue::new("aws.log.group.names", Value::Array(Array::String(vec![StringValue::from(group)])))
    }));
    attributes
}

/// What the ECS agent answers at `/task`, as far as it is of use.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    #[serde(rename = "TaskARN")]
    arn: String,
    cluster: Option<String>,
    family: Option<String>,
    revision: Option<String>,
    availability_zone: Option<String>,
    launch_type: Option<String>,
}

fn task_metadata(uri: &str) -> Option<Task> {
    let url = Url::parse(&format!("{}/task", uri.trim_end_matches('/'))).ok()?;
    let client = Client::plain(&url).ok()?;
    let answer = client.block_on(client.send(Request::default(), LARGEST_METADATA, METADATA_TIMEOUT)).ok()?;
    if !answer.status.is_success() {
        return None;
    }
    serde_json::from_slice(&answer.body).ok()
}

impl Task {
    fn attributes(self) -> Attributes {
        // arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID
        let parts: Vec<&str> = self.arn.splitn(6, ':').collect();
        let part = |i: usize| parts.get(i).map(|p| (*p).to_owned());
        let cluster = self.cluster.map(|c| match parts.get(..5) {
            Some(prefix) if !c.starts_with("arn:") => format!("{}:cluster/{c}", prefix.join(":")),
            _ => c,
        });
        let optional = [
            ("cloud.region", part(3)),
            ("cloud.account.id", part(4)),
            ("cloud.availability_zone", self.availability_zone),
            ("aws.ecs.cluster.arn", cluster),
            ("aws.ecs.task.family", self.family),
            ("aws.ecs.task.revision", self.revision),
            ("aws.ecs.launchtype", self.launch_type.map(|t| t.to_ascii_lowercase())),
            ("aws.ecs.task.arn", Some(self.arn.clone())),
        ];
        let known = [("cloud.provider", "aws".to_owned()), ("cloud.platform", "aws_ecs".to_owned())];
        known.into_iter().chain(optional.into_iter().filter_map(|(key, value)| Some((key, value?)))).collect()
    }
}

#[cfg(test)]
mod tests;
