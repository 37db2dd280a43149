"""Who is faster than the compiled kernels, and where, by the figures recorded in benchmarks/results."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from upsample.command_line.bench.show import figure

__all__ = ["faster"]

ROOT = Path(__file__).resolve().parents[2]
OPS = {
    "resize": "interpolation",
    "pool": "max-pooling",
    "unpool": "max-unpooling",
    "conv_transpose": "transposed convolution",
}
WAYS = (("cpu", "fresh"), ("cpu", "out"))


def faster() -> str:
    """Such as "torch in max-unpooling (9 of 16, 1.7×)", the largest factor of a library first."""
    by_library: dict[str, list[tuple[float, str]]] = {}
    for (library, op), ratios in _ratios().items():
        below = [ratio for ratio in ratios if float(figure(ratio)) < 1]  # as they are printed
        if below:
            factor = 1 / min(below)
            words = "gradients of " * op.endswith("backward") + OPS[op.removesuffix(" backward")]
            said = f"{words} ({len(below)} of {len(ratios)}, {factor:.1f}×)"
            by_library.setdefault(library, []).append((factor, said))
    parts = (f"{name} in {', '.join(said for _, said in sorted(found)[::-1])}" for name, found in by_library.items())
    return textwrap.fill("; ".join(parts) + ".", 120)


def _ratios() -> dict[tuple[str, str], list[float]]:
    """By library and op, its time over ours in every case and way, on the machine measured last."""
    sys.path.append(str(ROOT))
    from benchmarks.cases import CASES
    from benchmarks.measurements import read

    results = read(sorted((ROOT / "benchmarks" / "results").glob("cpu*.json")))[-1]
    found: dict[tuple[str, str], list[float]] = {}
    for case in CASES:
        for figures in filter(None, (results.of(case, way) for way in WAYS)):
            for library, ratio in figures["ratios"].items():
                if library != "copy":
                    found.setdefault((library, case.op), []).append(ratio)
    return found
