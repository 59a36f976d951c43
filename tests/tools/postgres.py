"""A private PostgreSQL for one test: TLS on, durability off, gone when its standard input closes.

    postgres.py [--port PORT]      PORT 0, the default, takes a free one

Prints one line of JSON when the server answers, then stays in the foreground:

    {"url": "postgres://...", "tlsUrl": "postgres://...?sslmode=verify-full&sslrootcert=...",
     "caFile": "...", "port": 5433, "pid": 4242, "psql": "/usr/lib/postgresql/15/bin/psql"}

A line "stop" or "start" on standard input stops the server, as an administrator would, or starts
it again with its data and port; each is answered with {"running": false} or {"running": true}.

The server stops and its folder goes when standard input reaches its end (the test is gone,
however it went) or on SIGTERM or SIGINT; after a SIGKILL the server stops too and only the folder
stays. Only the standard library is used. Exit code 1 with one line on stderr where the server
cannot be started.
"""

import argparse
import glob
import json
import os
import pwd
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from urllib.parse import quote

READY_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
USER = DATABASE = "lab"
# PostgreSQL refuses to run as root; Debian's package brings this account.
UNPRIVILEGED = "postgres"


class Failed(Exception):
    """What a person should read; ends the program with exit code 1."""


def bin_dir():
    """The folder with initdb and postgres: the newest of Debian's, else what the PATH has."""
    candidates = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    newest = max(candidates, key=lambda path: float(path.split("/")[4]), default=shutil.which("initdb"))
    if not newest:
        raise Failed("PostgreSQL is not installed; run scripts/provision")
    return os.path.dirname(os.path.realpath(newest))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def unprivileged():
    """The command prefix for PostgreSQL's programs, which also ties them to this process's life."""
    prefix = []
    if shutil.which("setpriv"):
        # SIGINT is PostgreSQL's fast shutdown: it comes even where this process is killed hard.
        prefix = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:
            prefix += ["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups"]
    elif os.geteuid() == 0:
        raise Failed("started as root without setpriv (package util-linux): PostgreSQL refuses root")
    return prefix


def run(command, **options):
    streams = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, timeout=60, check=False, **streams, **options)
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not installed; run scripts/provision") from None
    if done.returncode != 0:
        raise Failed(f"{os.path.basename(command[0])} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def make_certificates(folder):
    """An authority and a server certificate signed by it: rustls refuses an authority as a server."""
    path = lambda name: os.path.join(folder, name)  # noqa: E731
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    with open(path("server.ext"), "w", encoding="ascii") as extensions:
        extensions.write("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n")
        extensions.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    authority = ["openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=o11y-lab test authority"]
    run([*authority, "-keyout", path("ca.key"), "-out", path("ca.pem")])
    request = ["openssl", "req", *key, "-subj", "/CN=localhost"]
    run([*request, "-keyout", path("server.key"), "-out", path("server.csr")])
    sign = ["openssl", "x509", "-req", "-days", "2", "-in", path("server.csr"), "-out", path("server.pem")]
    by = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial", "-extfile", path("server.ext")]
    run([*sign, *by])
    os.remove(path("ca.key"))
    os.chmod(path("server.key"), 0o600)
    return path("ca.pem")


def give_to_postgres(folder):
    if os.geteuid() != 0:
        return
    try:
        owner = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise Failed(f"started as root and there is no user {UNPRIVILEGED}") from None
    for entry in [folder, *(os.path.join(folder, name) for name in os.listdir(folder))]:
        os.chown(entry, owner.pw_uid, owner.pw_gid)


def init_database(binaries, prefix, folder, password):
    password_file = os.path.join(folder, "password")
    with open(os.open(password_file, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as out:
        out.write(password)
    give_to_postgres(folder)
    initdb = [f"{binaries}/initdb", "--pgdata", f"{folder}/data", "--username", USER, "--no-sync"]
    login = ["--auth", "scram-sha-256", "--pwfile", password_file]
    run([*prefix, *initdb, *login, "--encoding", "UTF8", "--locale", "C"], cwd=folder)
    os.remove(password_file)


class Server:
    """One server on one data folder, which can be stopped and started again."""

    def __init__(self, binaries, prefix, folder, port):
        self.binaries, self.prefix, self.folder, self.port = binaries, prefix, folder, port
        self.process = None

    def start(self):
        """Returns when it takes connections."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": f"{self.folder}/server.pem",
            "ssl_key_file": f"{self.folder}/server.key",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        command = [*self.prefix, f"{self.binaries}/postgres", "-D", f"{self.folder}/data"]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        # Read back only where the server fails; a file, for a pipe that nobody reads would block it.
        with open(os.path.join(self.folder, "log"), "ab") as log:
            # A group of its own: Ctrl-C at the terminal must reach this program only, which then
            # stops it.
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        self.wait_until_ready()

    def wait_until_ready(self):
        ask = [f"{self.binaries}/pg_isready", "--host", "127.0.0.1", "--port", str(self.port), "--timeout", "5"]
        deadline = time.monotonic() + READY_TIMEOUT
        while True:
            try:
                return run(ask)
            except Failed:
                if self.ended() or time.monotonic() > deadline:
                    with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
                        raise Failed(f"the server did not start: {log.read()[-500:]}") from None
            time.sleep(0.05)

    def create_database(self, password):
        command = [f"{self.binaries}/createdb", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--username", USER, "-w", "--maintenance-db", "postgres", DATABASE]
        run(command, env={**os.environ, "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "5"})

    def ended(self):
        """Whether it ended without having been told to."""
        return self.process is not None and self.process.poll() is not None

    def stop(self):
        """PostgreSQL's fast shutdown: open transactions are undone, connections closed."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def say(answer):
    print(json.dumps(answer), flush=True)


def obey(server):
    """Follows commands until standard input ends; raises where the server dies unbidden."""
    commands = {b"stop": server.stop, b"start": server.start}
    unread = b""
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 0.5)
        if readable:
            received = os.read(sys.stdin.fileno(), 4096)
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                if line not in commands:
                    raise Failed(f"unknown command {line!r}: expected stop or start")
                commands[line]()
                say({"running": server.process is not None})
        if server.ended():
            raise Failed(f"the server ended by itself with {server.process.returncode}")


def serve(folder, port):
    binaries, prefix, password = bin_dir(), unprivileged(), secrets.token_hex(16)
    ca_file = make_certificates(folder)
    init_database(binaries, prefix, folder, password)
    server = Server(binaries, prefix, folder, port)
    try:
        server.start()
        server.create_database(password)
        url = f"postgres://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
        tls_url = f"{url}?sslmode=verify-full&sslrootcert={quote(ca_file)}"
        places = {"url": url, "tlsUrl": tls_url, "caFile": ca_file, "psql": f"{binaries}/psql"}
        say({**places, "port": port, "pid": server.process.pid})
        obey(server)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    port = parser.parse_args().port or free_port()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    folder = tempfile.mkdtemp(prefix="o11y-lab-postgres-")
    try:
        # The certificate authority is read by the test's own user, the rest by PostgreSQL only.
        os.chmod(folder, 0o755)
        serve(folder, port)
    except (Failed, subprocess.TimeoutExpired) as failure:
        print(f"postgres.py: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
