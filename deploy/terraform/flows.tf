# Who may open a connection to whom, on which port: two security group rules a line, and no others.
locals {
  # Ports of the backends, as compose has them.
  backend_ports = var.observability ? {
    jaeger       = [4318, 8888, 8889, 16686]
    prometheus   = [9090]
    alertmanager = [9093]
    loki         = [3100]
    grafana      = [3100]
  } : {}
  uis = { grafana = 3100, jaeger = 16686, prometheus = 9090, alertmanager = 9093 }
  # UIs behind the load balancer: for whom `allowed_cidrs` names, else for nobody.
  reachable_uis = var.observability && length(var.allowed_cidrs) > 0 ? local.uis : {}
  door_health   = { grafana = "/api/health", jaeger = "/", prometheus = "/-/ready", alertmanager = "/-/ready" }
  doors = merge(
    { gateway = { listen = var.certificate_arn == "" ? 80 : 443, port = local.roles.gateway.port, health = "/health" } },
    { for name, port in local.reachable_uis : name => { listen = port, port = port, health = local.door_health[name] } },
  )

  members = concat(keys(local.roles), keys(local.backend_ports), ["entry"],
  var.database ? ["database"] : [], var.way_out == "endpoints" ? ["endpoints"] : [])

  calls = concat(
    [for name, door in local.doors : { from = "entry", to = name, port = door.port }],
    [
      { from = "gateway", to = "user", port = local.roles.user.port },
      { from = "gateway", to = "order", port = local.roles.order.port },
      { from = "order", to = "user", port = local.roles.user.port },
    ],
    [for name, role in local.roles : { from = name, to = "database", port = 5432 } if role.store && var.database],
    var.observability ? concat(
      [for name in keys(local.roles) : { from = name, to = "jaeger", port = 4318 }],
      # The log router is in the role's task. The function's lines go to CloudWatch.
      [for name in keys(local.role_tasks) : { from = name, to = "loki", port = 3100 }],
      [for name, role in local.roles : { from = "prometheus", to = name, port = role.port } if name != "lambda"],
      [
        { from = "prometheus", to = "jaeger", port = 8888 },
        { from = "prometheus", to = "jaeger", port = 8889 },
        { from = "prometheus", to = "loki", port = 3100 },
        { from = "prometheus", to = "alertmanager", port = 9093 },
        { from = "alertmanager", to = "notify", port = local.roles.notify.port },
        { from = "jaeger", to = "prometheus", port = 9090 },
        { from = "grafana", to = "prometheus", port = 9090 },
        { from = "grafana", to = "alertmanager", port = 9093 },
        { from = "grafana", to = "loki", port = 3100 },
        { from = "grafana", to = "jaeger", port = 16686 },
      ],
    ) : [],
    var.way_out == "endpoints" ? [for name in local.callers : { from = name, to = "endpoints", port = 443 }] : [],
  )
  flows = { for call in local.calls : "${call.from}-${call.to}-${call.port}" => call }

  # Everything that runs a program of somebody: it pulls its image, reads secrets, writes logs.
  callers = concat(keys(local.roles), keys(local.backend_ports))
  # Ports of the world outside: AWS itself, and the user's own OTLP receiver.
  otlp_port = try(tonumber(regex("^https?://[^/]*:([0-9]+)", var.otlp_endpoint)[0]),
  startswith(var.otlp_endpoint, "http://") ? 80 : 443)
  https_out = merge(
    { for name in local.callers : "${name}-443" => { from = name, port = 443, prefix_list = var.way_out == "endpoints" ? module.network.s3_prefix_list : "" } },
    var.observability || var.otlp_endpoint == "" || (local.otlp_port == 443 && var.way_out == "nat") ? {} : {
      for name in keys(local.roles) : "${name}-otlp" => { from = name, port = local.otlp_port, prefix_list = "" }
    },
  )

  # What the world, or a part of it, may reach: the load balancer and nothing behind it.
  public = merge(
    { for cidr in var.gateway_cidrs : "gateway ${cidr}" => { port = local.doors.gateway.listen, cidr = cidr } },
    merge([for name, port in local.reachable_uis : { for cidr in var.allowed_cidrs : "${name} ${cidr}" => { port = port, cidr = cidr } }]...),
  )
}
