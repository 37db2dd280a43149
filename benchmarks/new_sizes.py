"""``python -m benchmarks.new_sizes``: every call has a size that did not come before, as in a folder of photographs.

The same array goes to torch, Pillow or OpenCV and to upsample in turn, and never again. A figure is the median of the
rival's times over that of upsample's, by one thread and by all. It writes ``benchmarks/results/new_sizes.json`` and
``new_sizes.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import upsample
from benchmarks.machine import about, described

RESULTS = Path(__file__).resolve().parent / "results"
_Call = Callable[[Any], Any]


@dataclass(frozen=True)
class Case:
    """Calls of one kind.

    Attributes
    ----------
    name : str
        What is called, on what.
    draw : callable
        Makes an array of a size that a generator draws.
    ours : callable
        The call of upsample.
    rivals : dict
        For each rival its call, on what `prepared` made of the array.
    goals : dict
        For each rival the least figure that this project wants; no entry for a rival without a goal.
    """

    name: str
    draw: Callable[[random.Random], np.ndarray]
    ours: _Call
    rivals: dict[str, _Call]
    goals: dict[str, float]


def cases() -> Iterator[Case]:
    """Photographs, feature maps of 20² to 200², and signals of 50,000 to 500,000 samples."""
    import cv2
    import torch
    import torch.nn.functional as f
    from PIL import Image

    def planes(rng: random.Random) -> np.ndarray:
        return np.ones((1, 16, rng.randrange(20, 200), rng.randrange(20, 200)), np.float32)

    def signal(rng: random.Random) -> np.ndarray:
        return np.ones((1, 1, rng.randrange(50_000, 500_000)), np.float32)

    def photograph(rng: random.Random) -> np.ndarray:
        shape = (rng.randrange(240, 1200), rng.randrange(240, 1600), 3)
        return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)

    def by_torch(x: Any) -> Any:
        moved = torch.from_numpy(x).permute(2, 0, 1)[None]
        return f.interpolate(moved, size=(224, 224), mode="bilinear", antialias=True)

    yield Case(
        "uint8 photograph to 224², linear, antialiased",
        photograph,
        lambda x: upsample.resize(x, (224, 224), axes=(0, 1), mode="linear", antialias=True),
        {
            "torch": by_torch,
            "Pillow": lambda x: np.asarray(Image.fromarray(x).resize((224, 224), Image.Resampling.BILINEAR)),
            "OpenCV": lambda x: cv2.resize(x, (224, 224), interpolation=cv2.INTER_AREA),
        },
        {"torch": 1.2, "Pillow": 4},
    )
    for mode, goal in (("nearest", 1.5), ("bilinear", 2), ("bicubic", 4)):
        yield _of_torch(f"float32 16×(20–200)² ×2, {mode}", planes, "interpolate", goal, scale_factor=2, mode=mode)
    yield _of_torch("float32 16×(20–200)², max_pool2d 2", planes, "max_pool2d", 1.5, kernel_size=2)
    weight = np.ones((16, 16, 4, 4), np.float32)
    wide = torch.from_numpy(weight)
    yield Case(
        "float32 16×(20–200)², conv_transpose2d k4s2 16→16",
        planes,
        lambda x: upsample.conv_transpose2d(x, weight, stride=2, padding=1),
        {"torch": lambda x: f.conv_transpose2d(torch.from_numpy(x), wide, stride=2, padding=1)},
        {"torch": 1.2},
    )
    for mode, goal in (("nearest", 1), ("linear", 1.5)):
        yield _of_torch(f"float32 signal ×2, {mode}", signal, "interpolate", goal, scale_factor=2, mode=mode)


def _of_torch(name: str, draw: Callable[[random.Random], np.ndarray], op: str, goal: float, **options: Any) -> Case:
    """Return the case of a function that torch has by the same name and arguments."""
    import torch
    import torch.nn.functional as f

    ours, theirs = getattr(upsample, op), getattr(f, op)
    rivals: dict[str, _Call] = {"torch": lambda x: theirs(torch.from_numpy(x), **options)}
    return Case(name, draw, lambda x: ours(x, **options), rivals, {"torch": goal})


def measured(case: Case, sizes: int, seed: int) -> dict[str, float]:
    """Return the median time of a call by each library, in seconds; every array is another size."""
    rng, times = random.Random(seed), {name: list[float]() for name in ("upsample", *case.rivals)}
    calls = {"upsample": case.ours, **case.rivals}
    for number in range(sizes + 3):  # the first ones load libraries and kernels
        x = case.draw(rng)
        for name in sorted(calls, key=lambda _: rng.random()):
            begin = time.perf_counter()
            calls[name](x)
            if number >= 3:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(found) for name, found in times.items()}


def table(rows: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    where, load = described(machine)
    lines = [
        where,
        f"{load}.",
        "",
        "Every call has a new size. Figures are the rival's median time over that of upsample, by one thread / by all;",
        "over 1, upsample is quicker. The time is that of upsample by one thread.",
        "",
        "| call | rival | goal | figure | ms |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        for rival, goal in row["goals"].items():
            figures = "/".join(f"{times[rival] / times['upsample']:.2f}" for times in row["threads"].values())
            ms = 1e3 * row["threads"]["1"]["upsample"]
            lines.append(f"| {row['name']} | {rival} | {goal or ''} | {figures} | {ms:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    import cv2
    import torch

    parser = argparse.ArgumentParser(prog="python -m benchmarks.new_sizes", description=__doc__)
    parser.add_argument("--sizes", type=int, default=100, help="of each case")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of both files")
    given = parser.parse_args()
    machine, rows = about(), []
    for case in cases():
        row = {"name": case.name, "goals": {name: case.goals.get(name, 0) for name in case.rivals}, "threads": {}}
        for threads in sorted({1, os.cpu_count() or 1}):
            upsample.set_num_threads(threads)
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
            row["threads"][str(threads)] = measured(case, given.sizes, threads)
        rows.append(row)
        print(
            case.name, {k: {n: f"{t * 1e3:.3f}" for n, t in v.items()} for k, v in row["threads"].items()}, flush=True
        )
    (given.output / "new_sizes.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    (given.output / "new_sizes.md").write_text(table(rows, machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
