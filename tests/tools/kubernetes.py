"""deploy/kubernetes without Go: what a kustomization makes, and whether Kubernetes' API would take it.

    kubernetes.py render FOLDER              the objects, a JSON list; ConfigMaps and Secrets without the hash
    kubernetes.py validate FOLDER VERSION..  every object against the schemas of these versions of the API
    kubernetes.py plain FILE                 the objects that `kustomize build` printed into FILE, in the same form

`render` knows of kustomize what this repository uses of it, refuses every other field, and says which file is not
there. `make test-kubernetes` holds it against kustomize itself. Exit code 1 where something does not hold.
"""

import base64
import copy
import json
import pathlib
import re
import sys

import kubernetes_validate
import yaml

KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "patches", "images"}
KNOWN |= {"configMapGenerator", "secretGenerator"}
CLUSTER = {"Namespace"}
# libyaml where it is there: a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HASH = re.compile(r"-[2456789bcdfghkmt]{10}$")


class Refused(Exception):
    """Something that kustomize would refuse, or that this tool does not know."""


def documents(path):
    """The objects of a YAML file."""
    try:
        return [one for one in yaml.load_all(path.read_text(), LOADER) if one]
    except FileNotFoundError:
        raise Refused(f"{path} does not exist") from None


def below(root, name):
    """A file that a kustomization names: none above it, as kustomize has it by default."""
    path = (root / name).resolve()
    if root.resolve() not in path.parents:
        raise Refused(f"{root}: {name} is not below it")
    if not path.is_file():
        raise Refused(f"{root}: {name} does not exist")
    return path


def merge(old, new):
    """A strategic merge: maps by key, lists of named things by name, the rest replaced; null takes away."""
    if isinstance(old, dict) and isinstance(new, dict):
        merged = copy.deepcopy(old)
        for key, value in new.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(merged[key], value) if key in merged else copy.deepcopy(value)
        return merged
    named = lambda all: isinstance(all, list) and all and all[0] and isinstance(all[0], dict) and "name" in all[0]
    if named(old) and named(new):
        # New elements come first.
        ours = {one["name"]: one for one in new}
        theirs = {one["name"] for one in old}
        first = [one for one in new if one["name"] not in theirs]
        return first + [merge(one, ours[one["name"]]) if one["name"] in ours else one for one in old]
    return copy.deepcopy(new)


def selected(thing, target):
    """Whether a patch's target means an object; of selectors `key` alone is known."""
    if set(target) - {"kind", "labelSelector"}:
        raise Refused(f"a target with {sorted(target)}")
    labels = thing["metadata"].get("labels", {})
    return thing["kind"] == target["kind"] and target["labelSelector"] in labels


def patched(all, root, patch):
    """All objects, with one patch laid over those that it means."""
    text = below(root, patch["path"]).read_text() if "path" in patch else patch["patch"]
    new = yaml.load(text, LOADER)
    name = lambda one: (one["kind"], one["metadata"]["name"])
    target = patch.get("target")
    hits = [one for one in all if (selected(one, target) if target else name(one) == name(new))]
    if not hits:
        raise Refused(f"{root}: nothing that {patch} is for")
    body = {key: value for key, value in new.items() if key not in ("apiVersion", "kind", "metadata")}
    return [merge(one, body) if any(one is hit for hit in hits) else one for one in all]


def generated(root, kind, row):
    """A ConfigMap of files or a Secret of literals."""
    if set(row) - {"name", "files", "literals"}:
        raise Refused(f"{root}: a generator with {sorted(row)}")
    data = {}
    for entry in row.get("files", []):
        key, _, path = entry.rpartition("=")
        file = below(root, path)
        data[key or file.name] = file.read_text()
    for entry in row.get("literals", []):
        key, _, value = entry.partition("=")
        data[key] = value
    made = {"apiVersion": "v1", "kind": kind, "metadata": {"name": row["name"]}, "data": data}
    if kind == "Secret":
        made["type"] = "Opaque"
        made["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return made


def with_images(all, images):
    """The images of all pods, renamed and tagged."""
    for one in all:
        pod = one.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("containers", []):
            for image in images:
                if container["image"].split(":")[0] == image["name"]:
                    container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
    return all


def render(root, all=()):
    """The objects of a kustomization; a component gets those that are there already."""
    settings = documents(root / "kustomization.yaml")[0]
    if set(settings) - KNOWN:
        raise Refused(f"{root}: {sorted(set(settings) - KNOWN)} is not known here")
    all = list(all)
    for name in settings.get("resources", []):
        all += render(root / name) if (root / name).is_dir() else documents(below(root, name))
    for generator, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
        all += [generated(root, kind, row) for row in settings.get(generator, [])]
    for name in settings.get("components", []):
        all = render(root / name, all)
    for patch in settings.get("patches", []):
        all = patched(all, root, patch)
    for one in all:
        if "namespace" in settings and one["kind"] not in CLUSTER:
            one["metadata"]["namespace"] = settings["namespace"]
    return with_images(all, settings.get("images", []))


def plain(path):
    """What kustomize printed, with the hashes of generated names taken off wherever they stand."""
    all = documents(path)
    for one in all:
        if one["kind"] in ("ConfigMap", "Secret"):
            one["metadata"]["name"] = HASH.sub("", one["metadata"]["name"])

    def bare(value):
        if isinstance(value, dict):
            return {key: bare(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [bare(inner) for inner in value]
        known = isinstance(value, str) and HASH.search(value)
        return HASH.sub("", value) if known else value

    # A ConfigMap's data is text of its own.
    return [one if "data" in one else bare(one) for one in all]


def by_name(all):
    """Sorted; two objects of one kind and name are one too many."""
    key = lambda one: (one["kind"], one["metadata"]["name"])
    names = [key(one) for one in all]
    twice = {str(name) for name in names if names.count(name) > 1}
    if twice:
        raise Refused(f"twice: {', '.join(sorted(twice))}")
    return sorted(all, key=key)


def validate(all, versions):
    """What the API's schemas do not allow, a line each; fields that they do not know too."""
    for version in versions:
        for one in all:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                where = ".".join(map(str, getattr(error, "path", [])))
                yield f"{version}: {one['kind']} {one['metadata']['name']}: {where}: {error.message}"


def main():
    command, place, versions = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    try:
        all = by_name(plain(place) if command == "plain" else render(place))
    except Refused as error:
        sys.exit(str(error))
    if command == "validate":
        wrong = list(validate(all, versions))
        print("\n".join(wrong) or f"{len(all)} objects")
        return bool(wrong)
    json.dump(all, sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
