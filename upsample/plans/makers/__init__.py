"""The registry of functions that make tap tables which no filter and step describe.

A rule contains the name of its maker and the maker's numbers (`upsample.plans.resize.tabled`). Engines, gradients and
parts of plans read only the table. Therefore a dialect with weights, positions or borders of its own needs only an
entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from upsample.plans.makers import jax, native, onnx, opencv, pillow, splines, tensorflow
from upsample.plans.tap_table import Ints, Reals, Taps

__all__ = ["MAKERS", "Maker"]


@dataclass(frozen=True, slots=True)
class Maker:
    """A function that makes tap tables, and what engines may assume about them.

    Attributes
    ----------
    make : callable
        ``make(in_size, out_size, output, *numbers)`` returns the table of the outputs with the consecutive numbers
        `output`. The taps of an output must depend on its own number alone.
    moves : bool
        Whether each output is one input, with weight 1.
    apart : callable or None
        Takes the arguments of `make` and returns the inputs and weights of all taps, two arrays of shape (out, taps),
        before taps on one input are merged; None if no arithmetic needs them.
    """

    make: Callable[..., Taps]
    moves: bool
    apart: Callable[..., tuple[Ints, Reals]] | None = None


MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        "jax kernel": Maker(jax.scaled, moves=False),
        "jax nearest": Maker(jax.nearest, moves=True),
        "native": Maker(native.resampled, moves=False),
        "native nearest": Maker(native.point, moves=True),
        "onnx nearest": Maker(onnx.nearest, moves=True),
        "onnx weighted": Maker(onnx.weighted, moves=False),
        "opencv area": Maker(opencv.area, moves=False),
        "opencv area cells": Maker(opencv.area_cells, moves=False),
        "opencv area linear": Maker(opencv.area_linear, moves=False, apart=opencv.area_linear_apart),
        "opencv cubic": Maker(opencv.cubic, moves=False),
        "opencv lanczos4": Maker(opencv.lanczos4, moves=False),
        "opencv linear": Maker(opencv.linear, moves=False, apart=opencv.linear_apart),
        "opencv linear exact": Maker(opencv.linear_exact, moves=False),
        "opencv nearest": Maker(opencv.nearest, moves=True),
        "opencv nearest fixed": Maker(opencv.nearest_fixed, moves=True),
        "opencv nearest walk": Maker(opencv.nearest_walk, moves=True),
        "opencv pyramid down": Maker(opencv.pyramid_down, moves=False),
        "opencv pyramid up": Maker(opencv.pyramid_up, moves=False),
        "pillow": Maker(pillow.window, moves=False),
        "pillow nearest": Maker(pillow.nearest, moves=True),
        "gaussian": Maker(splines.gaussian, moves=False),
        "spline": Maker(splines.interpolated, moves=False),
        "spline coefficients": Maker(splines.coefficients, moves=False),
        "spline nearest": Maker(splines.interpolated, moves=True),
        "tensorflow area": Maker(tensorflow.area, moves=False),
        "tensorflow area parts": Maker(tensorflow.area_parts, moves=False),
        "tensorflow bicubic": Maker(tensorflow.cubic, moves=False),
        "tensorflow bilinear": Maker(tensorflow.linear, moves=False),
        "tensorflow kernel": Maker(tensorflow.scaled, moves=False),
        "tensorflow nearest": Maker(tensorflow.nearest, moves=True),
        "wrapped": Maker(splines.wrapped, moves=True),
    }
)
