// OpenTelemetry's own SDK for JavaScript: node send.mjs URL http/protobuf|http/json|grpc none|gzip. Sends two spans of one
// trace, a log record with a value of every kind and a measurement of every kind of instrument, and prints the trace id.
// Exits 1 where an exporter says that it failed.

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { AggregationType, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [url, protocol, compression] = process.argv.slice(2);
const suffix = { "http/protobuf": "proto", "http/json": "http", grpc: "grpc" }[protocol];
const values = {
  text: "Grüße \u{1f600}", big: 2 ** 52, half: 0.5, nan: NaN, infinite: -Infinity, flag: false,
  list: ["a", "b"], "empty.list": [], "empty.text": "",
};
const resource = resourceFromAttributes({ "service.name": `javascript-${suffix}`, "host.name": "here" });

const spans = new InMemorySpanExporter();
const tracers = new TracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] });
const tracer = tracers.getTracer("exporter.scope", "1.2");
const parent = tracer.startSpan("parent", { kind: SpanKind.SERVER, attributes: values }, ROOT_CONTEXT);
const context = trace.setSpan(ROOT_CONTEXT, parent);
const child = tracer.startSpan("child", { kind: SpanKind.CLIENT, links: [{ context: parent.spanContext(), attributes: { why: "test" } }] }, context);
child.addEvent("event", values);
child.setStatus({ code: SpanStatusCode.ERROR, message: "on purpose" });
child.end();
parent.end();

const records = new InMemoryLogRecordExporter();
const loggers = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter: records })] });
loggers.getLogger("exporter.scope", "1.2").emit({
  severityNumber: 13, body: { said: ["hello", {}], nothing: null, bytes: new Uint8Array([0xfb, 0xff]) },
  attributes: { ...values, nested: { map: {} } }, eventName: "event", context,
});
await tracers.forceFlush();
await loggers.forceFlush();

// Collects when it is asked to.
class ByHand extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}
const reader = new ByHand();
const views = [{ instrumentName: "power", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }];
const meter = new MeterProvider({ resource, readers: [reader], views }).getMeter("exporter.scope", "1.2");
meter.createCounter("sold", { unit: "{book}", description: "Books sold" }).add(7, { shelf: "a", new: true });
meter.createUpDownCounter("waiting", { unit: "{order}" }).add(-2);
meter.createGauge("level", { unit: "1" }).record(1.5);
const took = meter.createHistogram("took", { unit: "s", advice: { explicitBucketBoundaries: [0.5, 2.5] } });
[0.25, 0.5, 2, 7.5].forEach((value) => took.record(value));
const power = meter.createHistogram("power", { unit: "W" });
[1, 2, 4, 0, 1, 2, 4, 0].forEach((value) => power.record(value));

async function send(signal, exporter, batch) {
  const module = await import(`@opentelemetry/exporter-${signal}-otlp-${suffix}`);
  const at = protocol === "grpc" ? url : `${url}/v1/${signal === "trace" ? "traces" : signal}`;
  const exporting = new module[exporter]({ url: at, compression });
  const result = await new Promise((done) => exporting.export(batch, done));
  await exporting.shutdown();
  if (result.code !== 0) throw result.error ?? new Error("not exported");
}

await send("trace", "OTLPTraceExporter", spans.getFinishedSpans());
await send("logs", "OTLPLogExporter", records.getFinishedLogRecords());
await send("metrics", "OTLPMetricExporter", (await reader.collect()).resourceMetrics);
console.log(parent.spanContext().traceId);
