"""What a launch is made of, and the tables that a device keeps."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pytest

import upsample
from upsample.engines import dispatch
from upsample.engines.cuda import support
from upsample.engines.cuda.resize.driver import plan_resize
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.launch import Launch, index_type, kernel, struct
from upsample.engines.cuda.unpool.geometry import reciprocal
from upsample.plans.resize import AxisRule, ResizePlan, Rounding
from upsample.plans.window import ConvTransposePlan, WindowAxis


def test_a_kernel_is_the_same_whatever_the_order_of_its_macros() -> None:
    one, two = kernel("pool", "pool", SCALAR="float", TAPS=4), kernel("pool", "pool", TAPS="4", SCALAR="float")
    assert one == two
    assert hash(one) == hash(two)
    assert str(one) == "pool.pool(SCALAR=float, TAPS=4)"


def test_structs_are_laid_out_as_in_c() -> None:
    made = struct({"rows": np.int32(3), "offset": np.int64(-5), "steps": np.asarray([1, 2, 3], np.int32)})
    assert made.shape == ()
    assert [made.dtype.fields[name][1] for name in made.dtype.names] == [0, 8, 16]
    assert made.dtype.itemsize == 32
    assert not made.flags.writeable


@pytest.mark.parametrize(("largest", "wanted"), [(2**31 - 1, "int"), (2**31, "int64")])
def test_offsets_past_31_bits_take_64(largest: int, wanted: str) -> None:
    assert index_type(largest, 2**31) == wanted


def _nearest(in_size: int, out_size: int) -> ResizePlan:
    sizes = ((in_size, out_size), (3, 3), (3, 6))
    rules = (AxisRule(n, o, "nearest", (n / o, 1.0), False, False, 0.0, Rounding.FLOAT32) for n, o in sizes)
    return ResizePlan((0, 1, 2), tuple(rules))


def _spread(kernel: int) -> ConvTransposePlan:
    return ConvTransposePlan((WindowAxis(kernel, 1, kernel, 1, 0, 1),) * 2, 1, precision="float32")


@pytest.mark.parametrize("shape", [(2**27, 1, 512), (2**30, 1, 512), (2**31 - 1, 1, 3), (5, 2**28, 512)])
def test_threads_that_move_are_counted_in_32_bits(shape: tuple[int, int, int]) -> None:
    down, along = (AxisRule(n, 2 * n, "nearest", (0.5, 1.0), False, False, 0.0, Rounding.FLOAT32) for n in shape[1:])
    plan = ResizePlan((1, 2), (down, along))
    (step,) = plan_resize(plan, shape, "uint8", 1, aligned=True, one_by_one=False, limit=2**31, processors=132)
    assert step.launch.grid[0] <= 2**24
    assert step.size == 4 * math.prod(shape)


@pytest.mark.parametrize(
    ("task", "plan", "shape", "says"),
    [
        (
            "resize",
            _nearest(2**31, 2),
            (2**31, 3, 3),
            "it counts rows, of which there are 2147483648 or more, in 31 bits",
        ),
        ("resize", _nearest(2, 2**31), (2, 3, 3), "it counts rows, of which there are 2147483648 or more, in 31 bits"),
        ("resize", _nearest(2**30, 2), (2**29, 3, 3), None),
        ("conv_transpose", _spread(2**16), (1, 1, 1, 1), "it counts the taps of a window in 31 bits"),
        ("conv_transpose.weight_grad", _spread(2**16), (1, 1, 1, 1), "it counts the taps of a window in 31 bits"),
        ("conv_transpose", _spread(2**14), (1, 1, 1, 1), None),
    ],
)
def test_what_does_not_fit_31_bits_is_left_to_others(
    task: str, plan: object, shape: tuple[int, ...], says: str | None
) -> None:
    x = np.broadcast_to(np.zeros((), np.float32), shape)
    with device.emulating(cast(device.Device, object())):  # it is not asked
        why = support.supports(task, plan, x)
    assert why == says


def test_an_empty_grid_launches_nothing() -> None:
    assert Launch(kernel("pool", "pool"), (3, 0, 1), (32, 1, 1), 0, ()).is_empty


def test_tables_are_made_once_and_the_oldest_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_CACHED_BYTES", 100)
    made: list[int] = []

    def make(size: int) -> tuple[np.ndarray]:
        made.append(size)
        return (np.zeros(size, np.uint8),)

    tables = device.Tables(np.ascontiguousarray)
    first = tables.get(make, (40,))
    assert tables.get(make, (40,)) is first
    tables.get(make, (50,))
    tables.get(make, (40,))  # used again: 50 is now the oldest
    tables.get(make, (30,))
    assert tables.get(make, (40,)) is first
    tables.get(make, (50,))
    assert made == [40, 50, 30, 50]
    tables.get(make, (1000,))  # larger than all that is kept: alone
    assert len(tables.get(make, (1000,))[0]) == 1000
    assert made == [40, 50, 30, 50, 1000]


def test_numpy_arrays_are_not_for_the_cuda_engine() -> None:
    x = np.zeros((1, 1, 2, 2), np.float32)
    assert "CuPy" in dispatch.explain(upsample.interpolate, x, scale_factor=2).reasons["cuda"]
    with pytest.raises(ValueError, match=r"interpolate: engine='cuda'.*it takes CuPy arrays and torch CUDA tensors"):
        upsample.interpolate(x, scale_factor=2, engine="cuda")


@pytest.mark.parametrize(
    "size", [*range(1, 40), 127, 128, 129, 1000, 65535, 65537, 10**6 + 3, 2**30, 2**30 + 1, 2**31 - 1]
)
def test_reciprocals_divide_exactly(size: int) -> None:
    """By the kernels' arithmetic, which drops what is past 32 bits."""
    multiplier, shift = reciprocal(size)
    assert 0 < multiplier < 2**32
    ends = np.arange(1, 2**31 // size, max(1, 2**31 // size // 500)) * size
    numbers = np.concatenate([[0, size - 1, 2**31 - 1], ends, ends - 1]).astype(np.uint64)
    product = ((numbers.astype(np.uint32) * np.uint32(2)).astype(np.uint64) * np.uint64(multiplier)) >> np.uint64(32)
    np.testing.assert_array_equal(product >> np.uint64(shift), numbers // np.uint64(size))
