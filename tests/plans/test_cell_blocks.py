"""Blocks of cells: boxes that cover every cell once, and do not depend on the batch or on a slab."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from upsample.plans.cell_blocks import CellBlocks


def drawn(seed: int) -> tuple[tuple[int, ...], int]:
    rng = random.Random(seed)
    axes = rng.randint(1, 3)
    return tuple(rng.choice([1, 2, 3, 7, 20, 50]) for _ in range(axes + 1)), rng.choice([1, 5, 16, 100, 1000])


@pytest.mark.parametrize("seed", range(60))
def test_boxes_cover_each_cell_once(seed: int) -> None:
    shape, most = drawn(seed)
    blocks = CellBlocks.of(shape[1:], most)
    met = np.zeros(shape, dtype=int)
    for number in range(blocks.count(shape)):
        box = blocks.box(shape, number)
        cells = met[tuple(slice(*r) for r in box)]
        assert 0 < cells.size <= max(most, 1)
        assert cells.size <= blocks.cells(shape)
        cells += 1 + number
    assert (met > 0).all()
    assert (np.diff(met.reshape(-1)) >= 0).all()  # boxes follow each other in row-major order
    assert len(np.unique(met)) == blocks.count(shape)


@pytest.mark.parametrize("seed", range(60))
def test_slabs_have_the_boxes_of_the_whole(seed: int) -> None:
    shape, most = drawn(seed)
    blocks = CellBlocks.of(shape[1:], most)
    begin = shape[blocks.axis] // 2 // blocks.step * blocks.step
    slab = (*(1 for _ in shape[: blocks.axis]), shape[blocks.axis] - begin, *shape[blocks.axis + 1 :])
    first = blocks.count(shape) - blocks.count(slab)
    for number in range(blocks.count(slab)):
        *before, (low, high) = blocks.box(slab, number)[: blocks.axis + 1]
        *outer, whole = blocks.box(shape, first + number)[: blocks.axis + 1]
        assert whole == (low + begin, high + begin)
        assert before == [(0, 1)] * blocks.axis
        assert outer == [(n - 1, n) for n in shape[: blocks.axis]]


def test_boxes_are_large() -> None:
    assert CellBlocks.of((64, 64), 8192) == CellBlocks(0, 2)
    assert CellBlocks.of((3, 64, 64), 8192) == CellBlocks(1, 2)
    assert CellBlocks.of((1000, 1000), 8192) == CellBlocks(1, 8)
    assert CellBlocks.of((10**6,), 8192) == CellBlocks(1, 8192)
    assert CellBlocks.of((0, 5), 8192).count((3, 0, 5)) == 1
    assert math.prod((5, 5)) == CellBlocks.of((5, 5), 99).cells((1, 5, 5))
