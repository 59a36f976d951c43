# The files that compose mounts, by the path where they are to be.
locals {
  # ./deploy/loki/config.yaml:/etc/loki/config.yaml:ro and ${ALERT_RULES:-./alerts/lab}:/etc/prometheus/rules:ro
  mount = "^(?:\\$\\{[A-Z_]+:-)?\\./([^:}]+)\\}?:([^:]+):ro$"
  mounts = { for name in keys(local.backends) : name => [
    for volume in local.compose[name].volumes : {
      from = replace(regex(local.mount, volume)[0], "alerts/lab", "alerts/${var.alert_profile}")
      to   = regex(local.mount, volume)[1]
    } if can(regex(local.mount, volume))
  ] }
  # One file, or all below a folder.
  mounted = { for name, mounts in local.mounts : name => merge([
    for mount in mounts : length(fileset(var.repository, mount.from)) == 1 ? { (mount.to) = mount.from } : {
      for file in fileset("${var.repository}/${mount.from}", "**") : "${mount.to}/${file}" => "${mount.from}/${file}"
      # Not what the dashboards are made of.
      if !startswith("${mount.from}/${file}", "dashboards/src/")
    }
  ]...) }
  as_compose = { for name, files in local.mounted : name => {
    for path, file in files : path => replace(replace(file("${var.repository}/${file}"),
    local.address, local.dns), "http://localhost:3100", "${local.links.grafana}3100")
    # compose's lists of containers: here the DNS is asked.
    if !strcontains(file, "/targets/") && !strcontains(file, "/alertmanagers/")
  } }

  # ---- Prometheus: each task by the DNS, under the labels of compose's list -----------------------
  listed = [for part in ["compose", "logs"] :
    jsondecode(file("${var.repository}/deploy/prometheus/targets/${part}.json"))
  ]
  targets = [for group in flatten(local.listed) : {
    job     = group.labels.job
    service = group.labels.service
    host    = split(":", group.targets[0])[0]
    port    = tonumber(split(":", group.targets[0])[1])
  }]
  # A function cannot be scraped, and FireLens ships the logs.
  absent     = ["lambda", "alloy"]
  prometheus = yamldecode(local.as_compose.prometheus["/etc/prometheus/prometheus.yml"])
  discovered = [for target in local.targets : {
    job_name        = target.job
    dns_sd_configs  = [{ names = ["${target.host}.${var.domain}"], type = "A", port = target.port, refresh_interval = "15s" }]
    relabel_configs = [{ target_label = "service", replacement = target.service }]
  } if !contains(local.absent, target.host)]
  prometheus_config = merge(local.prometheus, { scrape_configs = local.discovered })

  files = merge(local.as_compose, { prometheus = merge(local.as_compose.prometheus, {
    "/etc/prometheus/prometheus.yml" = yamlencode(local.prometheus_config)
    "/etc/prometheus/alertmanagers/aws.json" = jsonencode([
      { targets = ["alertmanager.${var.domain}:9093"] },
    ])
  }) })
}

output "scraped" { value = { for job in local.discovered : job.job_name => job.dns_sd_configs[0] } }
