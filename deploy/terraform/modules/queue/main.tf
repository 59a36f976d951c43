# The queue, where its messages go that were given up, and two alarms that say so.
variable "name" { type = string }
variable "queue_name" { type = string }
variable "max_attempts" { type = number }
variable "alarm_topics" { type = list(string) }

resource "aws_sqs_queue" "dead" {
  name                      = "${var.queue_name}-dead"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "this" {
  name                       = var.queue_name
  message_retention_seconds  = 4 * 24 * 3600
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = 30
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.max_attempts
  })
}

# Nobody else's queue may drop its messages here.
resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this.arn]
  })
}

locals {
  alarms = {
    queue-age = {
      queue = aws_sqs_queue.this.name, metric = "ApproximateAgeOfOldestMessage", threshold = 300, periods = 3
      about = "The oldest message waits for more than 5 minutes: docs/runbooks/QueueConsumerStalled.md"
    }
    queue-depth = {
      queue = aws_sqs_queue.this.name, metric = "ApproximateNumberOfMessagesVisible", threshold = 1000, periods = 3
      about = "More than 1000 messages wait: docs/runbooks/QueueLagHigh.md"
    }
    dead-letters = {
      queue = aws_sqs_queue.dead.name, metric = "ApproximateNumberOfMessagesVisible", threshold = 0, periods = 1
      about = "Messages were given up: docs/runbooks/DeadLettersWaiting.md"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "queue" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = "AWS/SQS"
  metric_name         = each.value.metric
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = each.value.periods
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  # An idle queue reports nothing.
  treat_missing_data = "notBreaching"
  alarm_actions      = var.alarm_topics
  ok_actions         = var.alarm_topics
}

output "arn" { value = aws_sqs_queue.this.arn }
output "url" { value = aws_sqs_queue.this.url }
output "dead_arn" { value = aws_sqs_queue.dead.arn }
output "dead_url" { value = aws_sqs_queue.dead.url }
output "redrive_policy" { value = jsondecode(aws_sqs_queue.this.redrive_policy) }
output "redrive_allow_policy" { value = jsondecode(aws_sqs_queue_redrive_allow_policy.dead.redrive_allow_policy) }
output "encrypted" { value = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.dead.sqs_managed_sse_enabled }
output "alarms" { value = { for name, alarm in aws_cloudwatch_metric_alarm.queue : name => alarm.metric_name } }
