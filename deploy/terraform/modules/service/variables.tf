variable "name" { type = string }
variable "container" {
  description = "The role's or backend's own name: its container and its name in the DNS"
  type        = string
}
variable "task" {
  description = "What runs. `config` is files by path, `read` and `data` the folders that are mounted for reading and for writing"
  type = object({
    image       = string
    command     = list(string)
    ports       = list(number)
    cpu         = number
    memory      = number
    count       = number
    max         = number
    service     = string
    environment = map(string)
    secrets     = map(string)
    permissions = list(object({ Sid = string, Effect = string, Action = list(string), Resource = list(string) }))
    health      = list(string)
    config      = map(string)
    read        = list(string)
    data        = list(string)
    user        = string
    # The image of this project, which names its user itself.
    ours = bool
  })
}
variable "cluster" { type = object({ arn = string, name = string }) }
variable "region" { type = string }
variable "architecture" { type = string }
variable "subnet_ids" { type = list(string) }
variable "security_group" { type = string }
variable "namespace_id" { type = string }
variable "target_group" {
  type    = object({ arn = string, port = number })
  default = null
}
variable "repository_arn" { type = string }
variable "log_days" { type = number }
variable "init_image" { type = string }
variable "loki" {
  description = "Where log lines go beside CloudWatch, through FireLens; null: CloudWatch only"
  type        = object({ host = string, image = string, init_image = string, config_file = string })
  default     = null
}
