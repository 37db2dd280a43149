"""``upsample compare``: resize a picture by the rules of two libraries, and draw the difference."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upsample.command_line.inputs import photograph
from upsample.comparison import compare, ways

__all__ = ["run"]


def run(a: str, b: str, image: str | None, size: tuple[int, int], output: str | None) -> int:
    """Compare two ways, print the differences, and draw them.

    Parameters
    ----------
    a, b : str
        Names of `upsample.comparison.ways`.
    image : str or None
        An image file; None is the photograph of this package.
    size : tuple of int
        Width and height of the results.
    output : str or None
        The file to write: both results, and their difference, white at its largest.

    Returns
    -------
    int
        The exit status: 2 for a way that is unknown, or a file that cannot be read or written.
    """
    unknown = [way for way in (a, b) if way not in ways()]
    if unknown:
        print(f"upsample compare: {', '.join(unknown)} unknown; pass two of: {', '.join(ways())}", file=sys.stderr)
        return 2
    try:
        pixels = _read(image)
    except OSError as error:
        print(f"upsample compare: {image} cannot be read: {error}", file=sys.stderr)
        return 2
    found = compare(a, b, pixels, size)
    print(found)
    if output is None:
        return 0
    parts = (np.clip(np.rint(x.astype(np.float64)), 0, 255).astype(np.uint8) for x in (found.first, found.second))
    try:
        _write(np.concatenate([*parts, found.picture()], axis=1), output)
    except (OSError, ValueError) as error:  # Pillow's ValueError: an unknown suffix
        print(f"upsample compare: {output} cannot be written: {error}", file=sys.stderr)
        return 2
    print(f"  {output}: {a}, {b}, and their difference, where white is {found.largest:.4g}")
    return 0


def _read(path: str | None) -> NDArray[Any]:
    if path is None:
        return photograph()
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))


def _write(pixels: NDArray[Any], path: str) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(Path(path))
