#!/usr/bin/env bash
# Claim: a message to SQS with eight attributes of its own leaves a Node.js service without trace context, though SQS takes ten
#   and `traceparent` needs one. The instrumentation counts the fields that its propagators could write (traceparent,
#   tracestate, baggage) and not those that they would; when all three do not fit, it writes none, and tells only the
#   diagnostic logger, which is off. The seventh attribute costs nothing, the eighth the whole join. Python's, beside
#   it, carries the context with eight and nine, and warns in the log at ten.
# Surprises: whoever adds an attribute to a message that was traced well for years, and looks for the error in the consumer.
# Seen on: @opentelemetry/instrumentation-aws-sdk 0.79.0, @aws-sdk/client-sqs 3.1175.0; opentelemetry-instrumentation-boto3sqs
#   0.66b1 (Python) on moto 5.2.5.
# Source: the package's README tells of the limit of ten and not of how it is counted.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @aws-sdk/client-sqs@3.1175.0 @opentelemetry/api@1.10.0 \
  @opentelemetry/instrumentation-aws-sdk@0.79.0 @opentelemetry/instrumentation@0.301.0 @opentelemetry/sdk-trace@3.1.0 \
  @opentelemetry/context-async-hooks@3.1.0 @opentelemetry/core@3.1.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-instrumentation-boto3sqs==0.66b1 opentelemetry-sdk==1.45.1 \
  boto3==1.44.8 'moto[sqs]==5.2.5' || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep -E '^(boto3|moto|opentelemetry-(sdk|instrumentation-boto3sqs))='
# A server that answers as SQS does to one message, and keeps what it was sent.
cat >send.cjs <<'JS'
const http = require('node:http');
const { context, propagation, trace } = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');
const { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } = require('@opentelemetry/core');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { AwsInstrumentation } = require('@opentelemetry/instrumentation-aws-sdk');
const { TracerProvider } = require('@opentelemetry/sdk-trace');
const tracerProvider = new TracerProvider();
trace.setGlobalTracerProvider(tracerProvider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }));
registerInstrumentations({ tracerProvider, instrumentations: [new AwsInstrumentation()] });
const { SendMessageCommand, SQSClient } = require('@aws-sdk/client-sqs');
let sent;
const server = http.createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  sent = JSON.parse(body).MessageAttributes;
  response.setHeader('content-type', 'application/x-amz-json-1.0');
  response.end('{"MessageId":"1","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"}');
});
server.listen(0, '127.0.0.1', async () => {
  const endpoint = `http://127.0.0.1:${server.address().port}`;
  const client = new SQSClient({ region: 'eu-central-1', endpoint, credentials: { accessKeyId: 'lab', secretAccessKey: 'lab' } });
  for (const count of [6, 7, 8, 9]) {
    const own = Array.from({ length: count }, (_, n) => [`own${n}`, { DataType: 'String', StringValue: '1' }]);
    await client.send(new SendMessageCommand({ QueueUrl: `${endpoint}/1/orders`, MessageBody: 'x', MessageAttributes: Object.fromEntries(own) }));
    console.log(count, Object.keys(sent).filter((name) => !name.startsWith('own')).join(' ') || 'no context');
  }
  process.exit();
});
JS
cat >send.py <<'PY'
import os
os.environ.update(AWS_ACCESS_KEY_ID="lab", AWS_SECRET_ACCESS_KEY="lab", AWS_DEFAULT_REGION="eu-central-1")
import boto3
from moto import mock_aws
from opentelemetry import trace
from opentelemetry.instrumentation.boto3sqs import Boto3SQSInstrumentor
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
Boto3SQSInstrumentor().instrument()
with mock_aws():
    client = boto3.client("sqs")
    queue = client.create_queue(QueueName="orders")["QueueUrl"]
    for count in (6, 7, 8, 9, 10):
        own = {f"own{n}": {"DataType": "String", "StringValue": "1"} for n in range(count)}
        client.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=own)
        [message] = client.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
        print(count, " ".join(name for name in message["MessageAttributes"] if not name.startswith("own")) or "no context")
PY
js=$(node --no-warnings send.cjs)
py=$(venv/bin/python send.py 2>py.log)
printf 'own attributes, and what is sent beside them\nJavaScript\n%s\nPython\n%s\n%s\n' "$js" "$py" "$(cat py.log)"
expected_js=$(printf '%s\n' '6 traceparent' '7 traceparent' '8 no context' '9 no context')
expected_py=$(printf '%s\n' '6 traceparent' '7 traceparent' '8 traceparent' '9 traceparent' '10 no context')
[ "$js" = "$expected_js" ] && [ "$py" = "$expected_py" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
