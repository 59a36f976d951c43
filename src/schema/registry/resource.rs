//! Whose telemetry it is: the attributes of the resource.

use super::{Use, always, when};

const ON_ECS: &str = "in a task of Amazon ECS";
const ON_LAMBDA: &str = "on AWS Lambda";
const ON_AWS: &str = "on Amazon ECS or AWS Lambda";

/// The attributes of the resource, beside those of `OTEL_RESOURCE_ATTRIBUTES`.
pub static RESOURCE: &[Use] = &[
    always("service.name"),
    always("service.version"),
    always("service.instance.id"),
    always("deployment.environment.name"),
    always("host.name"),
    when("host.id", "on Linux"),
    always("process.pid"),
    always("telemetry.sdk.name"),
    always("telemetry.sdk.language"),
    always("telemetry.sdk.version"),
    when("container.id", "in a container that tells its id"),
    when("cloud.provider", ON_AWS),
    when("cloud.platform", ON_AWS),
    when("cloud.region", ON_AWS),
    when("cloud.account.id", ON_ECS),
    when("cloud.availability_zone", ON_ECS),
    when("aws.ecs.cluster.arn", ON_ECS),
    when("aws.ecs.task.arn", ON_ECS),
    when("aws.ecs.task.family", ON_ECS),
    when("aws.ecs.task.revision", ON_ECS),
    when("aws.ecs.launchtype", ON_ECS),
    when("faas.name", ON_LAMBDA),
    when("faas.version", ON_LAMBDA),
    when("faas.max_memory", ON_LAMBDA),
    when("faas.instance", ON_LAMBDA),
    when("aws.log.group.names", ON_LAMBDA),
];
