# Turning a variable off removes what belongs to it, and nothing else has to be changed.
mock_provider "aws" { source = "./tests/mocks" }

variables {
  image        = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/o11y-lab@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  lambda_image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/o11y-lab@sha256:0000000000000000000000000000000000000000000000000000000000000002"
}

run "observability_brings_the_backends_with_compose_s_files" {
  assert {
    condition     = toset(keys(module.service)) == toset(["gateway", "user", "order", "notify", "jaeger", "prometheus", "alertmanager", "loki", "grafana"])
    error_message = "a backend is missing"
  }
  assert {
    condition = module.backends[0].scraped["order-service"] == {
      names = ["order.o11y-lab.internal"], type = "A", port = 3002, refresh_interval = "15s"
    } && length(module.backends[0].scraped) == 9
    error_message = "Prometheus does not find the tasks"
  }
  assert {
    condition     = length(module.backends[0].tasks["grafana"].config) == 7 && contains(keys(module.backends[0].tasks["prometheus"].config), "/etc/prometheus/rules/burn.yml")
    error_message = "a file that compose mounts is missing"
  }
  # A task definition may have 64 KiB.
  assert {
    condition     = alltrue([for service in module.service : length(jsonencode(service.containers)) < 60000])
    error_message = "a task definition that ECS refuses"
  }
  assert {
    condition     = alltrue([for name, task in module.backends[0].tasks : !strcontains(join("", values(task.config)), "//${name}:")])
    error_message = "an address that only compose knows"
  }
  assert {
    condition = { for pair in module.service["grafana"].containers[0].environment : pair.name => pair.value }["GF_AUTH_ANONYMOUS_ENABLED"] == "false" && (
    module.service["grafana"].containers[0].secrets[0].name == "GF_SECURITY_ADMIN_PASSWORD")
    error_message = "Grafana lets anybody in"
  }
  assert {
    condition     = module.service["order"].containers[0].logConfiguration.logDriver == "awsfirelens" && module.service["order"].containers[1].firelensConfiguration.type == "fluentbit"
    error_message = "log lines do not reach Loki"
  }
}

run "without_observability_no_backend_and_no_exporter_is_left" {
  variables {
    observability = false
    allowed_cidrs = ["203.0.113.0/24"]
  }
  assert {
    condition     = toset(keys(module.service)) == toset(["gateway", "user", "order", "notify"]) && length(module.backends) == 0
    error_message = "a backend is left"
  }
  assert {
    condition     = length(module.firewall.open) == 1 && output.uis == {} && output.grafana_password_secret == null
    error_message = "an opening for a UI that is not there"
  }
  assert {
    condition = alltrue([for service in module.service : length(service.containers) == 1 && (
    service.containers[0].logConfiguration.logDriver == "awslogs")])
    error_message = "a log router without Loki"
  }
  assert {
    condition     = alltrue([for variables in local.environment : variables.OTEL_TRACES_EXPORTER == "none"])
    error_message = "traces go nowhere, and the roles are not told"
  }
}

run "another_backend_gets_the_traces_of_all_roles" {
  variables {
    observability = false
    otlp_endpoint = "https://otlp.example.com:4318"
    otlp_headers  = "api-key=hunter2"
  }
  assert {
    condition     = alltrue([for variables in local.environment : variables.OTEL_EXPORTER_OTLP_ENDPOINT == "https://otlp.example.com:4318"])
    error_message = "a role that exports to somebody else"
  }
  assert {
    condition = alltrue([for service in module.service : contains(service.containers[0].secrets[*].name, "OTEL_EXPORTER_OTLP_HEADERS") && (
    !strcontains(jsonencode(service.containers), "hunter2"))])
    error_message = "the headers are missing, or stand in the task definition"
  }
  assert {
    condition     = local.https_out["order-otlp"].port == 4318
    error_message = "the way to the receiver is closed"
  }
}

run "another_backend_beside_ours_is_refused" {
  command = plan
  variables { otlp_endpoint = "https://otlp.example.com" }
  expect_failures = [var.otlp_endpoint]
}

run "without_a_database_each_role_keeps_a_file_and_stays_alone" {
  variables { database = false }
  assert {
    condition     = length(module.database) == 0 && alltrue([for flow in local.flows : flow.to != "database"])
    error_message = "something of the database is left"
  }
  assert {
    condition = alltrue([for name in ["user", "order", "notify"] :
    module.service[name].scales_to == null && module.service[name].containers[0].secrets == [] && module.service[name].containers[0].mountPoints[0].containerPath == "/data"])
    error_message = "two tasks, two databases"
  }
  assert {
    condition     = module.service["gateway"].scales_to == 4
    error_message = "the gateway has no file and may scale"
  }
}

run "by_endpoints_nothing_has_a_way_to_the_internet" {
  variables {
    way_out       = "endpoints"
    observability = false
  }
  assert {
    condition     = module.network.nat_gateways == 0 && length(module.network.endpoints) == 6
    error_message = "a NAT gateway, or an endpoint is missing"
  }
  assert {
    condition     = alltrue([for out in local.https_out : out.prefix_list != ""])
    error_message = "a way to anywhere"
  }
}

run "images_of_others_need_a_way_out" {
  command = plan
  variables { way_out = "endpoints" }
  expect_failures = [var.way_out]
}

run "the_function_from_a_zip" {
  variables {
    lambda_package = "zip"
    lambda_zip     = "tests/mocks/aws.tfmock.hcl"
  }
  assert {
    condition     = module.validator.function.runtime == "provided.al2023" && module.validator.function.package_type == "Zip" && module.validator.function.architectures == tolist(["arm64"])
    error_message = "not a zip on provided.al2023"
  }
  assert {
    condition     = module.validator.function.environment[0].variables.O11Y_LAB_ROLE == "lambda"
    error_message = "a zip's bootstrap gets no argument, so it needs the role"
  }
}

run "before_an_image_is_pushed_there_is_a_repository_and_no_function" {
  variables {
    image        = ""
    lambda_image = ""
  }
  assert {
    condition     = module.validator.function == null && output.repository_url != ""
    error_message = "a function of nothing"
  }
}

run "an_image_by_tag_is_refused" {
  command = plan
  variables { image = "o11y-lab:latest" }
  expect_failures = [var.image]
}
