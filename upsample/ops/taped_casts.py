"""Steps between a dialect's arguments and its op that a tape must record: shapes, dtypes and borders.

torch's autograd and JAX trace these operations on their own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.array_api import maximum, minimum
from upsample.arrays import Array
from upsample.autograd.step import Arrays
from upsample.autograd.tape import record, taped
from upsample.float_errors import quiet
from upsample.ops.call_chains import note, noted

__all__ = [
    "add",
    "clip",
    "convert",
    "crop",
    "fill",
    "mean_of_cells",
    "multiply",
    "permute",
    "repeat",
    "reshape",
    "wrap",
]


def reshape(xp: ModuleType, x: Array, shape: tuple[int, ...]) -> Any:
    """Return `x` under another shape."""
    if taped(x):
        return record(_Reshape(xp, tuple(x.shape), shape), x)[0]
    return noted(partial(_reshaped, xp, shape), x)


def _reshaped(xp: ModuleType, shape: tuple[int, ...], x: Any) -> Any:
    return xp.reshape(x, shape)


@quiet
def convert(xp: ModuleType, x: Array, dtype: Any) -> Any:
    """Return `x` in another dtype; `x` itself if it has that dtype."""
    if taped(x) and x.dtype != dtype:
        return record(_Convert(xp, x.dtype, dtype), x)[0]
    result = arrays.astype(xp, x, dtype)
    if result is not x:
        note(partial(_converted, xp, dtype), (x,), result)
    return result


def _converted(xp: ModuleType, dtype: Any, x: Any) -> Any:
    return arrays.astype(xp, x, dtype)


@quiet
def add(xp: ModuleType, x: Array, constant: Array) -> Any:
    """Return `x` with a constant added, which is broadcast to `x` and of its dtype."""
    if taped(x):
        return record(_Add(xp, constant), x)[0]
    return noted(partial(operator.add, constant), x)


@quiet
def multiply(xp: ModuleType, x: Array, constant: Array) -> Any:
    """Return `x` times a real constant, which is broadcast to `x` and of its dtype."""
    if taped(x):
        return record(_Multiply(xp, constant), x)[0]
    return noted(partial(operator.mul, constant), x)


@quiet
def clip(xp: ModuleType, x: Array, low: Array, high: Array) -> Any:
    """Return `x` clipped to two constants; clipped values and the constants have no gradient."""
    if taped(x):
        return record(_Clip(xp, low, high), x)[0]
    return minimum(xp, maximum(xp, x, low), high)


@quiet
def fill(xp: ModuleType, x: Array, is_filled: Array, value: Array) -> Any:
    """Return `x` with `value` where `is_filled`; both are broadcast to `x`, of whose dtype the value is."""
    if taped(x):
        return record(_Fill(xp, is_filled, value), x)[0]
    return noted(partial(xp.where, is_filled, value), x)


def crop(xp: ModuleType, x: Array, axis: int, begin: int, end: int) -> Any:
    """Return the samples ``[begin, end)`` of an axis."""
    if taped(x):
        return record(_Crop(xp, axis, x.shape[axis], begin, end), x)[0]
    return noted(partial(_cut, axis=axis, begin=begin, end=end), x)


def mean_of_cells(
    xp: ModuleType, x: Array, axes: tuple[int, int], cell: tuple[int, int], average: Callable[[Any], Any]
) -> Any:
    """Return ``average(x)``: means of cells of `cell` samples along `axes`, fewer in the last cell of an axis."""
    if taped(x):
        sizes = x.shape[axes[0]], x.shape[axes[1]]
        return record(_MeanOfCells(xp, axes, sizes, cell, average), x)[0]
    return noted(average, x)


def permute(xp: ModuleType, x: Array, order: tuple[int, ...]) -> Any:
    """Return `x` with its axes in another order."""
    if taped(x):
        return record(_Permute(xp, order), x)[0]
    return _permuted(xp, x, order)


def _permuted(xp: ModuleType, x: Any, order: tuple[int, ...]) -> Any:
    return np.transpose(x, order) if xp is np else xp.permute_dims(x, order)


def repeat(xp: ModuleType, x: Array, count: int) -> Any:
    """Return a vector of `count` elements from a vector of as many, or of one."""
    if x.shape[0] == count:
        return x
    if taped(x):
        return record(_Repeat(xp, count), x)[0]
    return xp.broadcast_to(x, (count,))


def wrap(xp: ModuleType, x: Array, axis: int, before: int, after: int) -> Any:
    """Return `x` continued along an axis periodically."""
    if taped(x):
        return record(_Wrap(xp, axis, x.shape[axis], before, after), x)[0]
    return _wrapped(xp, x, axis, before, after)


def _wrapped(xp: ModuleType, x: Any, axis: int, before: int, after: int) -> Any:
    return xp.concat([_cut(x, axis, *ends) for ends in _rounds(x.shape[axis], before, after)], axis=axis)


def _rounds(size: int, before: int, after: int) -> list[tuple[int, int]]:
    """Return the ranges of samples that make up a periodically continued axis."""
    rounds = range((-before) // size, -(-after // size) + 1)
    return [(max(0, -before - n * size), min(size, size + after - n * size)) for n in rounds]


def _cut(x: Any, axis: int, begin: int, end: int) -> Any:
    return x[(slice(None),) * axis + (slice(begin, end), ...)]


@dataclass(frozen=True, slots=True)
class _Move:
    """Base of steps with one input that keep no array for their gradient."""

    xp: ModuleType

    @property
    def differentiable(self) -> int:
        return 1

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: tuple[bool, ...]) -> Arrays:
        return ()


@dataclass(frozen=True, slots=True)
class _Reshape(_Move):
    before: tuple[int, ...]
    after: tuple[int, ...]

    def run(self, x: Any) -> Arrays:
        return (self.xp.reshape(x, self.after),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (self.xp.reshape(grad, self.before),)


@dataclass(frozen=True, slots=True)
class _Add(_Move):
    constant: Any

    def run(self, x: Any) -> Arrays:
        return (x + self.constant,)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (grad,)


@dataclass(frozen=True, slots=True)
class _Multiply(_Move):
    constant: Any

    def run(self, x: Any) -> Arrays:
        return (x * self.constant,)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (grad * self.constant,)


@dataclass(frozen=True, slots=True)
class _Clip(_Move):
    low: Any
    high: Any

    def run(self, x: Any) -> Arrays:
        return (minimum(self.xp, maximum(self.xp, x, self.low), self.high),)

    def keep(self, inputs: Arrays, outputs: Arrays, wanted: tuple[bool, ...]) -> Arrays:
        return ((inputs[0] >= self.low) & (inputs[0] <= self.high),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (self.xp.where(kept[0], grad, self.xp.zeros_like(grad)),)


@dataclass(frozen=True, slots=True)
class _Fill(_Move):
    is_filled: Any
    value: Any

    def run(self, x: Any) -> Arrays:
        return (self.xp.where(self.is_filled, self.value, x),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (self.xp.where(self.is_filled, self.xp.zeros_like(self.value, dtype=grad.dtype), grad),)


@dataclass(frozen=True, slots=True)
class _Wrap(_Move):
    axis: int
    size: int
    before: int
    after: int

    def run(self, x: Any) -> Arrays:
        return (_wrapped(self.xp, x, self.axis, self.before, self.after),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        total, place = None, 0
        for begin, end in _rounds(self.size, self.before, self.after):
            part = _cut(grad, self.axis, place, place + end - begin)
            place += end - begin
            shape = list(grad.shape)
            ends = []
            for empty in (begin, self.size - end):
                shape[self.axis] = empty
                ends.append(self.xp.zeros(tuple(shape), dtype=grad.dtype, device=arrays.device_of(grad)))
            whole = self.xp.concat([ends[0], part, ends[1]], axis=self.axis)
            total = whole if total is None else total + whole
        return (total,)


@dataclass(frozen=True, slots=True)
class _Crop(_Move):
    axis: int
    size: int
    begin: int
    end: int

    def run(self, x: Any) -> Arrays:
        return (_cut(x, self.axis, self.begin, self.end),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        shape, ends = list(grad.shape), []
        for empty in (self.begin, self.size - self.end):
            shape[self.axis] = empty
            ends.append(self.xp.zeros(tuple(shape), dtype=grad.dtype, device=arrays.device_of(grad)))
        return (self.xp.concat([ends[0], grad, ends[1]], axis=self.axis),)


@dataclass(frozen=True, slots=True)
class _MeanOfCells(_Move):
    axes: tuple[int, int]
    sizes: tuple[int, int]
    cell: tuple[int, int]
    average: Callable[[Any], Any]

    def run(self, x: Any) -> Arrays:
        return (self.average(x),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        for axis, size, cell in zip(self.axes, self.sizes, self.cell, strict=True):
            users = np.arange(size) // cell
            share = 1.0 / np.bincount(users)[users]
            column = share.reshape((-1,) + (1,) * (len(grad.shape) - axis - 1))
            grad = arrays.take(self.xp, grad, users, axis)
            grad = grad * arrays.from_table(self.xp, column, grad, grad.dtype)
        return (grad,)


@dataclass(frozen=True, slots=True)
class _Permute(_Move):
    order: tuple[int, ...]

    def run(self, x: Any) -> Arrays:
        return (_permuted(self.xp, x, self.order),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (_permuted(self.xp, grad, tuple(self.order.index(axis) for axis in range(len(self.order)))),)


@dataclass(frozen=True, slots=True)
class _Convert(_Move):
    before: Any
    after: Any

    def run(self, x: Any) -> Arrays:
        return (arrays.astype(self.xp, x, self.after),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (arrays.astype(self.xp, grad, self.before),)


@dataclass(frozen=True, slots=True)
class _Repeat(_Move):
    count: int

    def run(self, x: Any) -> Arrays:
        return (self.xp.broadcast_to(x, (self.count,)),)

    def pull(self, kept: Arrays, grad: Any, wanted: tuple[bool, ...]) -> Arrays:
        return (self.xp.sum(grad, axis=0, keepdims=True, dtype=grad.dtype),)
