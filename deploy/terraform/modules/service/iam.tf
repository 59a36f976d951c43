# Two roles: the task's, which the program has, and the execution role, with which ECS starts it.
locals {
  trust = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
  })
  log_statement = {
    Sid      = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
  ours = var.task.ours
  execution_statements = concat(
    [local.log_statement],
    # The one action of ECR that knows no resource; the next two do.
    !local.ours && !strcontains(var.task.image, ".dkr.ecr.") ? [] : [
      { Sid = "LogIn", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      { Sid = "Pull", Effect = "Allow", Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], Resource = local.ours ? [var.repository_arn] : [local.registry] },
    ],
    length(var.task.secrets) == 0 ? [] : [
      { Sid = "Read", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = values(var.task.secrets) },
    ],
  )
  # Images that the user has put into an ECR: any repository of that account and region.
  registry = replace(var.repository_arn, "/repository\\/.*$/", "repository/*")
  # The log router has the task's role.
  task_statements = concat(var.task.permissions, var.loki == null ? [] : [local.log_statement])
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "task" {
  count = length(local.task_statements) > 0 ? 1 : 0

  name   = "task"
  role   = aws_iam_role.task.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.task_statements })
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "execution" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken knows no resource
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.execution_statements })
}
