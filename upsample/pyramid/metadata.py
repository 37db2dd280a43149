"""OME-Zarr's description of a pyramid: axes, and where the samples of each level lie.

All levels cover the same field. A level whose axis has `n` of the first level's `m` samples has samples ``m / n`` times
as large, and the centre of its first one is ``(m / n - 1) / 2`` samples of the first level further inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upsample.errors import bad_value

__all__ = ["KINDS", "description", "read"]

KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
"""The axes of OME-Zarr, in their order, and their types."""


def description(
    axes: str,
    shapes: Sequence[tuple[int, ...]],
    scale: Sequence[float],
    translation: Sequence[float],
    unit: str | None,
    name: str,
    version: str,
) -> dict[str, Any]:
    """Return the entry of ``multiscales`` for levels of these shapes.

    `scale` and `translation` are those of the first level.
    """
    datasets = []
    for level, shape in enumerate(shapes):
        factors = [m / n for m, n in zip(shapes[0], shape, strict=True)]
        scales = [s * f for s, f in zip(scale, factors, strict=True)]
        shifts = [t + s * (f - 1) / 2 for t, s, f in zip(translation, scale, factors, strict=True)]
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": scales}]
        if any(shifts):
            transformations.append({"type": "translation", "translation": shifts})
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    entry: dict[str, Any] = {
        "name": name,
        "axes": [_axis(letter, unit) for letter in axes],
        "datasets": datasets,
        "type": "upsample.pyramid",
    }
    return {"version": version, **entry} if version == "0.4" else entry


def _axis(letter: str, unit: str | None) -> dict[str, str]:
    kind = KINDS[letter]
    return {"name": letter, "type": kind} | ({"unit": unit} if unit is not None and kind == "space" else {})


def read(op: str, attributes: dict[str, Any]) -> tuple[str, str, list[float] | None, list[float] | None, str | None]:
    """Return axes, the path of the first level, its scale and translation, and the unit of space, of an OME-Zarr group.

    Raises ValueError if the group does not describe a pyramid.
    """
    ome = attributes.get("ome", attributes)
    if not ome.get("multiscales"):
        raise bad_value(op, "source", "group", "it has no OME-Zarr metadata (multiscales)", "pass the path of an array")
    entry = ome["multiscales"][0]
    first = entry["datasets"][0]
    axes = "".join(axis["name"] if isinstance(axis, dict) else axis for axis in entry.get("axes", []))
    found: dict[str, list[float]] = {}
    for each in first.get("coordinateTransformations", []):
        found[each["type"]] = each.get(each["type"], [])
    units = [
        axis.get("unit") for axis in entry.get("axes", []) if isinstance(axis, dict) and axis.get("type") == "space"
    ]
    return axes, first["path"], found.get("scale"), found.get("translation"), units[0] if units else None
