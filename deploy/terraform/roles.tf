# The one map of roles. Commands, ports and service names are those of SERVICES in src/schema; a test
# compares. `lambda` is a function and no service, the rest run on Fargate.
locals {
  roles = {
    gateway = { command = ["gateway"], port = 3000, service = "api-gateway", cpu = 256, memory = 512, count = var.gateway_count, max = 4, store = false, queue = "" }
    user    = { command = ["user"], port = 3001, service = "user-service", cpu = 256, memory = 512, count = 1, max = 4, store = true, queue = "" }
    order   = { command = ["order"], port = 3002, service = "order-service", cpu = 256, memory = 512, count = 1, max = 4, store = true, queue = "publishes" }
    notify  = { command = ["notify"], port = 3003, service = "notification-service", cpu = 256, memory = 512, count = 1, max = 4, store = true, queue = "consumes" }
    lambda  = { command = ["lambda"], port = 3004, service = "order-validator", cpu = 0, memory = 256, count = 0, max = 0, store = false, queue = "" }
  }

  # The defaults of QUEUE_NAME and QUEUE_MAX_ATTEMPTS; the redrive policy has to agree with the second.
  queue = { name = "${var.name}-notifications", max_attempts = 5 }

  domain = "${var.name}.internal"
  url    = { for name, role in local.roles : name => "http://${name}.${local.domain}:${role.port}" }

  # ---- environment: names from docs/settings.md, nothing that has the right default -------------
  otlp_endpoint = var.observability ? "http://jaeger.${local.domain}:4318" : var.otlp_endpoint
  traces = local.otlp_endpoint == "" ? { OTEL_TRACES_EXPORTER = "none" } : {
    OTEL_EXPORTER_OTLP_ENDPOINT = local.otlp_endpoint
  }
  # CloudWatch has the log lines.
  common = merge(local.traces, {
    DEPLOYMENT_ENVIRONMENT = var.environment
    LOG_LEVEL              = var.log_level
    OTEL_LOGS_EXPORTER     = "none"
    OTEL_METRICS_EXPORTER  = "prometheus"
  })
  queue_environment = {
    QUEUE_TRANSPORT    = "sqs"
    QUEUE_NAME         = local.queue.name
    QUEUE_MAX_ATTEMPTS = tostring(local.queue.max_attempts)
    SQS_QUEUE_URL      = module.queue.url
  }
  environment = {
    gateway = merge(local.common, local.serving.gateway, {
      USER_SERVICE_URL     = local.url.user
      ORDER_SERVICE_URL    = local.url.order
      LAMBDA_FUNCTION_NAME = "${var.name}-${local.roles.lambda.service}"
      AWS_REGION           = var.region
    })
    user   = merge(local.common, local.serving.user)
    order  = merge(local.common, local.serving.order, local.queue_environment, { USER_SERVICE_URL = local.url.user })
    notify = merge(local.common, local.serving.notify, local.queue_environment)
    # A zip's `bootstrap` gets no argument. No secret is read at its start, so the headers stand here,
    # encrypted by Lambda.
    lambda = merge(local.common, { O11Y_LAB_ROLE = "lambda" },
    local.otlp_headers ? { OTEL_EXPORTER_OTLP_HEADERS = var.otlp_headers } : {})
  }
  # PORT is also where `healthcheck` looks.
  serving = { for name, role in local.roles : name => { HOST = "0.0.0.0", PORT = tostring(role.port) } }

  # ---- secrets, by variable ---------------------------------------------------------------------
  # Whether there are headers is no secret, and decides how many resources there are.
  otlp_headers = nonsensitive(var.otlp_headers != "") && !var.observability
  secrets = { for name, role in local.roles : name => merge(
    role.store && var.database ? { DATABASE_URL = module.database[0].url_secret_arn } : {},
    local.otlp_headers ? { OTEL_EXPORTER_OTLP_HEADERS = aws_secretsmanager_secret.otlp_headers[0].arn } : {},
  ) }

  # ---- what each may do at AWS, and no more -----------------------------------------------------
  permissions = {
    gateway = [{ Sid = "Validate", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [module.validator.arn] }]
    user    = []
    order = [
      { Sid = "Publish", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [module.queue.arn] },
      # /ready and the redrive check.
      { Sid = "Count", Effect = "Allow", Action = ["sqs:GetQueueAttributes"], Resource = [module.queue.arn, module.queue.dead_arn] },
    ]
    notify = [
      { Sid = "Consume", Effect = "Allow", Action = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"], Resource = [module.queue.arn] },
      { Sid = "Count", Effect = "Allow", Action = ["sqs:GetQueueAttributes"], Resource = [module.queue.arn, module.queue.dead_arn] },
      # A body that cannot be parsed goes there at once, with the reason.
      { Sid = "GiveUp", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [module.queue.dead_arn] },
    ]
  }

  role_tasks = { for name, role in local.roles : name => {
    image       = local.image
    command     = role.command
    ports       = [role.port]
    cpu         = role.cpu
    memory      = role.memory
    service     = role.service
    environment = local.environment[name]
    secrets     = local.secrets[name]
    permissions = local.permissions[name]
    health      = ["CMD", "/usr/bin/o11y-lab", "healthcheck"]
    # Without PostgreSQL each has a SQLite file of its own: a second task would not see it.
    count  = role.store && !var.database ? 1 : role.count
    max    = role.store && !var.database ? 1 : role.max
    config = {}
    data   = role.store && !var.database ? ["/data"] : []
    read   = []
    user   = "65532:65532"
    ours   = true
  } if name != "lambda" }

  # Until something was pushed there is a name for it only; docs/aws.md has the order of things.
  image = var.image != "" ? var.image : "${aws_ecr_repository.lab.repository_url}:none"
}

resource "aws_secretsmanager_secret" "otlp_headers" {
  #checkov:skip=CKV_AWS_149:AWS's own key; a key of one's own costs 1 USD a month
  #checkov:skip=CKV2_AWS_57:given by the user, who changes it where it was issued
  count = local.otlp_headers ? 1 : 0

  name                    = "${var.name}/otlp-headers"
  recovery_window_in_days = 0
}

resource "aws_secretsmanager_secret_version" "otlp_headers" {
  count = local.otlp_headers ? 1 : 0

  secret_id     = aws_secretsmanager_secret.otlp_headers[0].id
  secret_string = var.otlp_headers
}
