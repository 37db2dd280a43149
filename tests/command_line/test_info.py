"""``upsample info``: versions, processors, BLAS, kernels and engines, and that nothing but NumPy is needed for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from backends import needs_numba

import upsample
from upsample.__main__ import main

OPTIONAL = ("rich", "PIL", "matplotlib", "skimage", "torch", "jax", "dask", "numba", "ml_dtypes")


def test_info_needs_nothing_but_numpy() -> None:
    """And importing upsample loads nothing else."""
    code = f"""
import sys
import upsample
from upsample.__main__ import main
assert not set({OPTIONAL!r}) & set(sys.modules)
for name in {OPTIONAL!r}:
    sys.modules[name] = None
sys.exit(main(["info"]))
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    for word in (
        "Versions",
        f"upsample          {upsample.__version__}",
        np.__version__,
        "core",
        "threads",
        "UPSAMPLE_KEEP_MIB",
        "UPSAMPLE_CACHE_MIB",
        "BLAS",
        "Engines",
    ):
        assert word in run.stdout


def test_info_says_why_an_engine_is_not_usable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from upsample.command_line import info

    engines = [SimpleNamespace(name=n, unusable=lambda w=w: w) for n, w in (("cuda", "no GPU"), ("portable", None))]
    monkeypatch.setattr(info, "ENGINES", tuple(engines))
    assert main(["info"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-2:] == ["cuda      not usable: no GPU", "portable  usable"]


def _pool(kernel: str, **others: object) -> dict[str, object]:
    about = {"user_api": "blas", "internal_api": "openblas", "version": "0.3.31", "num_threads": 2}
    about["filepath"] = "/env/site-packages/numpy.libs/libscipy_openblas64_.so"
    return {**about, "architecture": kernel, **others}


@pytest.mark.parametrize(
    ("flags", "kernel", "warns"),
    [
        ("avx2 fma avx512f avx512bw avx512dq avx512vl", "SkylakeX", ""),
        ("avx2 fma avx512f avx512bw avx512dq avx512vl", "Haswell", "AVX-512"),
        ("avx2 fma avx512f avx512bw avx512dq avx512vl", "Zen", "AVX-512"),
        ("avx2 fma avx512f avx512cd", "Haswell", ""),
        ("avx2 fma", "Zen", ""),
        ("avx2 fma", "Prescott", "AVX2"),
        ("sse3", "Prescott", ""),
        ("", "neoversen1", ""),
    ],
)
def test_info_warns_of_a_blas_below_the_processor(
    flags: str, kernel: str, warns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upsample.command_line import info

    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)
    pools = [
        _pool("Other", user_api="openmp"),
        _pool("Other", filepath="/env/site-packages/scipy.libs/lib.so"),
        _pool(kernel),
    ]
    monkeypatch.setitem(sys.modules, "threadpoolctl", SimpleNamespace(threadpool_info=lambda: pools))
    monkeypatch.setattr(info, "_cpuinfo", lambda *keys: flags if "flags" in keys else "")
    said, *warnings = info.blas()
    assert said == f"openblas 0.3.31, {kernel} kernels, 2 threads"
    assert len(warnings) == bool(warns)
    if warns:
        assert warnings[0].startswith(f"warning: {kernel} kernels on a processor with {warns}:")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert info.blas()[-1].startswith("warning: OPENBLAS_CORETYPE=Haswell is set")


def test_info_knows_a_blas_that_is_no_openblas_or_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from upsample.command_line import info

    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(info, "_cpuinfo", lambda *keys: "avx2 fma avx512f avx512bw avx512dq avx512vl")
    mkl = {"user_api": "blas", "internal_api": "mkl", "version": "2024.2", "num_threads": 2}
    mkl["filepath"] = "/conda/lib/libmkl_rt.so.2"
    monkeypatch.setitem(sys.modules, "threadpoolctl", SimpleNamespace(threadpool_info=lambda: [mkl]))
    assert info.blas() == ["mkl 2024.2, 2 threads"]
    monkeypatch.setitem(sys.modules, "threadpoolctl", SimpleNamespace(threadpool_info=list))
    assert len(info.blas()) == 1
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    (line,) = info.blas()
    assert "pip install threadpoolctl" in line


def test_info_counts_the_kernels_on_disk(tmp_path: Path) -> None:
    needs_numba()
    code = """
import numpy as np
import upsample
from upsample.command_line import info
from upsample.engines.cpu.runtime import kernel_cache
assert info.kernels() == [
    "none on disk: the first call of each op compiles for 1 to 3 s, later processes load them from disk"
]
upsample.interpolate(np.ones((1, 1, 4, 4), dtype=np.float32), scale_factor=2, engine="cpu")
upsample.max_pool2d(np.ones((1, 1, 4, 4), dtype=np.float32), 2, engine="cpu")
(folder,) = kernel_cache.folders()
files = list(folder.glob("*.kernel"))
assert len(files) == kernel_cache.compiled() >= 2
assert info.kernels() == [f"{len(files)} on disk, in {folder}"]
files[0].write_bytes(files[0].read_bytes()[:-1])
assert info.kernels() == [
    f"{len(files) - 1} on disk, in {folder}", "1 damaged on disk: they are compiled anew when they are needed"
]
kernel_cache.stamp = lambda: bytes(32)  # as if another version had made the others
assert info.kernels()[0].startswith("none on disk")
"""
    environment = {**os.environ, "UPSAMPLE_CACHE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("state", ["none", "present", "fails"])
def test_info_names_the_gpus(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from upsample.command_line import info

    about = {"name": b"NVIDIA H200", "totalGlobalMem": 140 * 2**30, "major": 9, "minor": 0}

    def count() -> int:
        if state == "fails":
            raise RuntimeError("cudaErrorInsufficientDriver: too old\nsecond line")
        return 0 if state == "none" else 1

    runtime = SimpleNamespace(getDeviceCount=count, getDeviceProperties=lambda _: about)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    monkeypatch.setattr(info, "version_of", lambda name: "14.0" if name == "cupy-cuda12x" else None)
    assert (
        info.cuda()
        == {
            "none": ["none: CuPy finds no device"],
            "present": ["NVIDIA H200, 140 GiB, compute capability 9.0"],
            "fails": ["none: CuPy does not answer (cudaErrorInsufficientDriver: too old)"],
        }[state]
    )
    monkeypatch.setattr(info, "version_of", lambda name: None)
    assert info.cuda() == ["none: CuPy is not installed"]
