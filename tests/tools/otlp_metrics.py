"""OpenTelemetry's own metrics SDK for Python, which sends to an OTLP receiver.

    otlp_metrics.py --url http://127.0.0.1:4318 --encoding proto|json|grpc --temporality cumulative|delta

Sends, to gRPC's port for `grpc`, a measurement of every kind of instrument, in two exports, and prints the trace id of their exemplars. Exits 1
where the exporter says that it failed.
"""

import argparse
import importlib
import sys

from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--encoding", choices=["proto", "json", "grpc"], required=True)
    parser.add_argument("--temporality", choices=["cumulative", "delta"], required=True)
    args = parser.parse_args()

    resource = Resource.create({"service.name": f"python-{args.encoding}-{args.temporality}", "host.name": "here"})
    preferred = {}
    if args.temporality == "delta":
        preferred = dict.fromkeys([Counter, ObservableCounter, Histogram], AggregationTemporality.DELTA)
    reader = InMemoryMetricReader(preferred_temporality=preferred)
    power = View(instrument_name="power", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], resource=resource, views=[power])
    meter = provider.get_meter("exporter.scope", "1.2")

    sold = meter.create_counter("sold", "{book}", "Books sold")
    waiting = meter.create_up_down_counter("waiting", "{order}")
    level = meter.create_gauge("level", "1")
    took = meter.create_histogram("took", "s", explicit_bucket_boundaries_advisory=[0.5, 2.5])
    power = meter.create_histogram("power", "W")
    span = TracerProvider(resource=resource).get_tracer("exporter.scope").start_span("measured")
    context = set_span_in_context(span)

    over_grpc = args.encoding == "grpc"
    package = f"opentelemetry.exporter.otlp.{'proto.grpc' if over_grpc else args.encoding + '.http'}.metric_exporter"
    endpoint = args.url if over_grpc else f"{args.url}/v1/metrics"
    exporter = importlib.import_module(package).OTLPMetricExporter(endpoint=endpoint, timeout=10)
    for step in range(2):
        sold.add(2**53 + 1 if step else 2, {"shelf": "a", "new": True}, context=context)
        waiting.add(-5 if step else 3)
        level.set(0.5 + step)
        for value in [0.25, 0.5, 2] if step else [7.5]:
            took.record(value, context=context)
        for value in [1, 2, 4, 0]:
            power.record(value)
        sent = exporter.export(reader.get_metrics_data())
        if sent.name != "SUCCESS":
            sys.exit(f"{sent}")
    print(f"{span.get_span_context().trace_id:032x}")


main()
