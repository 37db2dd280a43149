"""What arguments mean where some are Dask arrays; nothing here imports Dask."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from upsample.errors import Raw, bad_value

__all__ = ["beside", "is_dask", "leading"]


def is_dask(x: object) -> bool:
    """Say whether this is a Dask array."""
    module: Any = sys.modules.get("dask.array")
    return module is not None and isinstance(x, module.Array)


def leading(op: str, given: dict[str, object]) -> dict[str, object]:
    """Return the arrays whose library counts: beside Dask arrays, NumPy arrays are taken along, as Dask does.

    Raises ValueError for a Dask array whose sizes are not known, because no plan can be made for it.
    """
    if "dask.array" not in sys.modules:
        return given
    for name, x in given.items():
        if is_dask(x) and any(math.isnan(n) for n in getattr(x, "shape", ())):
            shape = getattr(x, "shape", ())
            rule = "the sizes of its chunks are not known, as after indexing by a mask"
            raise bad_value(op, name, Raw(f"<shape {shape}>"), rule, "call its compute_chunk_sizes() first")
    if given and is_dask(next(iter(given.values()))):
        return {name: x for name, x in given.items() if type(x) is not np.ndarray}
    return given


def beside(x: Any, like: Any) -> Any:
    """Return a NumPy array beside a Dask array as a Dask array in the same chunks; any other array as it is."""
    if type(x) is np.ndarray and is_dask(like):
        return sys.modules["dask.array"].from_array(x, chunks=like.chunks)
    return x
