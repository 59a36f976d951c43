# The lab on AWS. Read in this order:
#
#   roles.tf     the map of roles: what each is started with, how big, what it may do
#   flows.tf     who may talk to whom, and nobody else
#   main.tf      the parts put together
#   modules/     the parts; `service` is one Fargate service, a role's or a backend's
#
# docs/aws.md has prerequisites, cost and teardown.

module "network" {
  source = "./modules/network"

  name         = var.name
  region       = var.region
  cidr         = var.vpc_cidr
  way_out      = var.way_out
  endpoints_sg = lookup(module.firewall.ids, "endpoints", null)
}

module "firewall" {
  source = "./modules/firewall"

  name    = var.name
  vpc_id  = module.network.vpc_id
  members = local.members
  flows   = local.flows
  public  = local.public
  way_out = local.https_out
}

# ---- what the roles need -------------------------------------------------------------------------
module "queue" {
  source = "./modules/queue"

  name         = var.name
  queue_name   = local.queue.name
  max_attempts = local.queue.max_attempts
  alarm_topics = var.alarm_topics
}

module "database" {
  source = "./modules/database"
  count  = var.database ? 1 : 0

  name           = var.name
  subnet_ids     = module.network.private_subnet_ids
  security_group = module.firewall.ids["database"]
  instance_class = var.database_instance_class
  keep           = var.keep_data
}

module "validator" {
  source = "./modules/validator"

  name           = "${var.name}-${local.roles.lambda.service}"
  command        = local.roles.lambda.command
  memory         = local.roles.lambda.memory
  environment    = local.environment.lambda
  architecture   = lower(var.architecture)
  image          = var.lambda_package == "image" ? var.lambda_image : null
  zip            = var.lambda_package == "zip" ? var.lambda_zip : null
  subnet_ids     = module.network.private_subnet_ids
  security_group = module.firewall.ids["lambda"]
  log_days       = var.log_days
}

# ---- the services: four roles, and the backends where they are on ---------------------------------
resource "aws_ecr_repository" "lab" {
  #checkov:skip=CKV_AWS_136:AES256 by ECR; a key of one's own costs 1 USD a month and protects nothing more here
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.keep_data

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "lab" {
  repository = aws_ecr_repository.lab.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "what a new push has made nameless"
      selection    = { tagStatus = "untagged", countType = "imageCountMoreThan", countNumber = 10 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_ecs_cluster" "lab" {
  #checkov:skip=CKV_AWS_65:Container Insights bills for each metric; Prometheus has these
  name = var.name
}

resource "aws_service_discovery_private_dns_namespace" "lab" {
  name        = local.domain
  description = "Every task by its role's name, for the roles, the function and Prometheus"
  vpc         = module.network.vpc_id
}

module "backends" {
  source = "./modules/backends"
  count  = var.observability ? 1 : 0

  name          = var.name
  domain        = local.domain
  names         = concat(keys(local.roles), keys(local.backend_ports))
  repository    = abspath("${path.root}/../..")
  images        = var.backend_images
  alert_profile = var.alert_profile
  retention     = var.prometheus_retention
  reachable_uis = local.reachable_uis
  entry_url     = module.entry.origin
}

module "entry" {
  source = "./modules/entry"

  name            = var.name
  vpc_id          = module.network.vpc_id
  subnet_ids      = module.network.public_subnet_ids
  security_group  = module.firewall.ids["entry"]
  certificate_arn = var.certificate_arn
  doors           = local.doors
}

module "service" {
  source   = "./modules/service"
  for_each = merge(local.role_tasks, local.backend_tasks)

  name           = "${var.name}-${each.key}"
  container      = each.key
  task           = each.value
  cluster        = { arn = aws_ecs_cluster.lab.arn, name = aws_ecs_cluster.lab.name }
  region         = var.region
  architecture   = var.architecture
  subnet_ids     = module.network.private_subnet_ids
  security_group = module.firewall.ids[each.key]
  namespace_id   = aws_service_discovery_private_dns_namespace.lab.id
  target_group   = contains(keys(local.doors), each.key) ? module.entry.target_groups[each.key] : null
  repository_arn = aws_ecr_repository.lab.arn
  log_days       = var.log_days
  # Loki's own lines do not go through Loki, nor do those of what it needs.
  loki = var.observability && contains(keys(local.roles), each.key) ? {
    host        = "loki.${local.domain}"
    image       = var.log_router_image
    init_image  = var.init_image
    config_file = file("${path.root}/../fluent-bit/lab.conf")
  } : null
  init_image = var.init_image
}
