#!/usr/bin/env bash
# Claim: a program that republishes a Kafka message with its headers (a retry topic, a dead-letter replay, a mirror) under
#   OpenTelemetry's instrumentation of confluent-kafka sends two `traceparent` headers: Kafka's headers are a list, and
#   the instrumentation appends. The consumer reads the first one, so its span points to the original producer, and
#   the republishing is in nobody's trace.
# Surprises: whoever takes headers for a map, as HTTP libraries have them, and inject() for "set".
# Seen on: opentelemetry-instrumentation-confluent-kafka 0.66b1, confluent-kafka 2.16.1 with librdkafka's own mock cluster.
# Source: OpenTelemetry's Propagators API, "Set": it replaces a field; no issue found.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.1 confluent-kafka==2.16.1 \
  opentelemetry-instrumentation-confluent-kafka==0.66b1 || exit 2
venv/bin/pip freeze | grep -E '^(confluent-kafka|opentelemetry-(sdk|instrumentation-confluent))'
cat >claim.py <<'PY'
import time
from confluent_kafka import Consumer, Producer
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
kafka = ConfluentKafkaInstrumentor()
cluster = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 0})
broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
bootstrap = {"bootstrap.servers": f"{broker.host}:{broker.port}", "log_level": 0}
producer = kafka.instrument_producer(Producer(bootstrap), provider)

def receive(topic):
    consumer = Consumer({**bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer = kafka.instrument_consumer(consumer, provider)
    consumer.subscribe([topic])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and not message.error():
            consumer.close()
            return message
    raise SystemExit(f"nothing came from {topic}")

producer.produce("orders", value=b"1", headers=[("tenant", b"acme")])
producer.flush(10)
message = receive("orders")
producer.produce("orders-retry", value=message.value(), headers=message.headers())
producer.flush(10)
message = receive("orders-retry")
parents = [value.decode().split("-")[2] for key, value in message.headers() if key == "traceparent"]
spans = {span.name: span for span in exporter.get_finished_spans()}
sent = [f"{spans[name].context.span_id:016x}" for name in ("orders send", "orders-retry send")]
linked = [f"{link.context.span_id:016x}" for link in spans["orders-retry process"].links]
print("spans that sent: first", sent[0], "- again", sent[1])
print("traceparent headers of the message that came last:", *parents)
print("the span that processed it links to:", *linked)
raise SystemExit(0 if parents == sent and linked == sent[:1] else "no longer so")
PY
venv/bin/python claim.py
echo "still so"
