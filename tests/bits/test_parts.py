"""The bits of a value depend only on what it is made of: drawn calls, and parts of them made alone, byte by byte.

A part is some of the batch, the channels and the positions, held in another layout, made by another number of threads;
beside it the whole has other values, NaN and infinities among them. ``UPSAMPLE_FUZZ_EXAMPLES=5000`` draws so many calls
of each op. "many" are convolutions of many channels, also on the emulated GPU, whose kernels they choose.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from emulator.device import EmulatedDevice

from bits.drawn_calls import ALL, FLOATS, MANY, OPS, bits, draw
from upsample.caches import Cache
from upsample.engines import lazy_compile
from upsample.engines.cuda.conv_transpose import direct
from upsample.engines.cuda.conv_transpose import driver as cuda_driver
from upsample.engines.cuda.conv_transpose import weight_grad as cuda_weight_grad
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.thread_count import num_threads
from upsample.plans.window import ConvTransposePlan

pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
from upsample.engines.cpu.resize import driver, float_simd

THREADS = (1, 2, 3, 5, 8)
"""Threads of the whole, and in turn of its parts, whatever the machine has."""
GPU = (*FLOATS, "complex64")
"""Dtypes of convolutions of many channels on the GPU."""
LONGER = int(os.environ.get("UPSAMPLE_FUZZ_EXAMPLES") or 0)
CALLS = {"resize": 500, "pool": 200, "unpool": 200, "conv_transpose": 200, "input_grad": 200, "weight_grad": 120}
"""Calls of each op, of up to four parts each: 5,000 parts in a run, with those of the emulator."""


def differing(op: str, seeds: range, engine: str) -> tuple[int, list[str]]:
    """Return how many parts were compared, and those that differ, in words."""
    compared, found, patch = 0, [], pytest.MonkeyPatch()
    with np.errstate(all="ignore"):
        for seed, call in draw(op, seeds, ALL if op in OPS else FLOATS if engine == "cpu" else GPU):
            with num_threads(THREADS[seed % 5]):
                whole = call.whole(engine)
            with num_threads(THREADS[seed // 5 % 5]), patch.context() as first:
                if seed % 2:  # parts whose size is new run the kernel of first calls
                    first.setattr(lazy_compile, "wish", lambda: "lazy")
                for index, make in call.parts:
                    compared += 1
                    if bits(make(engine)) != bits(whole[index]):
                        found.append(f"seed {seed}, {engine}, {index}: {call.words}")
    return compared, found


def test_five_thousand_parts_have_the_bits_of_the_whole() -> None:
    compared = 0
    for op in OPS:
        count, found = differing(op, range(LONGER or CALLS[op]), "cpu")
        compared += count
        assert not found, "\n".join(found[:5])
    assert compared >= 5000


@pytest.mark.parametrize("op", MANY)
def test_parts_of_many_channels(op: str) -> None:
    _, found = differing(op, range(LONGER or 60), "cpu")
    assert not found, "\n".join(found[:5])


@pytest.mark.parametrize("op", MANY)
def test_parts_of_many_channels_on_the_emulated_gpu(op: str) -> None:
    with emulating(EmulatedDevice(order=7)):
        _, found = differing(op, range(LONGER or (20 if op == "many_weight_grad" else 60)), "cuda")
    assert not found, "\n".join(found[:5])


def by_outputs(plan: ConvTransposePlan, task: str, name: str, channels: int, outputs: int) -> bool:
    """Choose by the work that a kernel has, also where tensor cores multiply, as the engine once did."""
    tensor = cuda_driver.on_tensor_cores(plan, name)
    padded = min(-(-outputs // tile.outputs) * tile.outputs for tile in cuda_driver._TILES[name, tensor])
    tiled = cuda_driver._words(name, channels) * cuda_driver.channels_a_word(name) * padded / outputs
    return direct.fits(plan, task) and 4 * channels <= 1.3 * tiled / cuda_driver._TENSOR_RATE[tensor]


def test_a_kernel_chosen_by_the_outputs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "_is_direct", by_outputs)
    with emulating(EmulatedDevice(order=7)):
        assert differing("many_input_grad", range(60), "cuda")[1]


def test_shares_chosen_by_the_grid_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_blocks(slices: int, blocks: int, _at_once: int) -> tuple[int, int]:
        return (2, 2) if blocks == 1 else (slices, slices)

    monkeypatch.setattr(cuda_weight_grad, "_run", by_blocks)
    cuda_weight_grad._launch.cache_clear()
    with emulating(EmulatedDevice(order=7)):
        assert differing("many_weight_grad", range(6), "cuda")[1]
    cuda_weight_grad._launch.cache_clear()


@pytest.mark.parametrize("op", ["conv_transpose", "input_grad"])
def test_convolutions_of_the_emulated_gpu_have_the_bits_of_the_cpu(op: str) -> None:
    """Up to 128 summed channels, except on tensor cores."""
    with emulating(EmulatedDevice(order=7)), np.errstate(all="ignore"):
        for seed, call in draw(op, range(LONGER or 150), ("float32", "float32", "float64")):
            assert bits(call.whole("cuda")) == bits(call.whole("cpu")), f"seed {seed}: {call.words}"


@pytest.mark.parametrize("op", ["resize", "pool", "unpool"])
def test_the_emulated_gpu_has_the_bits_of_the_cpu(op: str) -> None:
    """Except the sign of a zero that unpooling moves alone under "sum", because its window overlaps no other."""
    with emulating(EmulatedDevice(order=7)), np.errstate(all="ignore"):
        for seed, call in draw(op, range(LONGER or 150)):
            want, got = call.whole("cpu"), call.whole("cuda")
            if op == "unpool":
                want, got = want + want.dtype.type(0), got + got.dtype.type(0)
            assert bits(got) == bits(want), f"seed {seed}: {call.words}"
            for index, make in call.parts[:1]:
                assert bits(make("cuda") + want.dtype.type(0)) == bits(want[index] + want.dtype.type(0)), call.words


def test_another_kernel_for_one_size_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = float_simd.chosen

    def planted(*given: Any) -> Any:
        found = chosen(*given)
        if found is not None and given[3] == 3:  # another table of weights for three channels
            kernel, tables = found
            return kernel, (*tables[:-1], np.nextafter(tables[-1], np.inf, dtype=tables[-1].dtype))
        return found

    monkeypatch.setattr(float_simd, "chosen", planted)
    monkeypatch.setattr(driver, "_works", Cache())  # what is planted is not kept for later tests
    assert differing("resize", range(200), "cpu")[1]
