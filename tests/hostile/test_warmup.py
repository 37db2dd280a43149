"""Kernels compiled ahead, by the command and by the function: what comes later compiles nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from backends import needs_numba

import upsample
from hostile import worlds
from upsample.__main__ import main

LATER = """
import json
import numpy as np, upsample
from upsample.engines.cpu.runtime import kernel_cache
for shape, window in (((4, 8, 96, 96), (2,)), ((2, 16, 28, 28), (3, 2, 1)), ((1, 1, 7, 9), (2,))):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    upsample.max_pool2d(x, *window, engine="cpu")
    upsample.max_pool2d_with_indices(x, *window, engine="cpu")
print(json.dumps({"compiled": kernel_cache.compiled()}))
"""

USED = """
import json, sys, warnings
import numpy as np, upsample
from upsample.engines.cpu.runtime import kernel_cache
warnings.simplefilter("ignore")
asked, call = {}, "warmup"
file = kernel_cache.KernelCache._file

def noted(self, *given):
    name = file(self, *given)
    asked.setdefault(name, call)
    return name

def made(function, *given, **options):
    global call
    call = f"{function.__name__} of {given[0].shape}, {options}"
    for _ in range(2):
        result = function(*given, engine="cpu", **options)
    if given[0].dtype.kind == "f":
        y, pullback = upsample.vjp(function, *given, **options)
        pullback(y)
    return result

kernel_cache.KernelCache._file = noted
dtype = np.dtype(sys.argv[1])
upsample.warmup(dtypes=dtype.name)
for shape, axes in [
    ((700,), (0,)), ((31, 45), (0, 1)), ((31, 45, 3), (0, 1)), ((31, 45, 4), (0, 1)), ((2, 3, 31, 45), (2, 3)),
    ((300, 400, 3), (0, 1)), ((8, 300, 400), (1, 2)), ((9, 10, 11), (0, 1, 2)), ((5, 5), (0, 1)),
    ((64, 2000), (1,)), ((2000, 64), (0,)),
]:
    x = np.ones(shape, dtype)
    for mode in ("nearest", "linear", "cubic", "lanczos", "area", "spline3"):
        for scale in (2, 1.37, 3, 0.5, 0.25):
            made(upsample.resize, x, scale=scale, axes=axes, mode=mode)
            if scale < 1 and mode in ("linear", "cubic", "lanczos"):
                made(upsample.resize, x, scale=scale, axes=axes, mode=mode, antialias=True)
for shape in ((2, 3, 30, 30), (1, 8, 112, 112), (1, 1, 5, 7), (1, 2, 600, 600)):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    for kernel_size, stride, padding in ((2, 2, 0), (3, 2, 1), (2, 1, 0)):
        window = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        made(upsample.max_pool2d, x, **window)
        y, indices = made(upsample.max_pool2d, x, return_indices=True, **window)
        made(upsample.max_unpool2d, y, indices, output_size=shape[2:], **window)
    made(upsample.adaptive_max_pool2d, x, output_size=4)
if dtype.kind == "f":
    for channels, outputs, size in ((3, 8, 20), (64, 64, 16), (64, 3, 32)):
        for kernel_size, padding in ((2, 0), (3, 1), (4, 1)):
            x, window = np.ones((2, channels, size, size), dtype), (kernel_size, kernel_size)
            weight = np.ones((channels, outputs, *window), dtype)
            made(upsample.conv_transpose2d, x, weight, stride=2, padding=padding)
print(json.dumps({name: call for name, call in asked.items() if call != "warmup"}))
"""
"""Calls of all ops after a warmup: prints the kernels that the warmup did not ask for, and the first call of each."""


def warm(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "upsample", "warmup", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=worlds.environment(**variables), check=False)


def test_later_processes_compile_nothing(tmp_path: Path) -> None:
    needs_numba()
    first, second = (
        warm("max_pool", "--dtype", "float32", "--no-gradients", UPSAMPLE_CACHE_DIR=str(tmp_path)) for _ in range(2)
    )
    assert (first.returncode, first.stderr, second.returncode, second.stderr) == (0, "", 0, "")
    kernels = len(list(tmp_path.rglob("*.kernel")))
    assert first.stdout.startswith(f"max_pool float32: {kernels} kernels compiled, ")
    assert second.stdout.startswith("max_pool float32: 0 kernels compiled, ")
    assert second.stdout.splitlines()[-1].startswith(f"{kernels} kernels in {tmp_path}")
    assert worlds.said(LATER, UPSAMPLE_CACHE_DIR=str(tmp_path)) == {"compiled": 0}


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_all_ops_find_their_kernels(dtype: str) -> None:
    """Kernels come from the folder of this user, which other tests fill: no kernel is compiled twice."""
    needs_numba()
    code = USED.replace("sys.argv[1]", repr(dtype))
    assert worlds.said(code) == {}


def test_names_at_fault(capsys: pytest.CaptureFixture[str]) -> None:
    needs_numba()
    for arguments, word in ((["pool"], "op"), (["max_pool", "--dtype", "float31"], "dtype")):
        assert main(["warmup", *arguments]) == 2
        assert f"but this {word} is unknown; pass some of" in capsys.readouterr().err
    with pytest.raises(TypeError, match=r"^warmup: ops=3, but names are text"):
        upsample.warmup([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"^warmup: dtypes='real'"):
        upsample.warmup("resize", ["real"])


def test_a_dtype_that_an_op_does_not_take() -> None:
    needs_numba()
    assert upsample.warmup("conv_transpose", "uint8") == 0


def test_no_compiled_engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from upsample import precompile

    monkeypatch.setattr(precompile.support, "unusable", lambda: "Numba is not installed")
    assert main(["warmup"]) == 2
    assert "it cannot run: Numba is not installed" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"^warmup: engine='cpu', but it cannot run"):
        upsample.warmup()


def test_kernels_that_cannot_be_kept(tmp_path: Path) -> None:
    needs_numba()
    try:
        before = worlds.without_privileges()
    except FileNotFoundError:
        pytest.skip("setpriv is not installed, and the superuser may write everywhere")
    home = worlds.read_only(tmp_path / "home")
    command = [*before, sys.executable, "-m", "upsample", "warmup", "conv_transpose", "--dtype", "uint8"]
    run = subprocess.run(command, capture_output=True, text=True, env=worlds.environment(HOME=str(home)), check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("upsample warmup: no kernel can be kept\n  kernels are not kept in ")
