# PostgreSQL: one small instance, in it a schema for each service, and its URL as a secret.
variable "name" { type = string }
variable "subnet_ids" { type = list(string) }
variable "security_group" { type = string }
variable "instance_class" { type = string }
variable "keep" { type = bool }

locals { user = "lab" }

module "password" {
  source = "../password"
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

# Only over TLS, whatever the client asks for.
resource "aws_db_parameter_group" "this" {
  name   = "${var.name}-postgres17"
  family = "postgres17"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157:one zone: a lab may wait for a zone, and a second one doubles the bill
  #checkov:skip=CKV_AWS_293:keep_data decides; without it `terraform destroy` leaves nothing
  #checkov:skip=CKV_AWS_118:enhanced monitoring bills for its log lines; db_client_operation_duration_seconds has what matters here
  #checkov:skip=CKV_AWS_353:performance insights are for those who tune
  #checkov:skip=CKV_AWS_161:the program logs in by password, from Secrets Manager
  #checkov:skip=CKV_AWS_129:every statement is a span; the log's slow ones stay in the instance
  #checkov:skip=CKV2_AWS_30:statements are spans; slow ones are logged by the parameter group
  identifier                 = var.name
  engine                     = "postgres"
  engine_version             = "17"
  instance_class             = var.instance_class
  allocated_storage          = 20
  storage_type               = "gp3"
  storage_encrypted          = true
  db_name                    = "lab"
  username                   = local.user
  password                   = module.password.value
  db_subnet_group_name       = aws_db_subnet_group.this.name
  parameter_group_name       = aws_db_parameter_group.this.name
  vpc_security_group_ids     = [var.security_group]
  publicly_accessible        = false
  auto_minor_version_upgrade = true
  copy_tags_to_snapshot      = true
  backup_retention_period    = var.keep ? 7 : 1
  deletion_protection        = var.keep
  skip_final_snapshot        = !var.keep
  final_snapshot_identifier  = var.keep ? "${var.name}-last" : null
  delete_automated_backups   = !var.keep
}

resource "aws_secretsmanager_secret" "url" {
  #checkov:skip=CKV_AWS_149:AWS's own key; a key of one's own costs 1 USD a month
  #checkov:skip=CKV2_AWS_57:tasks read it at their start only, so a rotation would lock them out
  name                    = "${var.name}/database-url"
  recovery_window_in_days = 0
}

# require and not verify-full: the authorities of RDS are AWS's own, and no image has them.
resource "aws_secretsmanager_secret_version" "url" {
  secret_id     = aws_secretsmanager_secret.url.id
  secret_string = "postgres://${local.user}:${module.password.value}@${aws_db_instance.this.endpoint}/lab?sslmode=require"
}

output "url_secret_arn" {
  # Whoever reads it at once finds a value.
  value      = aws_secretsmanager_secret.url.arn
  depends_on = [aws_secretsmanager_secret_version.url]
}
output "private" { value = !aws_db_instance.this.publicly_accessible && aws_db_instance.this.storage_encrypted }
