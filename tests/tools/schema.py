"""Holds a running gateway to its own OpenAPI document, with schemathesis.

    schema.py --url http://127.0.0.1:3000 [--max-examples 25] [--seed 20260801] [--timeout 240]

Reads URL/openapi.json and sends valid and invalid requests to every operation: no 5xx, only
documented status codes, content types, headers and bodies, and 405 with Allow for a method that is
not documented. The seed is fixed, so that a failure can be repeated. Exit code 0 where all holds,
1 where something does not (schemathesis prints the request as a curl command), 2 where it cannot
run; loopback addresses only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
]


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, help="the gateway, http://127.0.0.1:PORT")
    parser.add_argument("--max-examples", type=int, default=25, help="per operation and phase")
    parser.add_argument("--seed", type=int, default=20260801)
    parser.add_argument("--timeout", type=float, default=240, help="seconds for the whole run")
    return parser.parse_args()


def main():
    options = arguments()
    if urlsplit(options.url).hostname not in LOOPBACK:
        print(f"schema.py: {options.url} is not on this machine", file=sys.stderr)
        return 2
    command = [os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "schemathesis"), "run"]
    command += [f"{options.url.rstrip('/')}/openapi.json", "--checks", ",".join(CHECKS)]
    command += ["--max-examples", str(options.max_examples), "--seed", str(options.seed)]
    # One worker and no database of examples: two runs send the same requests in the same order.
    command += ["--workers", "1", "--generation-database", "none", "--suppress-health-check", "all"]
    command += ["--request-timeout", "10", "--continue-on-failure", "--warnings", "off", "--no-color"]
    try:
        # It writes notes of its runs where it is started.
        with tempfile.TemporaryDirectory(prefix="o11y-lab-schema-") as notes:
            done = subprocess.run(
                command, cwd=notes, stdin=subprocess.DEVNULL, timeout=options.timeout, check=False
            )
    except subprocess.TimeoutExpired:
        print(f"schema.py: not done in {options.timeout:g} s", file=sys.stderr)
        return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
