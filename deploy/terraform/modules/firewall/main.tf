# One security group for each member, and one rule at each end for each flow.
variable "name" { type = string }
variable "vpc_id" { type = string }
variable "members" { type = set(string) }
variable "flows" { type = map(object({ from = string, to = string, port = number })) }
variable "public" { type = map(object({ port = number, cidr = string })) }
variable "way_out" { type = map(object({ from = string, port = number, prefix_list = string })) }

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:attached by the modules that are given its id
  for_each = var.members

  name        = "${var.name}-${each.key}"
  description = "What may reach ${each.key} and what it may reach"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "flow" {
  for_each = var.flows

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  description                  = "from ${each.value.from}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "flow" {
  for_each = var.flows

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  description                  = "to ${each.value.to}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  #checkov:skip=CKV_AWS_260:port 80 is the gateway's where no certificate is given; it is the public entry
  for_each = var.public

  security_group_id = aws_security_group.this["entry"].id
  description       = each.key
  cidr_ipv4         = each.value.cidr
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

# AWS itself has no fixed addresses outside endpoints: one port to anywhere, or to S3 alone.
resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = var.way_out

  security_group_id = aws_security_group.this[each.value.from].id
  description       = each.value.prefix_list == "" ? "AWS and the registries" : "image layers in S3"
  cidr_ipv4         = each.value.prefix_list == "" ? "0.0.0.0/0" : null
  prefix_list_id    = each.value.prefix_list == "" ? null : each.value.prefix_list
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

output "ids" { value = { for name, group in aws_security_group.this : name => group.id } }
output "open" {
  description = "Who may be reached from addresses and not from a group: group, port and network"
  value = [for rule in aws_vpc_security_group_ingress_rule.public : {
    group = rule.security_group_id, from = rule.from_port, to = rule.to_port, cidr = rule.cidr_ipv4
  }]
}
