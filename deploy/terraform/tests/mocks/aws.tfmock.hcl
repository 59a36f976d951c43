# What AWS would answer, as far as somebody reads it: ARNs have to look like ARNs.
mock_data "aws_availability_zones" { defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] } }
mock_data "aws_partition" { defaults = { partition = "aws" } }
mock_data "aws_caller_identity" { defaults = { account_id = "123456789012" } }
mock_data "aws_region" { defaults = { name = "eu-west-1" } }
mock_data "aws_secretsmanager_random_password" { defaults = { random_password = "hunter2hunter2" } }

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-west-1:123456789012:repository/o11y-lab"
    repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/o11y-lab"
  }
}
mock_resource "aws_ecs_cluster" { defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/o11y-lab" } }
mock_resource "aws_ecs_service" { defaults = { id = "arn:aws:ecs:eu-west-1:123456789012:service/o11y-lab/one" } }
mock_resource "aws_ecs_task_definition" { defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/one:1" } }
mock_resource "aws_cloudwatch_log_group" { defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:one" } }
mock_resource "aws_iam_role" { defaults = { arn = "arn:aws:iam::123456789012:role/one" } }
mock_resource "aws_lb" {
  defaults = {
    arn      = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/o11y-lab/1"
    dns_name = "o11y-lab-1.eu-west-1.elb.amazonaws.com"
  }
}
mock_resource "aws_lb_target_group" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/one/1" }
}
mock_resource "aws_lb_listener" {
  defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/o11y-lab/1/1" }
}
mock_resource "aws_service_discovery_service" {
  defaults = { arn = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1" }
}
mock_resource "aws_secretsmanager_secret" {
  defaults = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:one" }
}
mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-west-1:123456789012:one"
    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/one"
  }
}
mock_resource "aws_db_instance" { defaults = { endpoint = "lab.eu-west-1.rds.amazonaws.com:5432" } }
mock_resource "aws_vpc_endpoint" { defaults = { prefix_list_id = "pl-1" } }
