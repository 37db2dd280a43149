"""Hashes of what drawn calls give on the compiled engine, to compare processors: ``python tests/bits/record.py``.

Prints a line of JSON: for each op a hash of its results, and how many. With ``--write`` it records them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from bits.drawn_calls import OPS, bits, draw

RECORDED = Path(__file__).with_name("recorded.json")
CALLS = 50
"""Calls of each op, in float32 alone: each dtype is a kernel of its own to compile."""
EACH = 10
"""Calls a hash."""


def hashes() -> dict[str, list[str]]:
    """Return the hashes of all ops."""
    found: dict[str, list[str]] = {}
    with np.errstate(all="ignore"):
        for op in OPS:
            made = [bits(call.whole("cpu")) for _, call in draw(op, range(CALLS), ("float32",))]
            found[op] = [hashlib.sha256(b"".join(made[n : n + EACH])).hexdigest()[:16] for n in range(0, CALLS, EACH)]
    return found


if __name__ == "__main__":
    if "--write" in sys.argv:
        RECORDED.write_text(json.dumps(hashes(), indent=1) + "\n", encoding="utf-8")
    print(json.dumps(hashes()))
