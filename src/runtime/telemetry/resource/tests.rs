#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use opentelemetry::Key;

use super::*;
use crate::config::OtelConfig;

const ID: &str = "34dc0b5e626f2c5c4c5170e34b10e7654ce36f0fcd532739f4445baabea03376";

#[test]
fn the_container_id_is_found_in_the_shapes_that_runtimes_write() {
    for line in [
        format!("12:cpu:/docker/{ID}"),
        format!("0::/system.slice/docker-{ID}.scope"),
        format!("1:name=systemd:/kubepods.slice/pod1/cri-containerd-{ID}.scope"),
        format!("9:memory:/ecs/task-id/{ID}"),
    ] {
        assert_eq!(id_in_cgroup(&format!("3:other:/\n{line}\n")).as_deref(), Some(ID), "{line}");
    }
    let mounts = format!("1 2 0:1 / / rw\n3 2 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw");
    assert_eq!(id_in_mountinfo(&mounts).as_deref(), Some(ID));
    assert_eq!(id_in_cgroup("0::/\n1:x:/user.slice/session-2.scope"), None);
    assert_eq!(id_in_mountinfo(&format!("1 2 0:1 /overlay/{ID}/merged / rw")), None);
}

#[test]
fn an_ecs_task_is_described_by_its_arn() {
    let text = r#"{"Cluster":"lab","TaskARN":"arn:aws:ecs:eu-west-1:123:task/lab/abc","Family":"order",
        "Revision":"7","AvailabilityZone":"eu-west-1a","LaunchType":"FARGATE","Containers":[]}"#;
    let attributes = serde_json::from_str::<Task>(text).unwrap().attributes();
    let get = |key: &str| attributes.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str());
    assert_eq!(get("aws.ecs.task.arn"), Some("arn:aws:ecs:eu-west-1:123:task/lab/abc"));
    assert_eq!(get("aws.ecs.cluster.arn"), Some("arn:aws:ecs:eu-west-1:123:cluster/lab"));
    assert_eq!((get("cloud.region"), get("cloud.account.id")), (Some("eu-west-1"), Some("123")));
    assert_eq!(get("aws.ecs.launchtype"), Some("fargate"));
    let bare = serde_json::from_str::<Task>(r#"{"TaskARN":"x","Cluster":"c"}"#).unwrap().attributes();
    assert!(bare.contains(&("aws.ecs.cluster.arn", "c".to_owned())));
}

#[test]
fn the_user_s_attributes_win_and_an_agent_that_is_not_there_costs_nothing() {
    let config = OtelConfig {
        otel_resource_attributes: Some(
            "deployment.environment.name=prod,team=a,service.name=mine".to_owned(),
        ),
        ..OtelConfig::default()
    };
    super::super::install_crypto();
    let settings = Settings::read("order-service", &config);
    let resource = resource(&settings, "lab", Some("http://127.0.0.1:1/v4"), None);
    let get = |key: &'static str| resource.get(&Key::from_static_str(key)).map(|v| v.to_string());
    assert_eq!(get("deployment.environment.name").as_deref(), Some("prod"));
    assert_eq!(get("service.name").as_deref(), Some("mine"));
    assert_eq!(get("team").as_deref(), Some("a"));
    assert_eq!(get("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(get("process.pid"), Some(std::process::id().to_string()));
    assert!(get("service.instance.id").is_some_and(|id| id.len() == 36));
    assert!(get("host.name").is_some());
    assert_eq!(get("host.id").is_some(), cfg!(target_os = "linux"), "one for all containers of a machine");
    assert_eq!(get("aws.ecs.task.arn"), None);
}

#[test]
fn a_lambda_function_is_described_by_its_environment() {
    let function = LambdaEnvironment {
        name: "order-validator".to_owned(),
        version: "7".to_owned(),
        memory_mib: 256,
        log_group: Some("/aws/lambda/order-validator".to_owned()),
        log_stream: Some("2026/01/01/[7]abc".to_owned()),
        region: Some("eu-west-1".to_owned()),
        ..LambdaEnvironment::default()
    };
    let attributes = on_lambda(function);
    for (key, value) in [
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_lambda"),
        ("cloud.region", "eu-west-1"),
        ("faas.name", "order-validator"),
        ("faas.version", "7"),
        ("faas.instance", "2026/01/01/[7]abc"),
        ("faas.max_memory", "268435456"),
        ("aws.log.group.names", "[\"/aws/lambda/order-validator\"]"),
    ] {
        let found =
            attributes.iter().find(|pair| pair.key.as_str() == key).map(|pair| pair.value.to_string());
        assert_eq!(found.as_deref(), Some(value), "{key}");
    }
}

#[test]
fn the_sdk_version_is_the_one_that_is_built_in() {
    let lock = include_str!("../../../../Cargo.lock");
    assert!(lock.contains(&format!("name = \"opentelemetry_sdk\"\nversion = \"{SDK_VERSION}\"")));
}

#[test]
fn the_ecs_agent_is_asked_for_the_task_and_a_broken_answer_counts_as_none() {
    use super::super::tests::collector::{Behaviour, Collector};
    super::super::install_crypto();
    let asked = |body: &str| {
        let agent = Collector::start(Behaviour::Answer(200, body.as_bytes().to_vec()), None);
        let task = task_metadata(&format!("http://127.0.0.1:{}/v4/id/", agent.port));
        assert!(agent.received()[0].head.starts_with("GET /v4/id/task "));
        task.map(|t| t.arn)
    };
    assert_eq!(
        asked(r#"{"TaskARN":"arn:aws:ecs:r:a:task/c/i"}"#).as_deref(),
        Some("arn:aws:ecs:r:a:task/c/i")
    );
    assert_eq!(asked("not json"), None);
}
