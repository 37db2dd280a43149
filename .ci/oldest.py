"""Print the hard dependencies at the oldest version that pyproject.toml admits, as pip wants them."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

for requirement in tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]["dependencies"]:
    name, version = re.fullmatch(r"([\w.-]+)\s*>=\s*([\w.]+)", requirement).groups()
    print(f"{name}=={version}.*" if version.count(".") < 2 else f"{name}=={version}")
