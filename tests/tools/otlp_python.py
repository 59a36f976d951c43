"""OpenTelemetry's own exporters for Python, which send to an OTLP receiver.

    otlp_python.py --url http://127.0.0.1:4318 --encoding proto|json|grpc --compression none|gzip|deflate

Sends, to gRPC's port for `grpc`, two spans of one trace and a log record with a value of every kind, and prints the trace id. Exits 1 where an
exporter says that it failed.
"""

import argparse
import importlib
import math
import sys

import grpc
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.common.http import Compression as JsonCompression
from opentelemetry.exporter.otlp.proto.http import Compression as ProtoCompression
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode, set_span_in_context

COMPRESSIONS = {encoding: {choice.value: choice for choice in choices} for encoding, choices in
                {"proto": ProtoCompression, "json": JsonCompression}.items()}
COMPRESSIONS["grpc"] = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
VALUES = {
    "text": "Grüße \U0001f600",
    "big": 2**62,
    "half": 0.5,
    "nan": math.nan,
    "infinite": -math.inf,
    "flag": False,
    "list": ["a", "b"],
    "empty.list": [],
    "empty.text": "",
}


def spans(resource):
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("exporter.scope", "1.2", "https://opentelemetry.io/schemas/1.30.0", {"tier": "gold"})
    parent = tracer.start_span("parent", kind=SpanKind.SERVER, attributes=VALUES)
    links = [Link(parent.get_span_context(), {"why": "test"})]
    child = tracer.start_span("child", set_span_in_context(parent), SpanKind.CLIENT, links=links)
    child.add_event("event", VALUES)
    child.set_status(StatusCode.ERROR, "on purpose")
    child.end()
    parent.end()
    return memory.get_finished_spans()


def records(resource, context):
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    logger = provider.get_logger("exporter.scope", "1.2", attributes={"tier": "gold"})
    number = SeverityNumber.WARN
    body = {"said": ["hello", {}], "nothing": None, "bytes": b"\xfb\xff"}
    attributes = {**VALUES, "nested": {"map": {}}}
    record = LogRecord(
        severity_number=number, body=body, attributes=attributes, event_name="event", context=set_span_in_context(context)
    )
    logger.emit(record)
    return memory.get_finished_logs()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--encoding", choices=COMPRESSIONS, required=True)
    parser.add_argument("--compression", default="none")
    args = parser.parse_args()

    over_grpc = args.encoding == "grpc"
    package = f"opentelemetry.exporter.otlp.{'proto.grpc' if over_grpc else args.encoding + '.http'}"
    compression = COMPRESSIONS[args.encoding][args.compression]
    trace_path, log_path = ("", "") if over_grpc else ("/v1/traces", "/v1/logs")
    options = {"compression": compression, "timeout": 10}
    trace_exporter = importlib.import_module(f"{package}.trace_exporter").OTLPSpanExporter
    log_exporter = importlib.import_module(f"{package}._log_exporter").OTLPLogExporter

    resource = Resource.create({"service.name": f"python-{args.encoding}", "host.name": "here"})
    finished = spans(resource)
    logs = records(resource, finished[0])
    sent = trace_exporter(endpoint=f"{args.url}{trace_path}", **options).export(finished)
    logged = log_exporter(endpoint=f"{args.url}{log_path}", **options).export(logs)
    if {sent.name, logged.name} != {"SUCCESS"}:
        sys.exit(f"spans: {sent}, log records: {logged}")
    print(f"{finished[0].context.trace_id:032x}")


main()
