"""What the functions of this dialect share: checks, and calls of plans in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arguments import as_tuple, check_dtype, check_rank, flag, integers, one_of
from upsample.arrays import Array
from upsample.errors import Raw, bad_type, bad_value
from upsample.ops.resize import resize
from upsample.ops.taped_casts import convert, multiply
from upsample.plans.arithmetic import Arithmetic, Ties
from upsample.plans.makers.tensorflow import step_of
from upsample.plans.plan_cache import Resized, planned_for_sizes, planned_later
from upsample.plans.resize import ResizePlan, tabled

__all__ = [
    "REAL",
    "centres_of",
    "checked",
    "in_size_of",
    "kernel_plan",
    "known",
    "pair",
    "raw",
    "resized",
    "run_float32",
]

REAL = arrays.FLOATING | arrays.INTEGER
_ORDERED = Arithmetic("float32", Ties.EVEN, each_axis=True, ordered=True)
"""Each product and each sum is rounded to float32, in TensorFlow's order."""


def checked(op: str, images: Array) -> tuple[ModuleType, tuple[int, int]]:
    """Return the namespace and the axes of height and width."""
    xp = arrays.namespace(op, {"images": images})
    check_rank(op, "images", images, (3, 4), "[N, H, W, C] or [H, W, C]")
    axes = (images.ndim - 3, images.ndim - 2)
    if 0 in images.shape[images.ndim - 3 :]:
        shape = Raw(f"<shape {tuple(images.shape)}>")
        raise bad_value(op, "images", shape, "only the batch may be empty", "pass samples")
    return xp, axes


def in_size_of(images: Array, axes: tuple[int, int]) -> tuple[int, int]:
    """Return height and width."""
    return int(images.shape[axes[0]]), int(images.shape[axes[1]])


def pair(op: str, argument: str, value: object) -> object:
    """Return the value, a TypeError unless it is a list or tuple."""
    if not isinstance(as_tuple(value), tuple):
        raise bad_type(op, argument, value, "height and width are needed", "pass a pair")
    return value


def known(op: str, argument: str, value: object, names_known: Sequence[str]) -> str:
    """Return a name that is one of the known ones."""
    return one_of(op, argument, value, names_known, "TensorFlow does not have it")


def centres_of(op: str, align_corners: object, half_pixel_centers: object) -> str:
    """Return how centers are computed: "legacy", "corners" or "half"."""
    is_aligned = flag(op, "align_corners", align_corners)
    if flag(op, "half_pixel_centers", half_pixel_centers):
        if is_aligned:
            raise bad_value(op, "half_pixel_centers", True, "align_corners is True, too", "pass one of them")
        return "half"
    return "corners" if is_aligned else "legacy"


def raw(
    op: str,
    images: Array,
    size: object,
    kind: str,
    align_corners: object,
    half_pixel_centers: object,
    exact: object,
    engine: str | None,
) -> Any:
    """Check what all operators have in common, and run one of them."""
    xp, axes = checked(op, images)
    out_size = integers(op, "size", pair(op, "size", size), 2, least=1, one_for_all=False)
    centres = centres_of(op, align_corners, half_pixel_centers)
    return resized(op, xp, images, axes, out_size, kind, centres, exact, engine)


def resized(
    op: str,
    xp: ModuleType,
    images: Array,
    axes: tuple[int, int],
    out_size: tuple[int, ...],
    kind: str,
    centres: str,
    exact: object,
    engine: str | None,
) -> Any:
    """Run a method that has a table of its own."""
    in_size = in_size_of(images, axes)
    keeps_bits = flag(op, "exact", exact) and kind != "nearest"
    if keeps_bits and (kind, centres) not in (("bicubic", "half"), ("area", "legacy")):
        rule = "TensorFlow's sums of that method cannot be kept"
        raise bad_value(op, "exact", exact, rule, "omit it: results agree within 2e-6")
    plan = _plan(axes, in_size, out_size, kind, centres, keeps_bits)
    if kind != "nearest":
        result = run_float32(op, xp, images, plan, engine)
        if not (keeps_bits and kind == "area"):
            return result
        steps = (step_of(n, o, centres) for n, o in zip(in_size, out_size, strict=True))
        share = np.full((1,) * images.ndim, 1.0 / float(next(steps) * next(steps)), np.float32)
        return multiply(xp, result, arrays.from_table(xp, share, result))
    check_dtype(op, "images", images, arrays.MOVABLE, "convert it")
    return resize(images, op=op, arguments=("images", "size"), xp=xp, plan=plan, out=None, engine=engine)


def run_float32(op: str, xp: ModuleType, images: Array, plan: ResizePlan, engine: str | None) -> Any:
    """Convert to float32 and run a plan."""
    check_dtype(op, "images", images, REAL, "convert it")
    x = convert(xp, images, xp.float32)
    return resize(x, op=op, arguments=("images", "size"), xp=xp, plan=plan, out=None, engine=engine)


@planned_later(lambda axes, in_size, out_size, *_: Resized(axes, in_size, out_size))
def _plan(
    axes: tuple[int, int], in_size: tuple[int, int], out_size: tuple[int, ...], kind: str, centres: str, exact: bool
) -> ResizePlan:
    name = "tensorflow area parts" if exact and kind == "area" else f"tensorflow {kind}"
    sizes = zip(in_size, out_size, strict=True)
    plan = ResizePlan(axes, tuple(tabled(n, o, name, centres, bits=0) for n, o in sizes))
    if not exact:
        return plan
    return replace(plan, arithmetic=_ORDERED, order=axes[::-1] if kind == "area" else axes)


@planned_for_sizes
def kernel_plan(
    axes: tuple[int, int],
    in_size: tuple[int, int],
    out_size: tuple[int, ...],
    scale: tuple[float, ...],
    translation: tuple[float, ...],
    kernel: str,
    antialias: bool,
    exact: bool,
) -> ResizePlan:
    """Return the plan of scale_and_translate."""
    rows = zip(in_size, out_size, scale, translation, strict=True)
    rules = (tabled(n, o, "tensorflow kernel", s, t, kernel, antialias, bits=0) for n, o, s, t in rows)
    plan = ResizePlan(axes, tuple(rules))
    return replace(plan, arithmetic=_ORDERED, order=axes) if exact else plan
