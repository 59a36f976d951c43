"""Whether a file is CycloneDX 1.6, strictly: sbom.py FILE. Says what is wrong, line by line."""

import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text())
if wrong:
    sys.exit(f"{sys.argv[1]}: {wrong}")
