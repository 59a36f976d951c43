output "gateway_url" {
  description = "The public entry"
  value       = module.entry.url
}

output "queue_url" {
  description = "The queue"
  value       = module.queue.url
}

output "dead_letter_queue_url" {
  description = "Where messages go that were given up"
  value       = module.queue.dead_url
}

output "lambda_name" {
  description = "The validator, for `aws lambda invoke`"
  value       = module.validator.name
}

output "repository_url" {
  description = "Where build-and-push pushes to"
  value       = aws_ecr_repository.lab.repository_url
}

output "cluster" {
  description = "The ECS cluster"
  value       = aws_ecs_cluster.lab.name
}

output "region" {
  description = "Where all of it is"
  value       = var.region
}

output "uis" {
  description = "Grafana, Jaeger, Prometheus, Alertmanager: reachable from allowed_cidrs only"
  value       = { for name, port in local.reachable_uis : name => "${module.entry.origin}:${port}" }
}

output "grafana_password_secret" {
  description = "Secret with the password of Grafana's user admin"
  value       = var.observability ? module.backends[0].grafana_secret_name : null
}
