//! The pod's own names, from the downward API to the resource of a span.

use o11y_lab::schema::Role;
use serde_json::Value;

use super::{name, named, objects, pod, variable};
use crate::helpers::{backend, get, single};
use crate::otlp::Console;

/// What Kubernetes would put in for a reference to a field of this pod.
fn field(path: &str) -> &'static str {
    match path {
        "metadata.name" => "user-5d8f6c7b9-x2x7k",
        "metadata.uid" => "0f5c0a4e-6f0e-4a43-9d4f-3f1f1c7a2b11",
        "metadata.namespace" => "o11y-lab",
        "spec.nodeName" => "worker-1.example",
        "metadata.labels['app.kubernetes.io/name']" => "user",
        other => panic!("{other} has no value here"),
    }
}

/// A value with `$(NAME)` replaced, as Kubernetes does it: by what stands above it in the list, else left as it is.
fn expanded(container: &Value, wanted: &str) -> String {
    let mut known: Vec<(String, String)> = Vec::new();
    for one in container["env"].as_array().unwrap() {
        let own = one["name"].as_str().unwrap();
        let value = match one["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some(path) => field(path).to_owned(),
            None => one["value"].as_str().unwrap_or_default().to_owned(),
        };
        let value =
            known.iter().fold(value, |value, (name, inner)| value.replace(&format!("$({name})"), inner));
        if own == wanted {
            return value;
        }
        known.push((own.to_owned(), value));
    }
    panic!("no {wanted}")
}

#[test]
fn the_pods_names_of_the_downward_api_are_on_the_resource_of_its_spans() {
    let all = objects("base");
    let deployment = named(&all, "Deployment", Role::User.as_str());
    let (_, container) = pod(deployment);
    let attributes = expanded(container, "OTEL_RESOURCE_ATTRIBUTES");
    assert!(variable(container, "POD_NAME").is_some() && !attributes.contains("$("), "{attributes}");

    let console = Console::start(&[]);
    let (_role, url, _data) = single(
        Role::User,
        &[
            ("OTEL_RESOURCE_ATTRIBUTES", &attributes),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &console.otlp("")),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ],
    );
    let answer = get(&format!("{url}/users"));
    let trace = backend::wait_trace(&console.page(""), &answer.trace_id(), 1);
    let resource = &trace.spans[0].resource;
    for (key, value) in [
        ("k8s.pod.name", field("metadata.name")),
        ("k8s.pod.uid", field("metadata.uid")),
        ("k8s.namespace.name", field("metadata.namespace")),
        ("k8s.node.name", field("spec.nodeName")),
        ("k8s.deployment.name", name(deployment)),
        ("k8s.container.name", container["name"].as_str().unwrap()),
        ("service.name", Role::User.service().name),
    ] {
        assert_eq!(resource[key], *value, "{key}");
    }
}
