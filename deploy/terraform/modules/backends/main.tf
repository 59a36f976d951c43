# Jaeger, Prometheus, Alertmanager, Loki and Grafana as tasks: images, commands, environment, health
# checks and configuration files are those of compose.yaml; what differs on AWS stands here.
variable "name" { type = string }
variable "domain" { type = string }
variable "names" { type = list(string) }
variable "repository" { type = string }
variable "images" { type = map(string) }
variable "alert_profile" { type = string }
variable "retention" { type = string }
variable "reachable_uis" { type = map(number) }
variable "entry_url" { type = string }

locals {
  # Terraform's YAML merges no lists of anchors; those are in the roles, which nobody reads here.
  compose = yamldecode(replace(file("${var.repository}/compose.yaml"), "/<<: \\[[^]]*\\]/", "<<: {}")).services

  backends = {
    jaeger       = { user = "10001:10001", read = ["/etc/jaeger"], data = ["/tmp"] }
    prometheus   = { user = "65534:65534", read = ["/etc/prometheus"], data = ["/prometheus", "/tmp"] }
    alertmanager = { user = "65534:65534", read = ["/etc/alertmanager"], data = ["/alertmanager", "/tmp"] }
    loki         = { user = "10001:10001", read = ["/etc/loki"], data = ["/loki", "/tmp"] }
    grafana      = { user = "472:0", read = ["/etc/grafana/dashboards", "/etc/grafana/provisioning"], data = ["/tmp", "/var/lib/grafana"] }
  }
  settings = {
    # Behind the load balancer Grafana asks who is there.
    grafana = {
      GF_AUTH_ANONYMOUS_ENABLED   = "false"
      GF_AUTH_DISABLE_LOGIN_FORM  = "false"
      GF_SECURITY_COOKIE_SECURE   = tostring(startswith(var.entry_url, "https://"))
      GF_SECURITY_COOKIE_SAMESITE = "strict"
    }
  }
  secrets = { grafana = { GF_SECURITY_ADMIN_PASSWORD = aws_secretsmanager_secret.grafana.arn } }

  # compose's short names, as the private DNS has them; and where a person reaches a UI.
  address = "/\\/\\/(${join("|", var.names)}):/"
  dns     = "//$${1}.${var.domain}:"
  links = { for name in keys(local.backends) : name =>
  contains(keys(var.reachable_uis), name) ? "${var.entry_url}:" : "http://localhost:" }

  tasks = { for name, backend in local.backends : name => {
    image = lookup(var.images, name, local.compose[name].image)
    command = [for word in try(local.compose[name].command, []) : replace(replace(
    word, "/\\$\\{PROMETHEUS_RETENTION:-[^}]*\\}/", var.retention), "http://localhost:", local.links[name])]
    cpu     = 256
    memory  = 512
    count   = 1
    max     = 1
    service = name
    environment = merge(
      { for key, value in try(local.compose[name].environment, {}) : key => replace(value, "http://localhost:", local.links[name]) },
    lookup(local.settings, name, {}))
    secrets     = lookup(local.secrets, name, {})
    permissions = []
    health      = local.compose[name].healthcheck.test
    config      = local.files[name]
    read        = backend.read
    data        = backend.data
    user        = backend.user
    ours        = false
  } }
}

module "password" {
  source = "../password"
}

resource "aws_secretsmanager_secret" "grafana" {
  #checkov:skip=CKV_AWS_149:AWS's own key; a key of one's own costs 1 USD a month
  #checkov:skip=CKV2_AWS_57:Grafana reads it when it makes its database, so a rotation would change nothing
  name                    = "${var.name}/grafana-password"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "grafana" {
  secret_id     = aws_secretsmanager_secret.grafana.id
  secret_string = module.password.value
}

output "tasks" { value = local.tasks }
output "grafana_secret_name" { value = aws_secretsmanager_secret.grafana.name }
