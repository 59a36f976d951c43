"""OTLP/JSON that google's protobuf parser accepts, and what it makes of it.

    otlp_fuzz.py --seed 1 --count 1000

Walks the messages of opentelemetry-proto and writes random values into every field, in every form that protobuf's JSON
allows, odd ones among them. What the parser accepts is printed, one export a line: `traces`, `logs` or `metrics`, the JSON, and
the message as protobuf in hexadecimal, between tabs. Ids are hexadecimal in the JSON, as OTLP has them; the parser is
given them in base64.

Left out is what this parser alone accepts, because of Python: digits in groups (`1_000`) or of other scripts, true for
a number, a text or a list for a message, a fraction for an enumeration, bytes with characters that are no base64, NaN
without quotes, and a field that is there in both spellings.
"""

import argparse
import base64
import json
import random

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor as F
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SIGNALS = [
    ("traces", ExportTraceServiceRequest),
    ("logs", ExportLogsServiceRequest),
    ("metrics", ExportMetricsServiceRequest),
]
IDS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
INTEGERS = {
    F.TYPE_FIXED64: (0, 2**64 - 1),
    F.TYPE_FIXED32: (0, 2**32 - 1),
    F.TYPE_UINT32: (0, 2**32 - 1),
    F.TYPE_INT32: (-(2**31), 2**31 - 1),
    F.TYPE_SINT32: (-(2**31), 2**31 - 1),
    F.TYPE_UINT64: (0, 2**64 - 1),
    F.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    F.TYPE_INT64: (-(2**63), 2**63 - 1),
}
TEXTS = ["", "a", "null", "Grüße", "\U0001f600", 'quote " and \\', "line\nbreak\u0001", "\u2028", "x" * 300]
ODD_NUMBERS = ['"1e3"', "1e3", "1.0", "1.50e1", '"0"', "-0", '"-0"', '"+7"', '"1.0"', "1e-1", '""', '" 5"', '"x"', "1e30"]
ODD_DOUBLES = ["1e400", '"NaN"', '"Infinity"', '"-Infinity"', '"1e5"', "-0.0", "0", '"0.1"', "5e-324", "1e23", '"x"', '""']
ODD_ENUMS = ['"LATER"', "99", "-1", '"1"', "1.0", "null"]
UNKNOWN = ["1", "null", "[[[]]]", '{"a":{"b":1e999}}', '"\\ud800"', "true"]


class Exports:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def message(self, descriptor, depth):
        """A message as two texts: OTLP's JSON, and the parser's."""
        pairs = []
        for oneof_or_field in self.chosen(descriptor, depth):
            value = self.field(oneof_or_field, depth)
            name = oneof_or_field.json_name if self.random.random() < 0.9 else oneof_or_field.name
            pairs.append((name, *value))
        if self.random.random() < 0.05:
            pairs.append(("later" + str(self.random.randrange(99)), *[self.random.choice(UNKNOWN)] * 2))
        self.random.shuffle(pairs)
        space = self.random.choice(["", " ", "\n\t"])
        return tuple(
            "{" + ("," + space).join(f"{json.dumps(pair[0])}:{space}{pair[side]}" for pair in pairs) + "}" for side in (1, 2)
        )

    def chosen(self, descriptor, depth):
        """Some of the fields; of those that exclude each other at most one."""
        for oneof in descriptor.oneofs:
            if self.random.random() < 0.95:
                yield self.random.choice(oneof.fields)
        for field in descriptor.fields:
            always = depth < 3 and field.is_repeated
            if field.containing_oneof is None and (always or self.random.random() < 0.6):
                yield field

    def field(self, field, depth):
        if self.random.random() < 0.04:
            return "null", "null"
        if not field.is_repeated:
            return self.single(field, depth)
        most = 3 if depth < 8 else 1
        values = [self.single(field, depth) for _ in range(self.random.randrange(most + 1))]
        return tuple("[" + ",".join(value[side] for value in values) + "]" for side in (0, 1))

    def single(self, field, depth):
        odd = self.random.random() < 0.05
        if field.type == F.TYPE_MESSAGE:
            if depth > 14 or self.random.random() < 0.05:
                return "{}", "{}"
            return self.message(field.message_type, depth + 1)
        if field.type == F.TYPE_BYTES:
            return self.bytes(field)
        if field.type in INTEGERS:
            return [self.random.choice(ODD_NUMBERS) if odd else self.integer(*INTEGERS[field.type])] * 2
        if field.type == F.TYPE_DOUBLE:
            return [self.random.choice(ODD_DOUBLES) if odd else self.double()] * 2
        if field.type == F.TYPE_ENUM:
            value = self.random.choice(field.enum_type.values)
            either = self.random.choice([str(value.number), json.dumps(value.name)])
            return [self.random.choice(ODD_ENUMS) if odd else either] * 2
        if field.type == F.TYPE_BOOL:
            return [self.random.choice(["true", "false"])] * 2
        return [json.dumps(self.random.choice(TEXTS), ensure_ascii=self.random.random() < 0.5)] * 2

    def bytes(self, field):
        value = self.random.randbytes(IDS.get(field.name) or self.random.randrange(9))
        padded = base64.b64encode(value).decode()
        if field.name in IDS:
            digits = self.random.choice([value.hex(), value.hex().upper(), ""])
            return json.dumps(digits), json.dumps(padded if digits else "")
        url = base64.urlsafe_b64encode(value).decode()
        return [json.dumps(self.random.choice([padded, padded.rstrip("="), url, url.rstrip("=")]))] * 2

    def integer(self, low, high):
        near = self.random.choice([low, high, 0, 2**53 + 1, self.random.randint(low, high)])
        text = str(max(low, min(high, near)))
        return self.random.choice([text, json.dumps(text)])

    def double(self):
        number = self.random.choice([self.random.random(), self.random.uniform(-1e18, 1e18), 10.0 ** self.random.randint(-300, 300)])
        return self.random.choice([repr(number), json.dumps(repr(number)), str(int(number))])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--count", type=int, required=True)
    arguments = arguments.parse_args()
    exports = Exports(arguments.seed)
    for number in range(arguments.count):
        name, request = SIGNALS[number % 3]
        sent, read = exports.message(request.DESCRIPTOR, 0)
        try:
            message = json_format.Parse(read, request(), ignore_unknown_fields=True)
        except json_format.ParseError:
            continue
        sent = sent.replace("\n", " ").replace("\t", " ")
        print(name, sent, message.SerializeToString().hex(), sep="\t")


main()
