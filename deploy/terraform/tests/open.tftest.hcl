# What the world may reach: the gateway, and nothing else unless somebody is named.
mock_provider "aws" { source = "./tests/mocks" }

run "by_default_only_the_gateway_is_open" {
  assert {
    condition     = [for one in module.firewall.open : [one.from, one.to, one.cidr]] == [[80, 80, "0.0.0.0/0"]]
    error_message = "more is open than the gateway"
  }
  assert {
    condition     = module.entry.ports == { gateway = 80 } && output.uis == {}
    error_message = "a UI behind the load balancer"
  }
  assert {
    condition     = alltrue([for flow in local.flows : flow.from != "entry" || flow.to == "gateway"])
    error_message = "the load balancer reaches more than the gateway"
  }
}

run "uis_are_open_to_those_who_are_named" {
  variables { allowed_cidrs = ["203.0.113.0/24"] }
  assert {
    condition = alltrue([for one in module.firewall.open : one.from == 80 || one.cidr == "203.0.113.0/24"]) && (
    toset([for one in module.firewall.open : one.from]) == toset([80, 3100, 9090, 9093, 16686]))
    error_message = "a UI that is open to others, or one that is missing"
  }
  assert {
    condition     = toset(keys(output.uis)) == toset(["grafana", "jaeger", "prometheus", "alertmanager"])
    error_message = "the UIs' addresses"
  }
}

run "uis_are_never_open_to_the_world" {
  command = plan
  variables { allowed_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.allowed_cidrs]
}

run "every_flow_is_one_port_between_two_groups" {
  command = plan
  assert {
    condition     = alltrue([for flow in local.flows : flow.port > 0 && contains(local.members, flow.from) && contains(local.members, flow.to)])
    error_message = "a flow from or to somebody who is not there"
  }
  assert {
    condition     = length([for flow in local.flows : flow if flow.to == "database"]) == 3
    error_message = "the database is for user, order and notify"
  }
}

run "with_a_certificate_the_gateway_speaks_https" {
  variables { certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/1" }
  assert {
    condition     = startswith(output.gateway_url, "https://") && module.entry.ports == { gateway = 443 }
    error_message = "plain HTTP in spite of a certificate"
  }
}
