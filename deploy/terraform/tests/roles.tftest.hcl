# Every role is there as the service table of the program has it, with what it needs and no more.
mock_provider "aws" { source = "./tests/mocks" }

variables {
  image        = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/o11y-lab@sha256:0000000000000000000000000000000000000000000000000000000000000001"
  lambda_image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/o11y-lab@sha256:0000000000000000000000000000000000000000000000000000000000000002"
}

run "every_role_has_a_service_with_its_command_and_port" {
  assert {
    condition = alltrue([for name, port in { gateway = 3000, user = 3001, order = 3002, notify = 3003 } : alltrue([
      module.service[name].containers[0].command[0] == name,
      module.service[name].containers[0].portMappings[0].containerPort == port,
      module.service[name].containers[0].image == var.image,
      module.service[name].containers[0].healthCheck.command == tolist(["CMD", "/usr/bin/o11y-lab", "healthcheck"]),
      module.service[name].dns == name,
    ])])
    error_message = "a role without its command, port, image, health check or name"
  }
  assert {
    condition     = module.validator.function.image_config[0].command == tolist(local.roles.lambda.command) && local.roles.lambda.port == 3004
    error_message = "the validator runs another command"
  }
  assert {
    condition = alltrue([for name, service in module.service : alltrue([
      for container in service.containers : container.readonlyRootFilesystem && !strcontains(container.image, ":latest")
    ])])
    error_message = "a container that may write to its root, or an image that is not pinned"
  }
}

run "environment_leads_every_role_to_its_neighbours" {
  assert {
    condition = { for pair in module.service["gateway"].containers[0].environment : pair.name => pair.value } == {
      AWS_REGION                  = "eu-west-1"
      DEPLOYMENT_ENVIRONMENT      = "aws"
      HOST                        = "0.0.0.0"
      LAMBDA_FUNCTION_NAME        = "o11y-lab-order-validator"
      LOG_LEVEL                   = "info"
      ORDER_SERVICE_URL           = "http://order.o11y-lab.internal:3002"
      OTEL_EXPORTER_OTLP_ENDPOINT = "http://jaeger.o11y-lab.internal:4318"
      PORT                        = "3000"
      USER_SERVICE_URL            = "http://user.o11y-lab.internal:3001"
    }
    error_message = "the gateway's environment"
  }
  assert {
    condition = alltrue([for name in ["order", "notify"] : alltrue([
      for variable in ["QUEUE_TRANSPORT", "QUEUE_NAME", "QUEUE_MAX_ATTEMPTS", "SQS_QUEUE_URL"] :
      contains(module.service[name].containers[0].environment[*].name, variable)
    ])])
    error_message = "a side of the queue that does not know it"
  }
  assert {
    condition     = alltrue([for name, variables in local.environment : !contains(keys(variables), "FAULTS_ENABLED")])
    error_message = "nobody breaks this lab from outside"
  }
}

run "secrets_come_from_secrets_manager_and_only_to_who_needs_them" {
  assert {
    condition = alltrue([for name, role in local.roles : join(",", module.service[name].containers[0].secrets[*].name) == (
    role.store ? "DATABASE_URL" : "") if name != "lambda"])
    error_message = "DATABASE_URL goes to those with a store"
  }
  assert {
    condition = alltrue([for service in module.service : alltrue([for container in service.containers :
    !strcontains(jsonencode(container), "hunter2")])])
    error_message = "a password stands in a task definition"
  }
  assert {
    condition     = module.database[0].private
    error_message = "the database is public, or not encrypted"
  }
}

run "every_role_may_do_what_it_does_and_only_to_what_it_does_it_to" {
  assert {
    condition = { for name, may in local.permissions : name => join(" ", sort(flatten([for one in may : one.Action]))) } == {
      gateway = "lambda:InvokeFunction"
      user    = ""
      order   = "sqs:GetQueueAttributes sqs:SendMessage"
      notify  = "sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage sqs:SendMessage"
    }
    error_message = "a role may do more, or less"
  }
  assert {
    condition = alltrue(flatten([for name, service in module.service : [
      for one in concat(service.statements, service.execution_statements) : [
        for arn in one.Resource : startswith(arn, "arn:aws:") || one.Action == tolist(["ecr:GetAuthorizationToken"])
    ]]]))
    error_message = "a statement without an ARN"
  }
  assert {
    condition     = alltrue(flatten([for one in module.validator.statements : [for arn in one.Resource : startswith(arn, "arn:aws:logs:")]]))
    error_message = "the function may do more than log"
  }
  assert {
    condition = alltrue([for service in module.service : alltrue([for one in concat(service.statements, service.execution_statements) :
    !strcontains(join(" ", one.Action), "*")])])
    error_message = "an action with a star"
  }
  assert {
    condition     = local.permissions.gateway[0].Resource == ["arn:aws:lambda:eu-west-1:123456789012:function:o11y-lab-order-validator"]
    error_message = "the gateway may invoke another function"
  }
}

run "the_queue_gives_up_where_the_program_does" {
  assert {
    condition     = module.queue.redrive_policy.maxReceiveCount == 5 && local.queue_environment.QUEUE_MAX_ATTEMPTS == "5"
    error_message = "maxReceiveCount and QUEUE_MAX_ATTEMPTS"
  }
  assert {
    condition     = module.queue.redrive_policy.deadLetterTargetArn != "" && module.queue.redrive_allow_policy.redrivePermission == "byQueue"
    error_message = "no dead-letter queue, or one for everybody"
  }
  assert {
    condition     = module.queue.encrypted && toset(values(module.queue.alarms)) == toset(["ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"])
    error_message = "not encrypted, or no alarm on age and depth"
  }
}
