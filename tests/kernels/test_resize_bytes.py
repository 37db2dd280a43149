"""The CUDA engine's fused resize of bytes, emulated, against the compiled and the portable engine: the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import noise
from emulator.device import EmulatedDevice
from emulator.trials import differs, examples, faults_are_planted
from hypothesis import given
from hypothesis import strategies as st

import upsample
from upsample import functional
from upsample.engines.cuda.resize import driver, packed_bytes
from upsample.engines.cuda.runtime.device import emulating

READS = ("doubled", "near", "halved", "pixels", "rgb")


def ran(device: EmulatedDevice) -> list[str]:
    """How the kernels that ran since the last call read rows, with their taps; or the names of other kernels."""
    found = []
    for launch in device.launches:
        macros = dict(launch.kernel.macros)
        own = launch.kernel.file == "resize_bytes"
        once = " once" if macros.get("ONCE") == "1" else ""
        found.append(f"{READS[int(macros['READ'])]} {macros['TAPS']}{once}" if own else launch.kernel.entry)
    device.launches.clear()
    return found


def same(device: EmulatedDevice, call: Callable[..., Any], x: np.ndarray, **options: Any) -> list[str]:
    """Assert that three engines return the same bytes, and return the kernels that ran."""
    device.launches.clear()
    got = call(x, **options, engine="cuda")
    kernels = ran(device)
    for engine in ("cpu", "portable"):
        np.testing.assert_array_equal(got, call(x, **options, engine=engine))
    return kernels


TORCH = [
    # shape, size, mode, antialias, kernel: as torch resizes images, the last axis first
    ((2, 3, 16, 24), (32, 48), "bilinear", False, "doubled 2"),
    ((2, 3, 17, 23), (34, 46), "bicubic", False, "doubled 4"),
    ((1, 2, 7, 5), (19, 13), "bicubic", False, "doubled 4"),
    ((1, 2, 40, 30), (41, 35), "bilinear", False, "doubled 2"),
    ((1, 2, 20, 30), (27, 41), "bicubic", False, "near 4"),
    ((1, 2, 20, 30), (13, 17), "bilinear", False, "near 2"),  # columns lie up to two bytes apart
    ((1, 2, 20, 30), (27, 25), "bilinear", True, "near 4"),
    ((1, 2, 20, 31), (16, 26), "bicubic", True, "near 8"),
    ((2, 3, 32, 48), (16, 24), "bilinear", True, "halved 4"),
    ((2, 3, 33, 47), (17, 24), "bilinear", True, "halved 4"),
    ((2, 3, 32, 48), (16, 24), "bicubic", True, "halved 8"),
    ((1, 2, 33, 47), (17, 24), "bicubic", True, "halved 8"),
    ((1, 1, 1, 1), (3, 3), "bicubic", False, "doubled 2"),
    ((1, 1, 2, 3), (5, 9), "bilinear", False, "doubled 2"),
    ((1, 1, 300, 5), (150, 9), "bilinear", True, "doubled 4"),
    ((1, 2, 9, 64), (5, 32), "bilinear", True, "halved 4"),
    ((2, 1, 300, 3), (611, 2), "bilinear", False, "doubled 2"),
]


@pytest.mark.parametrize(("shape", "size", "mode", "antialias", "kernel"), TORCH)
def test_images(
    gpu: EmulatedDevice, shape: tuple[int, ...], size: tuple[int, int], mode: str, antialias: bool, kernel: str
) -> None:
    x = noise(*shape, dtype="uint8")
    for values in (x, np.where(x > 127, 255, 0).astype(np.uint8)):  # which overshoot
        assert same(gpu, functional.interpolate, values, size=size, mode=mode, antialias=antialias) == [kernel]


OURS = [
    # shape, size, axes, mode, kernel: rounded once, after both axes
    ((3, 13, 17), (26, 34), (1, 2), "linear", "doubled 2"),
    ((3, 13, 17), (26, 36), (1, 2), "cubic", "doubled 4"),
    ((2, 16, 24), (20, 50), (1, 2), "lanczos", "doubled 8"),
    ((2, 16, 24), (20, 31), (1, 2), "lanczos", "doubled 8"),
    ((2, 16, 31), (20, 32), (1, 2), "lanczos", "near 8"),
    ((3, 13, 17), (19, 17), (1, 2), "linear", "along_columns"),
    ((3, 13, 37), (19, 45), (1, 2), "linear", "doubled 2"),
    ((3, 13, 30), (19, 41), (1, 2), "cubic", "near 4"),
    ((2, 3, 4, 170), (5, 411), (2, 3), "cubic", "doubled 4"),
    ((16, 24, 3), (32, 48), (0, 1), "cubic", "rgb 4"),
    ((16, 23, 3), (31, 50), (0, 1), "linear", "rgb 2"),
    ((16, 24, 4), (32, 48), (0, 1), "cubic", "pixels 4"),
    ((16, 24, 12), (33, 51), (0, 1), "linear", "pixels 2"),
    ((9, 17, 8), (12, 20), (0, 1), "lanczos", "pixels 8"),
    ((9, 17, 3), (12, 20), (0, 1), "lanczos", "along_columns"),
    ((9, 17, 2), (12, 20), (0, 1), "linear", "columns"),
]


@pytest.mark.parametrize(("shape", "size", "axes", "mode", "kernel"), OURS)
def test_rounded_once(
    gpu: EmulatedDevice, shape: tuple[int, ...], size: tuple[int, int], axes: tuple[int, int], mode: str, kernel: str
) -> None:
    x = noise(*shape, dtype="uint8")
    for values in (x, np.where(x > 127, 255, 0).astype(np.uint8), np.where(x > 127, 2, 1).astype(np.uint8)):  # ties
        found = same(gpu, upsample.resize, values, shape=size, axes=axes, mode=mode)
        assert set(found) == {f"{kernel} once" if " " in kernel else kernel}


LAST = [
    # shape and axes of torch's rules with channels last, which a channels_last tensor has
    ((1, 3, 16, 24), (32, 48), "bicubic", "rgb 4"),
    ((1, 3, 16, 24), (31, 50), "bilinear", "rgb 2"),
    ((2, 8, 9, 12), (18, 21), "bicubic", "pixels 4"),
    ((2, 4, 9, 12), (18, 21), "bilinear", "pixels 2"),
    ((2, 4, 32, 24), (16, 12), "bicubic", "pixels 8"),
]


@pytest.mark.parametrize(("shape", "size", "mode", "kernel"), LAST)
def test_channels_last(
    gpu: EmulatedDevice,
    shape: tuple[int, ...],
    size: tuple[int, int],
    mode: str,
    kernel: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the plan that the driver makes for a tensor whose channels come last in memory."""
    x, plans, inner = noise(*shape, dtype="uint8"), [], driver._run

    def recorded(xp: Any, plan: Any, x: Any, out: Any) -> Any:
        plans.append(plan)
        return inner(xp, plan, x, out)

    monkeypatch.setattr(driver, "_run", recorded)
    want = functional.interpolate(x, size=size, mode=mode, antialias=size[0] < shape[2], engine="cuda")
    gpu.launches.clear()
    got = inner(np, driver._channels_last(plans[0]), np.ascontiguousarray(x.transpose(0, 2, 3, 1)), None)
    assert ran(gpu) == [kernel]
    np.testing.assert_array_equal(got.transpose(0, 3, 1, 2), want)


@examples(60)
@given(data=st.data())
def test_drawn(gpu: EmulatedDevice, data: st.DataObject) -> None:
    """Any size and any place in memory; words around the array are another's."""
    planes, height, width = (data.draw(st.integers(1, most)) for most in (3, 14, 30))
    size = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 70))
    mode, antialias = data.draw(st.sampled_from(["bilinear", "bicubic"])), data.draw(st.booleans())
    shift, count = data.draw(st.integers(0, 9)), planes * height * width
    flat = noise(count + 24, dtype="uint8", seed=data.draw(st.integers(0, 5)))
    x = flat[shift : shift + count].reshape(1, planes, height, width)
    same(gpu, functional.interpolate, x, size=size, mode=mode, antialias=antialias)
    same(
        gpu,
        upsample.resize,
        x,
        shape=size,
        axes=(2, 3),
        mode={"bilinear": "linear", "bicubic": "cubic"}[mode],
        antialias=antialias,
    )


def test_every_specialisation_is_tested() -> None:
    tested = {kernel for *_, kernel in TORCH + LAST} | {f"{kernel} once" for *_, kernel in OURS}
    listed = [dict(kernel.macros) for kernel in packed_bytes.kernels()]
    names = {f"{READS[int(m['READ'])]} {m['TAPS']}{' once' * int(m['ONCE'])}" for m in listed}
    assert names - tested == {"doubled 8", "halved 4 once", "halved 8 once", "near 2 once"}


def test_torch_has_the_same_bytes(gpu: EmulatedDevice) -> None:
    torch = pytest.importorskip("torch")
    for shape, size, mode, antialias, _ in TORCH:
        x = noise(*shape, dtype="uint8")
        theirs = torch.nn.functional.interpolate(torch.from_numpy(x), size=size, mode=mode, antialias=antialias)
        got = functional.interpolate(x, size=size, mode=mode, antialias=antialias, engine="cuda")
        assert np.abs(got.astype(int) - theirs.numpy().astype(int)).max() <= 1


FAULTS = [
    # along the row: the place, the shift, the weights, the second half of a run
    (0, "shift = static_cast<uint32>(address) * 8;", "shift = 0;"),
    (0, "selector[k]);", "selector[k & ~1]);"),
    (0, "weight[k] = weights[lesser(e + k, g.out_row - 1)];", "weight[k] = weights[lesser(e, g.out_row - 1)];"),
    (1, "places[lesser(e / SHARED + i,", "places[lesser(e / SHARED,"),
    (2, "(READ == HALVED ? k % 4 / 2 : 0)", "(READ == HALVED ? k % 4 / 3 : 0)"),
    (2, "rows[0] = __byte_perm(rows[0], rows[WORDS - 1], 0x4321);", ""),
    (3, "0x40 + 0x11 * column", "0x40"),
    (4, "0x52 + 0x11 * (k % 3)", "0x52"),
    # the array's ends, where no aligned word may be read
    (0, "at < begin ? *begin : at < end ? *at : end[-1]", "*begin"),
    # down the columns, and the result
    (0, "0x4321 + 0x1000 * byte", "0x4321"),
    (0, "now.weight, e, wide", "next.weight, e, wide"),
    # bytes of 16-bit numbers, and ties
    (0, "+ upper * 256", "+ upper * 128"),
    (0, "i % 2 * 2 + part", "i % 2 * 2"),
    (7, "(tie ? ~1 : ~0)", "~0"),
    (6, "static_cast<int64>(row) * g.in_row;\n      if", "0;\n      if"),
    (0, "target += g.out_row;", "target += g.in_row;"),
    (0, "window[k][0], 1 << g.row_shift >> 1)", "window[k][0], 0)"),
    (5, "row[e + k] = static_cast<uint8>(made[k / 4] >> 8 * (k % 4))", "row[e + k] = static_cast<uint8>(made[k / 4])"),
]
CALLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 13, 17), dict(shape=(26, 40), axes=(1, 2), mode="cubic")),
    ((2, 13, 31), dict(shape=(17, 38), axes=(1, 2), mode="cubic")),
    ((2, 2, 33, 47), dict(size=(17, 24), mode="bicubic", antialias=True)),
    ((9, 17, 8), dict(shape=(12, 23), axes=(0, 1), mode="cubic")),
    ((9, 17, 3), dict(shape=(12, 23), axes=(0, 1), mode="cubic")),
    ((2, 13, 17), dict(shape=(26, 37), axes=(1, 2), mode="cubic")),
    ((1, 1, 60, 9), dict(size=(7, 12), mode="bilinear")),
    ((2, 30, 30), dict(shape=(60, 60), axes=(1, 2), mode="linear")),
    ((2, 2, 13, 17), dict(size=(26, 40), mode="bicubic")),
]


@faults_are_planted
@pytest.mark.parametrize(("call", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(call: int, old: str, new: str) -> None:
    shape, options = CALLS[call]
    x = noise(*shape, dtype="uint8")
    resize: Callable[..., Any] = functional.interpolate if "size" in options else upsample.resize
    want = resize(x, **options, engine="portable")
    with emulating(EmulatedDevice(order=0)):
        np.testing.assert_array_equal(resize(x, **options, engine="cuda"), want)
    assert differs("resize_bytes", (old, new), lambda: resize(x, **options, engine="cuda"), want)
