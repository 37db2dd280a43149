"""``python -m benchmarks.dialect_rows``: the dialects beside Pillow and OpenCV, whose results they have.

Each call alternates with the original's on the same image, by one thread and by all; Pillow has one. A figure is the
original's quickest time over ours. It writes ``benchmarks/results/dialects.json`` and ``dialects.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import upsample
from benchmarks.machine import about, described
from upsample import opencv, pillow

RESULTS = Path(__file__).resolve().parent / "results"
SIZES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "1080p to 224²": ((1920, 1080), (224, 224)),
    "4K to 1080p": ((3840, 2160), (1920, 1080)),
    "640×480 to 224²": ((640, 480), (224, 224)),
    "512² halved": ((512, 512), (256, 256)),
    "512² doubled": ((512, 512), (1024, 1024)),
}
"""Width and height before and after."""
CHANNELS = {"grey": 1, "RGB": 3, "RGBA": 4}
PILLOW = ("NEAREST", "BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS")

_Call = Callable[[], Any]


def rows(seconds: float) -> Iterator[dict[str, Any]]:
    """Measure every case; yields its names, and the times of both by the number of threads."""
    for library, dtype, mode, size, kind in cases():
        image = _image(dtype, SIZES[size][0], CHANNELS[kind])
        theirs, ours = (_opencv if library == "OpenCV" else _pillow)(image, mode, SIZES[size][1])
        row = {"library": library, "dtype": dtype, "mode": mode, "size": size, "image": kind, "threads": {}}
        row["levels"] = float(np.abs(np.asarray(theirs(), float) - np.asarray(ours(), float)).max())
        for threads in sorted({1, os.cpu_count() or 1}):
            upsample.set_num_threads(threads)
            _set_opencv_threads(threads)
            row["threads"][str(threads)] = _alternated(theirs, ours, seconds)
        yield row


def cases() -> Iterator[tuple[str, str, str, str, str]]:
    """Library, dtype, mode, size and kind of image."""
    for dtype in ("uint8", "uint16", "float32"):
        for mode in opencv.Interpolation:
            if mode is opencv.INTER_LINEAR_EXACT and dtype == "float32":
                continue
            for size in SIZES:
                for kind in CHANNELS:
                    yield "OpenCV", dtype, mode.name, size, kind
    for mode_name in PILLOW:
        for size in SIZES:
            for kind in ("grey", "RGB"):
                yield "Pillow", "uint8", mode_name, size, kind


def _image(dtype: str, size: tuple[int, int], channels: int) -> np.ndarray:
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def _opencv(image: np.ndarray, mode: str, size: tuple[int, int]) -> tuple[_Call, _Call]:
    import cv2

    number = int(opencv.Interpolation[mode])
    return (
        lambda: cv2.resize(image, size, interpolation=number),
        lambda: opencv.resize(image, size, interpolation=number),
    )


def _set_opencv_threads(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)
    cv2.ipp.setUseIPP(False)  # with IPP, some modes have other bits


def _pillow(image: np.ndarray, mode: str, size: tuple[int, int]) -> tuple[_Call, _Call]:
    from PIL import Image

    theirs, number = Image.fromarray(image), pillow.Resampling[mode]
    return lambda: theirs.resize(size, int(number)), lambda: pillow.resize(image, size, number)


def _alternated(theirs: _Call, ours: _Call, seconds: float) -> dict[str, float]:
    """Call both in turn for some time, at least three times; return the quickest of each."""
    best, until, rounds = [float("inf")] * 2, time.perf_counter() + seconds, 0
    while time.perf_counter() < until or rounds < 3:
        for place, call in enumerate((theirs, ours)):
            begin = time.perf_counter()
            call()
            best[place] = min(best[place], time.perf_counter() - begin)
        rounds += 1
    return {"theirs": best[0], "ours": best[1]}


def table(found: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    """Return the figures as Markdown: a line for each mode, a column for each size and kind of image."""
    where, load = described(machine)
    lines = [
        f"{where} OpenCV without IPP.",
        f"{load}; what else runs shows most by all threads.",
        "Figures are the original's time over that of upsample, by one thread / by all; over 1, upsample is quicker.",
        "Pillow has one thread. Each column has the images "
        + ", ".join(CHANNELS)
        + " (Pillow: grey, RGB), and `Δ` is the largest difference of results.",
    ]
    groups: dict[tuple[str, str], dict[str, dict[str, list[dict[str, Any]]]]] = {}
    for row in found:
        modes = groups.setdefault((row["library"], row["dtype"]), {})
        modes.setdefault(row["mode"], {}).setdefault(row["size"], []).append(row)
    for (library, dtype), modes in groups.items():
        lines += [
            "",
            f"## {library}, {dtype}",
            "",
            f"| mode | {' | '.join(SIZES)} | Δ |",
            "|---" * (len(SIZES) + 2) + "|",
        ]
        for mode, sizes in modes.items():
            cells = [", ".join(map(_ratios, sizes.get(size, []))) for size in SIZES]
            worst = max(row["levels"] for of_size in sizes.values() for row in of_size)
            lines.append(f"| {mode} | {' | '.join(cells)} | {worst:.2g} |")
    return "\n".join(lines) + "\n"


def _ratios(row: dict[str, Any]) -> str:
    """Return the ratios by one thread and by all."""
    return "/".join(f"{times['theirs'] / times['ours']:.1f}" for times in row["threads"].values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialect_rows", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each figure")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of both files")
    given = parser.parse_args()
    os.environ["UPSAMPLE_COMPILE"] = "eager"
    machine, found = about(), []
    for row in rows(given.seconds):
        found.append(row)
        print(row["library"], row["dtype"], row["mode"], row["size"], row["image"], _ratios(row), flush=True)
    document = {"machine": machine, "rows": found}
    (given.output / "dialects.json").write_text(json.dumps(document, indent=1) + "\n")
    (given.output / "dialects.md").write_text(table(found, machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
