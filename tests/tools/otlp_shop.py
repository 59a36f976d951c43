"""A small shop that tells of itself with OpenTelemetry's SDK for Python: what `verify --spec` is tried on.

    otlp_shop.py [--change CHANGE] [--beside N]

Sells two carts and refuses a third, and sends spans, metrics and log lines by the exporters' own settings
(OTEL_EXPORTER_OTLP_ENDPOINT). A change does one thing otherwise, as a mistake in a program would. `fail` ends with
exit code 7, `nothing` sends nothing, and `odd names` sends spans and lines without a name or with one that is no plain text.
Beside it N spans and a counter of another service are sent, which has nothing to do with what the shop does.
"""

import argparse
import random
import sys
import time

from opentelemetry import context as contexts
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode, set_span_in_context

arguments = argparse.ArgumentParser()
arguments.add_argument("--change", default="")
arguments.add_argument("--beside", type=int, default=0)
CHANGE, BESIDE = arguments.parse_args().change, arguments.parse_args().beside


class Shop:
    def __init__(self):
        resource = Resource.create({"service.name": "shop", "deployment.environment.name": "live" if CHANGE == "environment" else "test"})
        self.traces = TracerProvider(resource=resource)
        self.traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
        self.logs = LoggerProvider(resource=resource)
        self.logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        self.tracer = self.traces.get_tracer("shop")
        self.logger = self.logs.get_logger("shop")
        meter = self.metrics.get_meter("shop")
        unit = "1" if CHANGE == "unit" else "{checkout}"
        make = meter.create_up_down_counter if CHANGE == "instrument" else meter.create_counter
        self.checkouts = make("shop.checkouts", unit)
        self.took = meter.create_histogram("shop.checkout.duration", "s")
        self.open = meter.create_up_down_counter("shop.carts.open", "{cart}")

    def say(self, span, severity, body, event=None, attributes=None):
        if CHANGE == "lose the line" and event:
            return
        inside = contexts.Context() if CHANGE == "line without ids" and not event else set_span_in_context(span)
        record = LogRecord(
            timestamp=time.time_ns(), severity_number=severity, body=body, event_name=event, attributes=attributes, context=inside
        )
        self.logger.emit(record)
        if CHANGE == "line twice" and event:
            self.logger.emit(record)

    def child(self, name, parent, kind, attributes=None):
        return self.tracer.start_span(name, set_span_in_context(parent), kind, attributes)

    def checkout(self, paid):
        number = random.randrange(10_000, 99_999)
        # A change of the server's span is one of the refused checkout's.
        change = "" if paid else CHANGE
        name = f"POST /checkout/{number}" if change == "id in the name" else "POST /checkout"
        status = 201 if paid else 402
        attributes = {
            "http.request.method": "POST",
            "http.response.status_code": str(status) if change == "status as text" else status,
            "http.route": "/checkout",
            "shop.order.id": number,
            "shop.total": random.random() * 90 + 10,
        }
        if change == "attribute lost":
            del attributes["http.route"]
        if change == "secret":
            attributes["card.number"] = "4111"
        kind = SpanKind.INTERNAL if change == "kind" else SpanKind.SERVER
        server = self.tracer.start_span(name, contexts.Context(), kind, attributes)
        if paid:
            self.store(server, number)
        elif change != "error lost":
            server.set_status(StatusCode.ERROR)
        if not paid:
            self.say(server, SeverityNumber.WARN, None, "checkout.refused", {"reason": "card"})
        server.end()
        if change != "count lost":
            self.checkouts.add(2 if change == "counted twice" else 1, {"outcome": "paid" if paid else "refused"})
        self.took.record(random.random())

    def store(self, server, number):
        other = self.child("price cart", server, SpanKind.INTERNAL)
        other.end()
        insert = None
        if CHANGE != "child lost":
            above = other if CHANGE == "other parent" else server
            insert = self.child("INSERT orders", above, SpanKind.CLIENT, {"db.system.name": "sqlite"})
            if CHANGE == "error invented":
                insert.set_status(StatusCode.ERROR)
            insert.end()
        severity = SeverityNumber.ERROR if CHANGE == "severity" else SeverityNumber.INFO
        self.say(other if CHANGE == "line in another span" else server, severity, f"order {number} stored")
        send = self.child("send orders", server, SpanKind.PRODUCER)
        send.end()
        links = [] if CHANGE == "link lost" else [Link(send.get_span_context())]
        consumer = self.tracer.start_span("process orders", contexts.Context(), SpanKind.CONSUMER, links=links)
        consumer.end()
        if CHANGE == "span twice":
            self.child("price cart", server, SpanKind.INTERNAL).end()
        if CHANGE == "stranger":
            self.child("who am I", server, SpanKind.INTERNAL).end()

    def odd_names(self):
        for name in ["", "two\nlines", "\x1b[31mred", "long " * 300]:
            span = self.tracer.start_span(name, contexts.Context())
            self.say(span, SeverityNumber.INFO, name or None)
            span.end()

    def end(self):
        for provider in [self.traces, self.metrics, self.logs]:
            provider.shutdown()


def beside():
    resource = Resource.create({"service.name": "neighbour"})
    traces = TracerProvider(resource=resource)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
    for _ in range(BESIDE):
        traces.get_tracer("neighbour").start_span("tick", contexts.Context()).end()
        metrics.get_meter("neighbour").create_counter("ticks").add(1)
    for provider in [traces, metrics]:
        provider.shutdown()


def main():
    print("a word on standard output")
    if CHANGE != "nothing":
        shop = Shop()
        for paid in [True, True, False]:
            shop.open.add(1)
            shop.checkout(paid)
            shop.open.add(-1)
        if CHANGE == "odd names":
            shop.odd_names()
        shop.end()
        if BESIDE:
            beside()
    sys.exit(7 if CHANGE == "fail" else 0)


main()
