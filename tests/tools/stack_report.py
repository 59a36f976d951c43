"""The report of `make test-stack`: one table and, where a file is named, the same as JSON.

    python stack_report.py FOLDER SECONDS [FILE]     FOLDER has a file for each part, as tests/it/stack writes them
"""

import datetime
import json
import pathlib
import subprocess
import sys


def printed(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def images():
    """Where each image comes from: `pinned` by a registry, `stands in` for what is pinned, or `built` here."""
    names = printed("docker", "images", "--filter", "dangling=false", "--format", "{{.Repository}}:{{.Tag}}").split()
    label = '{{index .Config.Labels "lab.o11y.stand-in"}}'
    stand_in = {name: printed("docker", "image", "inspect", "--format", label, name) for name in names}

    def source(name):
        if name.startswith("o11y-lab"):
            return "built"
        return "pinned" if stand_in[name] in ("", "<no value>", "unknown") else "stands in"

    return {name: source(name) for name in sorted(names)}


def main(folder, seconds, file=None):
    parts = [json.loads(path.read_text()) for path in sorted(pathlib.Path(folder).glob("*.json"))]
    report = {
        "date": datetime.date.today().isoformat(),
        "commit": printed("git", "rev-parse", "--short", "HEAD"),
        "engine": printed("docker", "version", "--format", "{{.Server.Version}}"),
        "compose": printed("docker", "compose", "version", "--short"),
        "seconds": int(seconds),
        "images": images(),
        "parts": parts,
    }
    print("| part | check | | seen | seconds |\n|---|---|---|---|---:|")
    for part in parts:
        for row in part["rows"]:
            print(f"| {part['part']} | {row['check']} | {row['verdict']} | {row['seen']} | {row['seconds']:.0f} |")
    if file:
        pathlib.Path(file).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
