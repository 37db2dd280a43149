"""``upsample info``: versions, processors, BLAS, kernels and engines, and that nothing but NumPy is needed for it."""

from __future__ import annotations

import os
import shutil
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


def test_info_counts_the_kernels_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of every folder of the engine: Numba has a folder for each."""
    from upsample.command_line import info

    monkeypatch.setattr(info.upsample, "__file__", str(tmp_path / "upsample" / "__init__.py"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    package = tmp_path / "upsample" / "engines" / "cpu"
    folders = [package, package / "resize"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "compile.py").touch()
    assert info.kernels().startswith("none on disk: the first call of each op compiles")
    ((root, cache_of),) = info._caches(package)
    assert root == tmp_path / "cache"
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    for folder in folders:
        cache_of(folder).mkdir(parents=True)
        for name in (f"compile.a-1.{python}", f"compile.b-2.{python}", f"absent.c-3.{python}", "compile.d"):
            (cache_of(folder) / f"{name}.nbi").write_bytes(b"index")
    assert info.kernels() == f"4 on disk, in {root}"
    os.utime(
        cache_of(folders[1]) / f"compile.a-1.{python}.nbi", (0, 0)
    )  # older than its source: Numba would not take it
    assert info.kernels() == f"3 on disk, in {root}"


@pytest.mark.parametrize("told", [True, False])
def test_the_kernels_are_where_info_looks(tmp_path: Path, told: bool) -> None:
    """All that one call left on disk, wherever Numba put it."""
    needs_numba()
    code = """
import numpy as np
import upsample
from upsample.command_line import info
assert info.kernels().startswith("none")
upsample.interpolate(np.ones((1, 1, 4, 4), dtype=np.float32), scale_factor=2, engine="cpu")
upsample.max_pool2d(np.ones((1, 1, 4, 4), dtype=np.float32), 2, engine="cpu")
print(info.kernels())
"""
    package = shutil.copytree(
        Path(upsample.__file__).parent, tmp_path / "upsample", ignore=shutil.ignore_patterns("__pycache__")
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "user")}
    if told:
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert (run.returncode, run.stderr) == (0, "")
    stored = len(list(tmp_path.rglob("*.nbi")))
    assert stored >= 2
    place = tmp_path / "cache" if told else package / "engines" / "cpu"
    assert run.stdout.strip() == f"{stored} on disk, in {place}"


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
