# The load balancer: the gateway, and the UIs where somebody may see them, each on a port of its own.
variable "name" { type = string }
variable "vpc_id" { type = string }
variable "subnet_ids" { type = list(string) }
variable "security_group" { type = string }
variable "certificate_arn" { type = string }
variable "doors" { type = map(object({ listen = number, port = number, health = string })) }

locals {
  tls    = var.certificate_arn != ""
  origin = "${local.tls ? "https" : "http"}://${aws_lb.this.dns_name}"
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:access logs need a bucket that outlives the lab; the gateway logs every request
  #checkov:skip=CKV_AWS_150:`terraform destroy` shall leave nothing
  #checkov:skip=CKV2_AWS_28:a firewall for web applications costs 5 USD a month and more; the gateway checks and bounds its input
  #checkov:skip=CKV2_AWS_20:HTTPS where certificate_arn is given; a lab has no domain of its own
  #checkov:skip=CKV2_AWS_103:HTTPS where certificate_arn is given; a lab has no domain of its own
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = var.subnet_ids
  security_groups            = [var.security_group]
  drop_invalid_header_fields = true
  # Longer than REQUEST_TIMEOUT, so that it is the gateway who answers.
  idle_timeout = 30
}

resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:inside the VPC the lab speaks HTTP
  for_each = var.doors

  name        = substr("${var.name}-${each.key}", 0, 32)
  port        = each.value.port
  protocol    = "HTTP"
  target_type = "ip"
  vpc_id      = var.vpc_id
  # SHUTDOWN_GRACE, and a little.
  deregistration_delay = 15

  health_check {
    path                = each.value.health
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
    # Jaeger and Prometheus answer / with a redirection.
    matcher = "200-399"
  }
}

resource "aws_lb_listener" "this" {
  #checkov:skip=CKV_AWS_2:HTTPS where certificate_arn is given
  #checkov:skip=CKV_AWS_103:HTTPS where certificate_arn is given
  for_each = var.doors

  load_balancer_arn = aws_lb.this.arn
  port              = each.value.listen
  protocol          = local.tls ? "HTTPS" : "HTTP"
  ssl_policy        = local.tls ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null
  certificate_arn   = local.tls ? var.certificate_arn : null

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }
}

output "origin" { value = local.origin }
output "url" { value = local.origin }
output "target_groups" {
  description = "By door, where something listens already: ECS refuses a target group that no listener knows"
  value       = { for name, listener in aws_lb_listener.this : name => { arn = listener.default_action[0].target_group_arn, port = var.doors[name].port } }
}
output "ports" { value = { for name, listener in aws_lb_listener.this : name => listener.port } }
