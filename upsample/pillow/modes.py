"""Which of Pillow's modes an array is, and the arguments that both functions take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TypeVar

from upsample import arrays
from upsample.arguments import as_tuple, integer
from upsample.arrays import Array
from upsample.errors import Raw, bad_type, bad_value

__all__ = ["Image", "Resampling", "edges_of", "image_of", "major"]

_Edge = TypeVar("_Edge", int, float)


class Resampling(IntEnum):
    """Pillow's filters, by Pillow's numbers."""

    NEAREST = 0
    LANCZOS = 1
    BILINEAR = 2
    BICUBIC = 3
    BOX = 4
    HAMMING = 5
    MKS2013 = 6
    MKS2021 = 7


_PLANES: Mapping[str, str] = MappingProxyType(
    {"bool": "1", "uint8": "L", "uint16": "I;16", "int32": "I", "float32": "F"}
)
"""The mode of an image without bands, by dtype."""
_BANDS: Mapping[int, str] = MappingProxyType({2: "LA", 3: "RGB", 4: "RGBA"})
"""The mode of an image of bytes, by bands."""
_OTHERS: Mapping[str, int] = MappingProxyType(
    {"CMYK": 4, "RGBX": 4, "RGBa": 4, "La": 2, "YCbCr": 3, "LAB": 3, "HSV": 3, "P": 0}
)
"""Modes that must be named, and their bands; 0 for none."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an array is as an image.

    Attributes
    ----------
    mode : str
        Pillow's mode.
    top : int
        The axis of rows; that of columns follows.
    size : tuple of int
        Width and height.
    """

    mode: str
    top: int
    size: tuple[int, int]

    @property
    def has_alpha(self) -> bool:
        """Whether colours are multiplied by the last band before they are averaged."""
        return self.mode in ("LA", "RGBA")


def image_of(op: str, x: Array, mode: object) -> Image:
    """Say what image an array is; `mode` as the caller gave it."""
    name, shape = arrays.dtype_name(x), tuple(x.shape)
    if name not in _PLANES:
        rule = "Pillow has no such images"
        raise bad_type(op, "image", Raw(f"<dtype {name}>"), rule, f"convert it to {', '.join(_PLANES)}")
    if mode is not None and not isinstance(mode, str):
        raise bad_type(op, "mode", mode, "the name of a mode must be text", "omit it, or pass a name such as 'CMYK'")
    if mode is None:
        banded = name == "uint8" and len(shape) > 2 and shape[-1] in _BANDS
        found = _BANDS[shape[-1]] if banded else _PLANES[name]
    else:
        banded, found = _named(op, name, shape, mode), mode
    top = len(shape) - (3 if banded else 2)
    if top < 0 or (top > 0 and not banded and mode is None and len(shape) == 3 and name == "uint8"):
        rule = "an image must be [H, W], or uint8 [H, W, 2 to 4]"
        raise bad_value(op, "image", Raw(f"<shape {shape}>"), rule, "pass such an array, with a batch in front of it")
    if 0 in shape[top : top + 2]:
        raise bad_value(op, "image", Raw(f"<shape {shape}>"), "it has no pixels", "pass an image of one or more")
    return Image(found, top, (shape[top + 1], shape[top]))


def _named(op: str, dtype: str, shape: tuple[int, ...], mode: str) -> bool:
    """Check that an array can be of a mode, and say whether that has bands."""
    bands = {**dict.fromkeys(_PLANES.values(), 0), **{m: n for n, m in _BANDS.items()}, **_OTHERS}
    if mode not in bands:
        raise bad_value(op, "mode", mode, "it is unknown", f"pass one of {', '.join(bands)}")
    wanted = next((name for name, m in _PLANES.items() if m == mode), "uint8")
    if dtype != wanted:
        raise bad_value(
            op, "mode", mode, f"its images are {wanted}, and this one is {dtype}", "convert it, or omit mode"
        )
    if bands[mode] and (not shape or shape[-1] != bands[mode]):
        rule = f"its images are [H, W, {bands[mode]}], and this one is {shape}"
        raise bad_value(op, "mode", mode, rule, "omit mode, or pass another one")
    return bands[mode] > 0


def major(op: str, version: object) -> int:
    """Return the major version of Pillow that is followed."""
    if not isinstance(version, str):
        raise bad_type(op, "version", version, "a version must be text", 'pass "13", or "12" for any earlier one')
    first = version.partition(".")[0]
    if not first.isdecimal() or not 1 <= int(first) <= 13:
        raise bad_value(op, "version", version, "its rules are unknown", 'pass "13", or "12" for any earlier one')
    return int(first)


def filter_of(op: str, resample: object) -> Resampling:
    """Return the filter of a number."""
    known = ", ".join(f"{f.value} ({f.name})" for f in Resampling)
    number = integer(op, "resample", resample)
    if number not in Resampling.__members__.values():
        raise bad_value(op, "resample", resample, "it is no filter of Pillow", f"pass one of {known}")
    return Resampling(number)


def edges_of(
    op: str, box: object, of: Image, edge: Callable[[str, str, object], _Edge]
) -> tuple[_Edge, _Edge, _Edge, _Edge]:
    """Return the edges (left, upper, right, lower) of a part of an image, each checked by `edge`; None is all of it."""
    width, height = of.size
    edges = (0, 0, width, height) if box is None else as_tuple(box)
    if not isinstance(edges, tuple) or len(edges) != 4:
        raise bad_value(op, "box", box, "it has four edges", "pass (left, upper, right, lower)")
    left, upper, right, lower = (edge(op, f"box[{i}]", value) for i, value in enumerate(edges))
    if not (0 <= left < right <= width and 0 <= upper < lower <= height):
        rule = f"it must be a part of (0, 0, {width}, {height})"
        raise bad_value(op, "box", box, rule, "pass edges inside the image, the first ones first")
    return left, upper, right, lower
