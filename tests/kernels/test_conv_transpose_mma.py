"""The product of a warp's fragments, as the emulator and as shuffles make it, against a product of matrices.

The tables say where each element of a fragment lies, as the PTX ISA has it ("Matrix Fragments for mma.m16n8k16 with
floating point type" and "... mma.m16n8k8"); they are written out here from its figures, lane by lane.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from emulator import build
from emulator.device import Library
from emulator.preloaded import SANITIZER
from emulator.trials import ORDERS

from upsample.engines.cuda.runtime.launch import Kernel, Launch, kernel

SOURCE = Path(__file__).parent / "mma_probe.cu"
KINDS = ("__half", "__nv_bfloat16", "float")
WARPS = 3

LANES = np.arange(32)
GROUP, MEMBER = LANES // 4, LANES % 4
# Elements in the order in which they lie in a lane's registers, each the row and column of the 32 lanes.
ROWS_OF_C = [(GROUP, 2 * MEMBER), (GROUP, 2 * MEMBER + 1), (GROUP + 8, 2 * MEMBER), (GROUP + 8, 2 * MEMBER + 1)]
A_16 = [
    *((GROUP, 2 * MEMBER), (GROUP, 2 * MEMBER + 1), (GROUP + 8, 2 * MEMBER), (GROUP + 8, 2 * MEMBER + 1)),
    *((GROUP, 2 * MEMBER + 8), (GROUP, 2 * MEMBER + 9), (GROUP + 8, 2 * MEMBER + 8), (GROUP + 8, 2 * MEMBER + 9)),
]
B_16 = [(2 * MEMBER, GROUP), (2 * MEMBER + 1, GROUP), (2 * MEMBER + 8, GROUP), (2 * MEMBER + 9, GROUP)]
A_8 = [(GROUP, MEMBER), (GROUP + 8, MEMBER), (GROUP, MEMBER + 4), (GROUP + 8, MEMBER + 4)]
B_8 = [(MEMBER, GROUP), (MEMBER + 4, GROUP)]


def probe(kind: str, shuffles: int) -> Kernel:
    return kernel("mma_probe", "probe", SCALAR=kind, SHUFFLES=shuffles)


@pytest.fixture(scope="module")
def library() -> Library:
    why = build.missing()
    if why is not None:
        pytest.skip(why)
    kernels = [probe(kind, shuffles) for kind, shuffles in product(KINDS, (0, 1))]
    return Library(build.library(SOURCE, kernels, SANITIZER))


def registers(matrices: np.ndarray, table: list[tuple[np.ndarray, np.ndarray]], kind: str) -> np.ndarray:
    """Deal the elements of each warp's matrix to its lanes: [warps, 32, registers]."""
    dealt = np.stack([matrices[:, rows, columns] for rows, columns in table], axis=-1)
    if kind == "float":
        return np.ascontiguousarray(dealt.astype(np.float32)).view(np.uint32)
    if kind == "__half":
        return np.ascontiguousarray(dealt.astype(np.float16)).view(np.uint32)
    return np.ascontiguousarray((dealt.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)).view(np.uint32)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shuffles", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_a_product_of_matrices(library: Library, kind: str, shuffles: int, order: int) -> None:
    """Small whole numbers, which all kinds hold exactly and whose sums are exact: any order of summing is right."""
    rng = np.random.default_rng(order)
    depth, table_a, table_b = (8, A_8, B_8) if kind == "float" else (16, A_16, B_16)
    a, b, c = (rng.integers(-99, 100, (WARPS, *shape)).astype(float) for shape in ((16, depth), (depth, 8), (16, 8)))
    sums = registers(c, ROWS_OF_C, "float").view(np.float32)
    launch = Launch(probe(kind, shuffles), (WARPS, 1, 1), (32, 1, 1), 0, ())
    library.launch(launch, (registers(a, table_a, kind), registers(b, table_b, kind), sums), order)
    got = np.zeros((WARPS, 16, 8))
    for i, (rows, columns) in enumerate(ROWS_OF_C):
        got[:, rows, columns] = sums[..., i]
    np.testing.assert_array_equal(got, a @ b + c)


@pytest.mark.parametrize("table", [A_16, B_16, A_8, B_8, ROWS_OF_C])
def test_tables_have_every_place_once(table: list[tuple[np.ndarray, np.ndarray]]) -> None:
    places = {(int(r), int(c)) for rows, columns in table for r, c in zip(rows, columns, strict=True)}
    assert len(places) == 32 * len(table)
    assert len(places) == (max(r for r, _ in places) + 1) * (max(c for _, c in places) + 1)
