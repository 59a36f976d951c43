// OpenTelemetry's own exporters for JavaScript: node send.mjs URL none|gzip. Sends two spans of one trace and a log
// record with a value of every kind, and prints the trace id. Exits 1 where an exporter says that it failed.

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [url, compression] = process.argv.slice(2);
const values = {
  text: "Grüße \u{1f600}", big: 2 ** 52, half: 0.5, nan: NaN, infinite: -Infinity, flag: false,
  list: ["a", "b"], "empty.list": [], "empty.text": "",
};
const resource = resourceFromAttributes({ "service.name": "javascript", "host.name": "here" });

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

async function send(exporter, batch) {
  const result = await new Promise((done) => exporter.export(batch, done));
  await exporter.shutdown();
  if (result.code !== 0) throw result.error ?? new Error("not exported");
}

await send(new OTLPTraceExporter({ url: `${url}/v1/traces`, compression }), spans.getFinishedSpans());
await send(new OTLPLogExporter({ url: `${url}/v1/logs`, compression }), records.getFinishedLogRecords());
console.log(parent.spanContext().traceId);
