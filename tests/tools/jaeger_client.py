"""Reads a console, or a Jaeger, with a public client of Jaeger's query API (jaeger-mcp, as a library).

    jaeger_client.py --url http://127.0.0.1:3005 --trace-id ID --service api-gateway \\
        --tag http.response.status_code=201 --tag error=false

Prints one JSON object: `services`, `dependencies` as [parent, child, calls], `found` with the ids of the
service's traces for each tag, and `trace` with what the client makes of the trace. Exit code 1 where the
client cannot read something.
"""

import argparse
import json

from jaeger_mcp import JaegerClient
from jaeger_mcp.client import JaegerHTTPClient


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, help="where /api is")
    parser.add_argument("--trace-id", required=True)
    parser.add_argument("--service", required=True, help="whose traces are searched")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def main():
    options = arguments()
    # Not closed: the connections belong to the event loop of each call, which is gone by then.
    client = JaegerClient(JaegerHTTPClient(url=options.url, retry_attempts=0, timeout=10))
    trace = client.get_trace(options.trace_id)

    def search(tag):
        key, _, value = tag.partition("=")
        return client.search_traces(
            options.service, tags={key: value}, time_from=trace.start_time_us, limit=1_000
        )

    read = {
        "services": client.list_services(),
        "dependencies": [[link.parent, link.child, link.call_count] for link in client.get_dependencies()],
        "found": {tag: [summary.trace_id for summary in search(tag)] for tag in options.tag},
        "trace": {
            "id": trace.trace_id,
            "root": [trace.root_service, trace.root_operation],
            "spans": len(trace.spans),
            "services": trace.service_count,
            "errors": trace.errors_count,
            "durationUs": trace.duration_us,
        },
    }
    print(json.dumps(read))


if __name__ == "__main__":
    main()
