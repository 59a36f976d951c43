# What runs in a task: the program, and where needed a log router, and before both a shell that writes
# the configuration files and ends.
#
# The files travel in the task definition, packed, because the images are used as they are published,
# ours has no shell, and a bucket would be one more thing to pay, to permit and to delete.
locals {
  router_folder = "/fluent-bit/lab"
  config = merge(var.task.config, var.loki == null ? {} : {
    "${local.router_folder}/lab.conf" = var.loki.config_file
  })
  read = concat(var.task.read, var.loki == null ? [] : [local.router_folder])
  volumes = { for path in concat(local.read, var.task.data) :
  replace(trim(path, "/"), "/", "-") => path }
  mount = { for volume, path in local.volumes : path => {
    sourceVolume = volume, containerPath = path, readOnly = contains(local.read, path)
  } }

  # A shell script that writes the files, then hands the data folders to who writes to them.
  end = "=== end of file ==="
  writes = [for path, text in local.config :
    "mkdir -p ${dirname(path)}\ncat > ${path} <<'${local.end}'\n${trimsuffix(text, "\n")}\n${local.end}"
  ]
  chowns = [for path in var.task.data : "chown ${var.task.user} ${path}"]
  script = join("\n", concat(["set -e", "umask 022"], local.writes, local.chowns, [""]))
  init   = length(local.config) > 0

  awslogs = { for part in ["program", "router", "config"] : part => {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = var.region
      awslogs-stream-prefix = part
    }
  } }

  waits_for_config = local.init ? [{ containerName = "config", condition = "SUCCESS" }] : []
  program = merge({
    name                   = var.container
    image                  = var.task.image
    command                = var.task.command
    essential              = true
    readonlyRootFilesystem = true
    # Longer than SHUTDOWN_GRACE.
    stopTimeout  = 15
    portMappings = [for port in var.task.ports : { containerPort = port, hostPort = port, protocol = "tcp" }]
    environment  = [for key, value in var.task.environment : { name = key, value = value }]
    secrets      = [for key, arn in var.task.secrets : { name = key, valueFrom = arn }]
    mountPoints  = [for path in concat(var.task.read, var.task.data) : local.mount[path]]
    dependsOn    = concat(local.waits_for_config, var.loki == null ? [] : [{ containerName = "log_router", condition = "START" }])
    logConfiguration = var.loki == null ? local.awslogs.program : {
      logDriver = "awsfirelens", options = {}
    }
    },
    var.task.ours ? { linuxParameters = { capabilities = { drop = ["ALL"] } } } : {},
    var.task.ours ? {} : { user = var.task.user },
    length(var.task.health) == 0 ? {} : {
      healthCheck = { command = var.task.health, interval = 10, timeout = 5, retries = 3, startPeriod = 60 }
    },
  )

  router = var.loki == null ? [] : [{
    name                   = "log_router"
    image                  = var.loki.image
    essential              = true
    readonlyRootFilesystem = true
    # 30 MiB are enough; more is a backlog while Loki is away.
    memoryReservation = 50
    user              = "0"
    firelensConfiguration = {
      type = "fluentbit"
      options = {
        config-file-type        = "file"
        config-file-value       = "${local.router_folder}/lab.conf"
        enable-ecs-log-metadata = "false"
      }
    }
    environment = [
      { name = "LAB_LOG_GROUP", value = aws_cloudwatch_log_group.this.name },
      { name = "LAB_LOKI_HOST", value = var.loki.host },
      { name = "LAB_REGION", value = var.region },
      { name = "LAB_SERVICE", value = var.task.service },
    ]
    mountPoints      = [local.mount[local.router_folder]]
    dependsOn        = local.waits_for_config
    logConfiguration = local.awslogs.router
  }]

  config_writer = local.init ? [{
    name                   = "config"
    image                  = var.init_image
    essential              = false
    readonlyRootFilesystem = true
    command                = ["sh", "-c", "echo \"$FILES\" | base64 -d | gunzip | sh"]
    environment            = [{ name = "FILES", value = base64gzip(local.script) }]
    mountPoints            = [for path in sort(keys(local.mount)) : merge(local.mount[path], { readOnly = false })]
    logConfiguration       = local.awslogs.config
  }] : []

  containers = concat([local.program], local.router, local.config_writer)
}
