"""OpenCV's constants, and how an array is one of its images."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from upsample import arrays
from upsample.arguments import integer
from upsample.arrays import Array
from upsample.errors import Raw, bad_type, bad_value
from upsample.plans.arithmetic import Arithmetic, Ties

__all__ = [
    "BORDER_REFLECT",
    "BORDER_REFLECT_101",
    "BORDER_REPLICATE",
    "BYTES",
    "DOUBLES",
    "FLOATS",
    "INTEGERS",
    "INTER_AREA",
    "INTER_CUBIC",
    "INTER_LANCZOS4",
    "INTER_LINEAR",
    "INTER_LINEAR_EXACT",
    "INTER_NEAREST",
    "INTER_NEAREST_EXACT",
    "Border",
    "Image",
    "Interpolation",
    "image_of",
    "interpolation_of",
]


class Interpolation(IntEnum):
    """OpenCV's ways to resize, by OpenCV's numbers."""

    NEAREST = 0
    LINEAR = 1
    CUBIC = 2
    AREA = 3
    LANCZOS4 = 4
    LINEAR_EXACT = 5
    NEAREST_EXACT = 6


class Border(IntEnum):
    """OpenCV's borders of pyramids, by OpenCV's numbers."""

    REPLICATE = 1
    REFLECT = 2
    REFLECT_101 = 4


INTER_NEAREST = Interpolation.NEAREST
INTER_LINEAR = Interpolation.LINEAR
INTER_CUBIC = Interpolation.CUBIC
INTER_AREA = Interpolation.AREA
INTER_LANCZOS4 = Interpolation.LANCZOS4
INTER_LINEAR_EXACT = Interpolation.LINEAR_EXACT
INTER_NEAREST_EXACT = Interpolation.NEAREST_EXACT
BORDER_REPLICATE = Border.REPLICATE
BORDER_REFLECT = Border.REFLECT
BORDER_REFLECT_101 = Border.REFLECT_101

_DTYPES = ("uint8", "int8", "uint16", "int16", "float32", "float64")

INTEGERS = Arithmetic("float64", Ties.UP, each_axis=False)
"""Sums of integers by weights of few binary places, which float64 holds exactly."""
BYTES = Arithmetic("float32", Ties.UP, each_axis=False)
"""The same for bytes where all weights together have 16 binary places: sums fit the 24 bits of float32."""
FLOATS = Arithmetic("float32", Ties.EVEN, each_axis=False, ordered=True)
"""Sums in float32, in order, rounded once."""
DOUBLES = Arithmetic("float64", Ties.EVEN, each_axis=False, ordered=True)
"""Sums in float64, in order."""


@dataclass(frozen=True, slots=True)
class Image:
    """What an array is as an image.

    Attributes
    ----------
    top : int
        The axis of rows; that of columns follows.
    size : tuple of int
        Width and height.
    channels : int
        Values of a pixel.
    inner_axes : int
        Axes behind that of columns: 1 where there are channels, 0 where there are none.
    dtype : str
        The name of their dtype.
    """

    top: int
    size: tuple[int, int]
    channels: int
    inner_axes: int
    dtype: str

    @property
    def is_integer(self) -> bool:
        """Whether values are integers."""
        return "int" in self.dtype


def image_of(op: str, x: Array) -> Image:
    """Say what image an array is."""
    shape, name = tuple(x.shape), arrays.dtype_name(x)
    if name not in _DTYPES:
        raise bad_type(op, "src", Raw(f"<dtype {name}>"), "OpenCV does not resize it", f"pass {', '.join(_DTYPES)}")
    if len(shape) < 2:
        raise bad_value(op, "src", Raw(f"<shape {shape}>"), "an image must be [H, W] or [H, W, C]", "add axes")
    top = max(len(shape) - 3, 0)
    if 0 in shape[top:]:
        raise bad_value(op, "src", Raw(f"<shape {shape}>"), "it has no pixels", "pass an image of one or more")
    return Image(top, (shape[top + 1], shape[top]), shape[top + 2] if len(shape) > 2 else 1, len(shape) - top - 2, name)


def interpolation_of(op: str, interpolation: object) -> Interpolation:
    """Return the interpolation of a number."""
    value = integer(op, "interpolation", interpolation)
    if value not in Interpolation.__members__.values():
        known = ", ".join(f"{mode.value} (INTER_{mode.name})" for mode in Interpolation)
        raise bad_value(op, "interpolation", interpolation, "it is unknown", f"pass one of {known}")
    return Interpolation(value)
