"""Add a picture to the page of every public function: its input and its result on a small example.

The picture is drawn while Sphinx builds, by the function itself, so it cannot differ from what the function returns.
A function without an entry in `EXAMPLES` is an error: each has a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from examples import EXAMPLES
from sphinx.application import Sphinx
from sphinx.util import logging

FOLDER = "_pictures"
LOGGER = logging.getLogger(__name__)
WITHOUT = (
    "upsample.compare",
    "upsample.onnx.run_node",
    "upsample.pyramid.downsample_mode",
    "upsample.pyramid.write_pyramid",
    "upsample.warmup",
    "upsample.explain",
    "upsample.get_num_threads",
    "upsample.num_threads",
    "upsample.set_num_threads",
    "upsample.synchronize",
)
"""Functions that return no array."""
LARGEST_WITH_NUMBERS = 8


def as_planes(array: np.ndarray) -> list[np.ndarray]:
    """Return an array as at most four 2-D planes: leading axes are flattened, a 1-D array is one row."""
    array = np.asarray(array)
    if array.ndim < 2:
        return [array.reshape(1, -1)]
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 1:
        return [array.reshape(1, -1)]
    return list(array.reshape(-1, *array.shape[-2:]))[:4]


def draw(title: str, arrays: Sequence[tuple[str, np.ndarray]], path: Path) -> None:
    """Draw named arrays side by side, small ones with their numbers."""
    columns = [(name, as_planes(array)) for name, array in arrays]
    most = max(len(planes) for _, planes in columns)
    only_rows = all(plane.shape[0] == 1 for _, planes in columns for plane in planes)
    size = (2.9 * len(columns), (0.9 if only_rows else 2.5) * most + 0.5)
    figure, axes = plt.subplots(most, len(columns), figsize=size, squeeze=False, layout="constrained")
    for column, (name, planes) in enumerate(columns):
        for row in range(most):
            axis = axes[row, column]
            if row >= len(planes):
                axis.axis("off")
                continue
            show(axis, planes[row])
            if row == 0:
                axis.set_title(name, fontsize=9)
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, facecolor="white")
    plt.close(figure)


def show(axis: Any, plane: np.ndarray) -> None:
    """Draw one plane as squares, with its numbers if they fit."""
    values = np.asarray(plane, dtype=float)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    image = axis.imshow(values, cmap="viridis", vmin=low, vmax=high if high > low else low + 1)
    axis.set(xticks=[], yticks=[])
    if max(values.shape) > LARGEST_WITH_NUMBERS:
        return
    for (i, j), value in np.ndenumerate(values):
        dark = image.norm(value) < 0.6 if np.isfinite(value) else True
        axis.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=8, color="white" if dark else "black")


def picture_of(name: str) -> tuple[str, list[tuple[str, np.ndarray]]]:
    """Return the caption of an example and its named arrays."""
    example: Callable[[], tuple[str, list[tuple[str, np.ndarray]]]] = EXAMPLES[name]
    return example()


def add_picture(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Append the picture to a docstring (the event ``autodoc-process-docstring``)."""
    module = getattr(obj, "__module__", "") or ""
    if what != "function" or not module.startswith("upsample") or name in WITHOUT:
        return
    is_short = name.startswith(("upsample.functional.", "upsample.chainer.")) or name.count(".") == 1
    key = name.rpartition(".")[2] if is_short else name.removeprefix("upsample.")
    if key not in EXAMPLES:
        LOGGER.warning("no picture for %s: add an entry to docs/_extensions/examples.py", name)
        return
    path = Path(app.srcdir) / FOLDER / f"{key}.png"
    caption, arrays = picture_of(key)
    if not path.is_file():
        draw(caption, arrays, path)
    lines += ["", f".. image:: /{FOLDER}/{key}.png", "   :class: function-picture", f"   :alt: {caption}", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-docstring", add_picture)
    return {"parallel_read_safe": True}
