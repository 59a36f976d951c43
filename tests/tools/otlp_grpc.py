"""An OTLP/gRPC receiver on gRPC's own server.

    otlp_grpc.py [--unavailable N] [--reject N]

Takes a free port on loopback and prints `listening PORT`, then a line of JSON for each export: its signal, the
services, the items (span names or log bodies), their trace ids, and the message's metadata. The first N exports of
each signal are answered UNAVAILABLE; of every export N items are said to be rejected. Ends with its standard input.
"""

import argparse
import concurrent.futures
import json
import sys
import threading

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

# signal: service, request, response, partial success, its field, groups, scopes, items, an item's name
SIGNALS = {
    "traces": ("trace", "TraceService", traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse,
               traces.ExportTracePartialSuccess, "rejected_spans", "resource_spans", "scope_spans", "spans",
               lambda span: span.name),
    "logs": ("logs", "LogsService", logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse,
             logs.ExportLogsPartialSuccess, "rejected_log_records", "resource_logs", "scope_logs", "log_records",
             lambda record: record.body.string_value),
    "metrics": ("metrics", "MetricsService", metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse,
                metrics.ExportMetricsPartialSuccess, "rejected_data_points", "resource_metrics", "scope_metrics",
                "metrics", lambda metric: metric.name),
}
ONE_LINE = threading.Lock()


def handler(signal, arguments):
    package, service, request_type, response_type, partial_type, rejected, groups, scopes, items, name = SIGNALS[signal]
    refused = [arguments.unavailable]

    def export(request, context):
        if refused[0] > 0:
            refused[0] -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        found = [item for group in getattr(request, groups) for scope in getattr(group, scopes)
                 for item in getattr(scope, items)]
        services = [pair.value.string_value for group in getattr(request, groups) for pair in group.resource.attributes
                    if pair.key == "service.name"]
        line = {
            "signal": signal,
            "services": services,
            "names": [name(item) for item in found],
            "traces": [item.trace_id.hex() for item in found if hasattr(item, "trace_id")],
            "metadata": dict((key, str(value)) for key, value in context.invocation_metadata()),
        }
        with ONE_LINE:
            print(json.dumps(line), flush=True)
        if not arguments.reject:
            return response_type()
        partial = partial_type(error_message="on purpose", **{rejected: arguments.reject})
        return response_type(partial_success=partial)

    method = grpc.unary_unary_rpc_method_handler(
        export, request_deserializer=request_type.FromString, response_serializer=response_type.SerializeToString)
    path = f"opentelemetry.proto.collector.{package}.v1.{service}"
    return grpc.method_handlers_generic_handler(path, {"Export": method})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unavailable", type=int, default=0)
    parser.add_argument("--reject", type=int, default=0)
    arguments = parser.parse_args()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([handler(signal, arguments) for signal in SIGNALS])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening {port}", flush=True)
    sys.stdin.read()
    server.stop(0)


main()
