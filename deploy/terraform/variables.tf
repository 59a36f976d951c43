variable "name" {
  description = "Name of everything that is made, and the prefix of the rest"
  type        = string
  default     = "o11y-lab"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "3 to 20 lower-case letters, digits and hyphens: load balancers allow 32 characters with what is added."
  }
}

variable "region" {
  description = "AWS region"
  type        = string
  default     = "eu-west-1"
}

variable "environment" {
  description = "DEPLOYMENT_ENVIRONMENT: deployment.environment.name of every span"
  type        = string
  default     = "aws"
}

variable "log_level" {
  description = "LOG_LEVEL of the roles"
  type        = string
  default     = "info"
}

# ---- image and function --------------------------------------------------------------------------
variable "image" {
  description = "The image by digest, as deploy/scripts/build-and-push prints it; empty until it was pushed"
  type        = string
  default     = ""
  validation {
    condition     = var.image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "By digest (REPOSITORY@sha256:...), so that what runs is what was tested."
  }
}

variable "architecture" {
  description = "Of tasks and function: ARM64 costs a fifth less"
  type        = string
  default     = "ARM64"
  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "ARM64 or X86_64."
  }
}

variable "lambda_package" {
  description = "The function from the same image, or from a zip (deploy/scripts/package-lambda)"
  type        = string
  default     = "image"
  validation {
    condition     = contains(["image", "zip"], var.lambda_package)
    error_message = "image or zip."
  }
  validation {
    condition     = var.lambda_package != "zip" || var.lambda_zip != ""
    error_message = "lambda_zip has to name the file."
  }
}

variable "lambda_image" {
  description = "The image of one architecture by digest: Lambda takes no multi-architecture index. build-and-push prints it"
  type        = string
  default     = ""
  validation {
    condition     = var.lambda_package != "image" || var.image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.lambda_image))
    error_message = "By digest, beside image: build-and-push prints both."
  }
}

variable "lambda_zip" {
  description = "Path of the zip, where lambda_package is zip"
  type        = string
  default     = ""
}

variable "gateway_count" {
  description = "Tasks of the gateway to start with"
  type        = number
  default     = 1
  validation {
    condition     = var.gateway_count >= 1 && var.gateway_count <= 4
    error_message = "1 to 4."
  }
}

# ---- network -------------------------------------------------------------------------------------
variable "vpc_cidr" {
  description = "Addresses of the VPC, a /16 to /20"
  type        = string
  default     = "10.42.0.0/16"
}

variable "way_out" {
  description = "nat, or endpoints: no way to the internet at all, AWS itself by VPC endpoints (docs/aws.md compares)"
  type        = string
  default     = "nat"
  validation {
    condition     = contains(["nat", "endpoints"], var.way_out)
    error_message = "nat or endpoints."
  }
  validation {
    condition = var.way_out == "nat" || !var.observability || alltrue([
      for image in concat(values(var.backend_images), [var.log_router_image, var.init_image]) : strcontains(image, ".dkr.ecr.")
    ]) && length(var.backend_images) == 5
    error_message = "Without a way out the backends' images have to be in ECR: name all five in backend_images, log_router_image and init_image, or set observability to false."
  }
}

variable "gateway_cidrs" {
  description = "Who may reach the gateway"
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "allowed_cidrs" {
  description = "Who may reach Grafana, Jaeger, Prometheus and Alertmanager; nobody where empty"
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "IPv4 networks of /8 or smaller: only Grafana asks for a password."
  }
}

variable "certificate_arn" {
  description = "ACM certificate of the load balancer; without it everything is plain HTTP"
  type        = string
  default     = ""
}

# ---- data ----------------------------------------------------------------------------------------
variable "database" {
  description = "PostgreSQL on RDS; without it each service has a SQLite file that ends with its task"
  type        = bool
  default     = true
}

variable "database_instance_class" {
  description = "Size of the database"
  type        = string
  default     = "db.t4g.micro"
}

variable "keep_data" {
  description = "Refuse to destroy database and images, and keep a last snapshot"
  type        = bool
  default     = false
}

# ---- observability -------------------------------------------------------------------------------
variable "observability" {
  description = "Jaeger, Prometheus, Alertmanager, Loki and Grafana as tasks"
  type        = bool
  default     = true
}

variable "otlp_endpoint" {
  description = "Base URL of an OTLP/HTTP receiver for the traces, where observability is off"
  type        = string
  default     = ""
  validation {
    condition     = var.otlp_endpoint == "" || (!var.observability && can(regex("^https?://[^/ ]+", var.otlp_endpoint)))
    error_message = "http:// or https://, and only with observability = false: the traces go to one place."
  }
}

variable "otlp_headers" {
  description = "OTEL_EXPORTER_OTLP_HEADERS for that receiver (key=value,key=value)"
  type        = string
  default     = ""
  sensitive   = true
}

variable "alert_profile" {
  description = "Rules of alerts/lab (minutes) or alerts/production (a month)"
  type        = string
  default     = "lab"
  validation {
    condition     = contains(["lab", "production"], var.alert_profile)
    error_message = "lab or production."
  }
}

variable "prometheus_retention" {
  description = "How long metrics are kept, while the task lives"
  type        = string
  default     = "3d"
}

variable "backend_images" {
  description = "Images by backend, instead of those of compose.yaml"
  type        = map(string)
  default     = {}
}

variable "log_router_image" {
  description = "Fluent Bit 3.1 or newer, for FireLens: older ones do not know Loki's structured metadata"
  type        = string
  default     = "fluent/fluent-bit:4.2.8"
}

variable "init_image" {
  description = "A shell with base64 and gunzip: writes the configuration files"
  type        = string
  default     = "public.ecr.aws/docker/library/busybox:1.37.0"
}

variable "log_days" {
  description = "How long CloudWatch keeps log lines"
  type        = number
  default     = 14
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365], var.log_days)
    error_message = "One of CloudWatch's: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180 or 365."
  }
}

variable "alarm_topics" {
  description = "ARNs of SNS topics that are told of the queue's alarms"
  type        = list(string)
  default     = []
}
