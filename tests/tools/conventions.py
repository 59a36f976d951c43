"""What OpenTelemetry's semantic conventions name, by the package in which it publishes them for Python.

    conventions.py

Writes JSON: `version`, the newest release that the package has; `attributes`, the keys; `metrics`, each
with the instrument and the unit with which the package makes it, or null where it only names it.
"""

import importlib
import inspect
import json
import pkgutil

from opentelemetry.semconv import attributes, metrics
from opentelemetry.semconv._incubating import attributes as more_attributes
from opentelemetry.semconv._incubating import metrics as more_metrics
from opentelemetry.semconv.schemas import Schemas


class Meter:
    """Says how an instrument was made, in place of making it."""

    def __getattr__(self, name):
        kind = name.removeprefix("create_").removeprefix("observable_").replace("_", "")
        return lambda name, *_, unit="", **__: (name, kind, unit)


def modules(packages):
    for package in packages:
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            yield importlib.import_module(found.name)


def names(module):
    return [value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)]


def made(module):
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("create_"):
            # What is observed is read by callbacks.
            yield function(Meter(), *([None] * (len(inspect.signature(function).parameters) - 1)))


def main():
    known = {}
    for module in modules([metrics, more_metrics]):
        known.update((name, None) for name in names(module) if name not in known)
        known.update((name, [kind, unit]) for name, kind, unit in made(module))
    keys = [key for module in modules([attributes, more_attributes]) for key in names(module)]
    version = list(Schemas)[-1].value.rsplit("/", 1)[-1]
    print(json.dumps({"version": version, "attributes": keys, "metrics": known}))


if __name__ == "__main__":
    main()
