# The backends as tasks of the same form as the roles'.
locals {
  backend_tasks = var.observability ? { for name, task in module.backends[0].tasks : name => merge(task, {
    ports = local.backend_ports[name]
  }) } : {}
}
