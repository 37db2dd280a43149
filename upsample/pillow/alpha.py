"""Colours multiplied by their alpha, and divided by it again, as Pillow converts "RGBA" to "RGBa" and back.

Source: ``MULDIV255`` of src/libImaging/ImagingUtils.h, ``rgba2rgbA`` and ``rgbA2rgba`` of src/libImaging/Convert.c.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from upsample import arrays
from upsample.arrays import Array
from upsample.ops.call_chains import noted

__all__ = ["divided", "multiplied"]


def multiplied(xp: ModuleType, x: Array) -> Any:
    """Multiply the colours of ``[..., colours and alpha]`` by alpha, rounded to nearest."""
    return noted(partial(_multiplied, xp), x)


def _multiplied(xp: ModuleType, x: Array) -> Any:
    colour, alpha = _parts(xp, x)
    product = colour * alpha + 128
    return _joined(xp, ((product >> 8) + product) >> 8, x)


def divided(xp: ModuleType, x: Array) -> Any:
    """Divide the colours by alpha, rounded down and cut off at 255; where alpha is 0 they stay as they are."""
    return noted(partial(_divided, xp), x)


def _divided(xp: ModuleType, x: Array) -> Any:
    colour, alpha = _parts(xp, x)
    one = xp.ones_like(alpha)
    quotient = (colour * 255) // xp.where(alpha == 0, one, alpha)
    top = xp.ones_like(quotient) * 255
    quotient = xp.where(quotient > 255, top, quotient)
    return _joined(xp, xp.where((alpha == 0) | (alpha == 255), colour, quotient), x)


def _parts(xp: ModuleType, x: Array) -> tuple[Any, Any]:
    wide = arrays.astype(xp, x, xp.int32)
    return wide[..., :-1], wide[..., -1:]


def _joined(xp: ModuleType, colour: Any, x: Array) -> Any:
    return xp.concat([arrays.astype(xp, colour, x.dtype), x[..., -1:]], axis=-1)
