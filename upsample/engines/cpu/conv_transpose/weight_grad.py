"""Weight gradient of transposed convolution: correlate the input with the output gradient.

A product reads what the taps meet where it lies, one value at a time, and vectors of the cells, which are turned. With
few channels each tap's values are laid out in a row. Cells go in rounds, so that a thread is never long at work.

A weight's sum has one of two orders, by whether its group has more than `FEW_CHANNELS` input channels, and nothing else
shows in it. That of products is in `conv_transpose.weight_grad_gemm`. In the other, each image's cells are
cut into blocks, which depend on the plan alone. Cell number n of a block is added to sum ``n % 16`` of sixteen, by
`runtime.fma`; they are added up in order, then the cells of the last incomplete sixteen, one by one. The
blocks' sums are added in order, image by image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array, NDArray
from upsample.copies import converted
from upsample.engines import threads
from upsample.engines.cpu.conv_transpose.grad_kernels import correlate_rows, lay_out
from upsample.engines.cpu.conv_transpose.input_grad import FEW_CHANNELS, Rows, cuts, rows_of
from upsample.engines.cpu.conv_transpose.weight_grad_gemm import correlate
from upsample.engines.cpu.runtime.compile import frozen
from upsample.float_errors import quiet
from upsample.plans.window import ConvTransposePlan

__all__ = ["run"]


_LAID = 1 << 18
"""Elements of the output gradient that are copied into rows (im2col) at once."""
_CELLS = 1 << 12
"""Most cells per block."""
_WORK = 1 << 27
"""Most products per thread and round."""


@quiet
def run(xp: ModuleType, plan: ConvTransposePlan, x: Array, y: Array) -> Array:
    """Return the correlation of ``x [N, C, *small]`` and ``y [N, M, *large]``: ``[C, M / groups, *kernel]``."""
    cells: Any = x
    source: Any = y
    rows, groups = rows_of(plan), plan.groups
    inputs, each = cells.shape[1] // groups, source.shape[1] // groups
    dtype = np.dtype(arrays.accumulator(arrays.dtype_name(x)))
    made = np.zeros((groups, inputs, each * rows.taps), dtype=dtype)
    if cells.size:
        flat = frozen(converted(cells, dtype)).reshape(-1)
        planes = frozen(converted(source, dtype)).reshape(-1)
        if inputs <= FEW_CHANNELS:
            some = cuts(rows, max(1, min(_CELLS, _LAID // rows.taps)))
            _Rows(rows, flat.reshape(-1, groups, inputs, rows.lines, rows.width), planes, made, each, some).add()
        else:
            correlate(rows, flat, planes, made, each)
    return made.reshape(groups * inputs, each, *plan.kernel_shape).astype(cells.dtype, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """One call by rows: ``cells [images, groups, inputs, rows, width]``, ``made [groups, inputs, channels * taps]``."""

    rows: Rows
    cells: NDArray
    planes: NDArray
    made: NDArray
    each: int
    some: NDArray

    def rounds(self, each: int) -> Iterator[NDArray]:
        """Yield so many units at a time, in one order: of each the image and its cut."""
        units = [(image, *cut) for image in range(len(self.cells)) for cut in self.some]
        for begin in range(0, len(units), each):
            yield np.asarray(units[begin : begin + each], dtype=np.int64)

    def of(self, unit: NDArray, group: int) -> NDArray:
        """The cells of a unit: ``[inputs, cells]``."""
        return self.cells[unit[0], group, :, unit[1] : unit[2], unit[3] : unit[4]].reshape(self.made.shape[1], -1)

    def add(self) -> None:
        """Make all."""
        (groups, inputs, _), taps = self.made.shape, self.rows.taps
        longest = int(((self.some[:, 1] - self.some[:, 0]) * (self.some[:, 3] - self.some[:, 2])).max())
        step = max(1, min(self.each, _LAID // (taps * longest)))
        parts = -(-self.each // step)
        for units in self.rounds(max(1, _WORK // (inputs * step * taps * longest))):

            def some_channels(number: int, units: NDArray = units) -> None:
                group, part = divmod(number, parts)
                for unit in units:
                    self.add_unit(unit, group, range(part * step, min((part + 1) * step, self.each)))

            threads.each_block(some_channels, groups * parts)

    def add_unit(self, unit: NDArray, group: int, channels: range) -> None:
        """Add the products of a unit and some channels of a group."""
        rows, groups, taps = self.rows, self.made.shape[0], len(channels) * self.rows.taps
        part = np.ascontiguousarray(self.of(unit, group))
        size = part.shape[1]
        met = np.empty(taps * size, dtype=self.made.dtype)
        first = ((unit[0] * groups + group) * self.each + channels.start) * rows.positions
        lay_out(self.planes, first, rows.positions, len(channels), rows.grid, frozen(unit[1:]), size, met)
        where = (channels.start * rows.taps, self.made.shape[2])
        correlate_rows(frozen(part).reshape(-1), frozen(met), taps, size, where, self.made[group].reshape(-1))
