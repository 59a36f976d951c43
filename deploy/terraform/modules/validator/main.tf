# The order validator, invoked by the gateway through IAM and by nobody else: no URL, no trigger.
variable "name" { type = string }
variable "command" { type = list(string) }
variable "memory" { type = number }
variable "environment" { type = map(string) }
variable "architecture" { type = string }
variable "image" { type = string }
variable "zip" { type = string }
variable "subnet_ids" { type = list(string) }
variable "security_group" { type = string }
variable "log_days" { type = number }

locals {
  zipped = var.zip != null
  # Until the image was pushed there is nothing to make a function of.
  exists = local.zipped || var.image != null && var.image != ""
}

data "aws_partition" "here" {}
data "aws_caller_identity" "me" {}
data "aws_region" "here" {}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:AWS's own key; the lines hold no secrets
  #checkov:skip=CKV_AWS_338:log_days decides; a lab's lines are not needed for a year
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_days
}

resource "aws_iam_role" "this" {
  name = var.name
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "logs" {
  name   = "logs"
  role   = aws_iam_role.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.logs })
}

locals {
  logs = [{
    Sid      = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }]
}

# In the VPC, where Jaeger is. The calls that make its network interface know no ARNs.
resource "aws_iam_role_policy_attachment" "network" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AWSLambdaENIManagementAccess"
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:traces are OpenTelemetry's; X-Ray's would be a second set
  #checkov:skip=CKV_AWS_115:new accounts have ten executions in all, and none to reserve
  #checkov:skip=CKV_AWS_116:it is invoked for an answer, and what fails is the caller's to see
  #checkov:skip=CKV_AWS_173:AWS's own key; only OTLP headers are confidential there
  #checkov:skip=CKV_AWS_272:images are pinned by digest, the zip by its hash
  count = local.exists ? 1 : 0

  function_name = var.name
  role          = aws_iam_role.this.arn
  architectures = [var.architecture == "arm64" ? "arm64" : "x86_64"]
  memory_size   = var.memory
  # Longer than LAMBDA_TIMEOUT_MS of the gateway, plus the time to flush spans.
  timeout          = 10
  package_type     = local.zipped ? "Zip" : "Image"
  image_uri        = local.zipped ? null : var.image
  filename         = var.zip
  source_code_hash = local.zipped ? filebase64sha256(var.zip) : null
  handler          = local.zipped ? "bootstrap" : null
  runtime          = local.zipped ? "provided.al2023" : null

  dynamic "image_config" {
    for_each = local.zipped ? [] : [1]
    content {
      command = var.command
    }
  }

  environment {
    variables = var.environment
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [var.security_group]
  }

  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.logs, aws_iam_role_policy_attachment.network]
}

output "name" { value = var.name }
# Known before the function is, so that the gateway's policy names it from the start.
output "arn" {
  value = join(":", [
    "arn", data.aws_partition.here.partition, "lambda", data.aws_region.here.name,
    data.aws_caller_identity.me.account_id, "function", var.name,
  ])
}
output "function" { value = one(aws_lambda_function.this) }
output "statements" { value = local.logs }
