# A password that is made once. It stands in the state, as every value that Terraform passes on:
# keep the state where only you read it (docs/aws.md).
data "aws_secretsmanager_random_password" "this" {
  password_length     = 40
  exclude_punctuation = true
}

# The data source makes a new one at every plan; the first is kept.
resource "terraform_data" "this" {
  input = sensitive(data.aws_secretsmanager_random_password.this.random_password)

  lifecycle {
    ignore_changes = [input]
  }
}

output "value" {
  value     = terraform_data.this.output
  sensitive = true
}
