"""The command line: exit codes, the demo's table and gallery, and what is said where something is missing."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from backends import needs_numba

import upsample
from upsample import chainer, functional, reference
from upsample.__main__ import main
from upsample.engines.dispatch import ENGINES

DEMO = ("rich", "PIL", "matplotlib", "skimage")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def demo_modules() -> None:
    for name in DEMO:
        pytest.importorskip(name)


@pytest.fixture
def photo(tmp_path: Path, demo_modules: None) -> Path:
    """47 by 61 pixels: cut to 44 by 60, with structure in every channel."""
    from PIL import Image

    y, x = np.mgrid[:61, :47]
    pixels = np.stack([(x * y) % 256, (x * 5) % 256, (y * 3 + x) % 256], axis=2).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_the_demo_runs_every_operation_and_draws_the_gallery(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from upsample.demo import cases

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    output = tmp_path / "gallery.png"
    assert main(["demo", str(photo), "--output", str(output), "--engine", "portable"]) == 0
    said, complained = capsys.readouterr()
    lines = said.splitlines()
    count = len(cases(np.zeros((32, 32, 3), np.uint8)))
    assert f"Wrote {output}; all {count} rows agree with the float64 reference." in lines
    assert sum(line.rstrip().endswith(" ok") for line in lines) == count > 60
    assert max(len(line) for line in lines if not line.startswith(("Wrote", "Without"))) <= 80
    assert any(line.startswith("Without the compiled engine") for line in lines) == (not _usable("cpu"))
    assert "\x1b" not in said
    assert complained == ""
    assert output.read_bytes().startswith(PNG)
    assert 50_000 < output.stat().st_size < 1_500_000
    with Image.open(output) as gallery:
        assert gallery.size == (1600, 1656)


def test_the_demo_leaves_no_operation_out(demo_modules: None) -> None:
    from upsample.demo import cases

    image = np.zeros((32, 32, 3), np.uint8)
    shown = {case.name for case in cases(image)}
    torch = {name.removesuffix("_with_indices") for name in functional.__all__} - {
        "upsample",  # deprecated names of interpolate
        "upsample_nearest",
        "upsample_bilinear",
    }
    other = {"chainer." + name for name in chainer.__all__ if not name.endswith(("_1d", "_3d", "_nd"))}
    assert shown == torch | other | {"resize"}
    assert {case.arrays[0].dtype.name for case in cases(image)} == {"float32", "float16", "uint8"}


def test_a_wide_terminal_gets_one_line_a_row(demo_modules: None) -> None:
    from rich.console import Console

    from upsample.demo import cases, measure, table

    row = measure(cases(np.ones((32, 32, 3), np.uint8))[0], None, None)
    assert row is not None
    console = Console(width=160, file=io.StringIO())
    console.print(table([row], 1))
    (line,) = [line for line in console.file.getvalue().splitlines() if "nearest" in line]
    assert line.split()[:6] == ["interpolate", "nearest", "×2", "1×3×32×32", "1×3×64×64", "float32"]
    assert line.split()[6] in ("portable", "cpu")


def test_a_deviation_marks_its_row_and_the_exit_code(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = reference.conv_transpose
    monkeypatch.setattr(reference, "conv_transpose", lambda *args, **options: real(*args, **options) + 1e-3)
    assert main(["demo", str(photo), "--output", str(tmp_path / "gallery.png")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("5 of 73 rows deviate from the float64 reference." in line for line in lines)
    off = [line for line in lines if "OFF" in line]
    assert len(off) == 5
    assert all(line.lstrip().startswith("conv_transpose") for line in off)


@pytest.mark.parametrize("fault", ["shape", "dtype", "nan"])
def test_what_no_tolerance_covers(fault: str, demo_modules: None) -> None:
    from upsample.demo import cases, measure

    case = next(c for c in cases(np.ones((32, 32, 3), np.uint8)) if c.label.startswith("bilinear"))
    good = measure(case, None, None)
    assert good is not None
    assert good.agrees
    spoil = {"shape": lambda y: y[:, :, 1:], "dtype": lambda y: y.astype(np.float64), "nan": lambda y: y * np.nan}

    def spoiled(*args: object, **options: object) -> np.ndarray:
        return spoil[fault](upsample.interpolate(*args, **options))

    row = measure(dataclasses.replace(case, function=spoiled), None, None)
    assert row is not None
    assert not row.agrees


def test_rows_that_an_engine_cannot_run_are_left_out(demo_modules: None) -> None:
    from upsample.demo import cases, measure

    case = cases(np.ones((32, 32, 3), np.uint8))[0]
    assert measure(case, "cuda" if not _usable("cuda") else "nowhere", None) is None


def _usable(name: str) -> bool:
    return any(e.name == name and e.unusable() is None for e in ENGINES)


def test_arrays_of_cupy_travel_there_and_back(demo_modules: None) -> None:
    from upsample.demo import cases, measure

    calls: list[str] = []

    def note(name: str, result: object = None):
        return lambda *args: (calls.append(name), args[0] if args else result)[1]

    runtime = SimpleNamespace(deviceSynchronize=note("synchronize"))
    cupy = SimpleNamespace(asarray=note("there"), asnumpy=note("back"), cuda=SimpleNamespace(runtime=runtime))
    row = measure(cases(np.ones((32, 32, 3), np.uint8))[0], None, cupy)
    assert row is not None
    assert row.agrees
    assert calls[0] == "there"
    assert calls[-1] == "back"
    assert "synchronize" in calls


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.png", None, "No such file"),
        ("notes.png", b"no image, only words\n", "no image in it"),
        ("empty.png", b"", "no image in it"),
        ("cut.png", PNG + b"\0\0\0\rIHDR", "no image in it"),
    ],
)
def test_what_is_no_image(
    name: str, content: bytes | None, words: str, tmp_path: Path, demo_modules: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main(["demo", str(path), "--output", str(tmp_path / "gallery.png")]) == 2
    _one_line(capsys, "upsample demo: cannot read", words)
    assert not (tmp_path / "gallery.png").exists()


def test_an_image_that_is_too_small(tmp_path: Path, demo_modules: None, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    Image.new("RGB", (31, 400)).save(tmp_path / "thin.png")
    assert main(["demo", str(tmp_path / "thin.png")]) == 2
    _one_line(capsys, "31x400 pixels", "at least 32x32")


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_every_mode_of_an_image(mode: str, tmp_path: Path, demo_modules: None) -> None:
    from PIL import Image

    from upsample.gallery import load

    ramp = np.linspace(0, 1, 40 * 36).reshape(36, 40)
    if mode in ("I;16", "I", "F"):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray((ramp * 60000).astype(dtype))
    else:
        image = Image.fromarray((ramp * 255).astype(np.uint8)).convert("RGB").convert(mode)
    assert image.mode == mode
    image.save(tmp_path / "image.tiff") if mode != "HSV" else image.convert("RGB").save(tmp_path / "image.tiff")
    pixels, (top, left) = load(tmp_path / "image.tiff")
    assert pixels.shape == (36, 40, 3)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].max() < 60
    assert pixels[-1, -1].min() > 195
    assert 0 <= top <= 36 - 24
    assert 0 <= left <= 40 - 24


def test_transparent_pixels_are_white(tmp_path: Path, demo_modules: None) -> None:
    from PIL import Image

    from upsample.gallery import load

    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (load(tmp_path / "clear.png")[0] == 255).all()


def test_the_photograph_needs_no_path(demo_modules: None) -> None:
    from upsample.gallery import load

    image, detail = load(None)
    assert image.shape == (512, 512, 3)
    assert detail == (92, 191)


def test_where_the_gallery_cannot_go(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(photo), "--output", str(tmp_path / "absent" / "gallery.png")]) == 2
    _one_line(capsys, "No such file or directory", "absent")
    assert main(["demo", str(photo), "--output", str(tmp_path / "gallery.jpg")]) == 2
    _one_line(capsys, "gallery.jpg: a name in .png is wanted")
    before = photo.read_bytes()
    assert main(["demo", str(photo), "--output", str(photo)]) == 2
    _one_line(capsys, "would overwrite the image")
    assert photo.read_bytes() == before


def test_an_engine_that_cannot_run(
    photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = import_module("upsample.demo")  # the attribute `upsample.demo` may be another test's
    absent = SimpleNamespace(name="cuda", unusable=lambda: "there is no GPU")
    monkeypatch.setattr(demo, "ENGINES", (absent,))
    assert main(["demo", str(photo), "--engine", "cuda"]) == 2
    _one_line(capsys, "the cuda engine cannot run here: there is no GPU")


@pytest.mark.parametrize("missing", DEMO)
def test_a_missing_extra_is_named(
    missing: str,
    demo_modules: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("upsample.demo", "upsample.gallery"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["demo", "--output", str(tmp_path / "gallery.png")]) == 2
    _one_line(capsys, 'pip install "upsample[demo]"')


def _one_line(capsys: pytest.CaptureFixture[str], *words: str) -> None:
    said, complained = capsys.readouterr()
    assert said == ""
    assert complained.count("\n") == 1
    for word in words:
        assert word in complained


def test_info_needs_nothing_but_numpy() -> None:
    """And importing upsample loads none of the demo's packages."""
    code = f"""
import sys
import upsample
from upsample.__main__ import main
assert not set({DEMO!r}) & set(sys.modules)
for name in (*{DEMO!r}, "torch", "jax", "dask", "numba", "ml_dtypes"):
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
        "BLAS",
        "Engines",
    ):
        assert word in run.stdout


def test_info_says_why_an_engine_is_not_usable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from upsample import info

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
    from upsample import info

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
    from upsample import info

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
    from upsample import info

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert info.kernels().startswith("none on disk: the first call of each op compiles")
    package = Path(upsample.__file__).parent / "engines" / "cpu"
    (folder,) = info._caches(package)
    folder.mkdir()
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    for name in (f"compile.a-1.{python}.nbi", f"compile.b-2.{python}.nbi", f"absent.c-3.{python}.nbi", "compile.d.nbi"):
        (folder / name).write_bytes(b"index")
    assert info.kernels() == f"2 on disk, in {folder}"
    os.utime(folder / f"compile.a-1.{python}.nbi", (0, 0))  # older than its source: Numba would not take it
    assert info.kernels() == f"1 on disk, in {folder}"


def test_the_kernels_are_where_info_looks(tmp_path: Path) -> None:
    needs_numba()
    code = """
import numpy as np
import upsample
from upsample import info
assert info.kernels().startswith("none")
upsample.interpolate(np.ones((1, 1, 4, 4), dtype=np.float32), scale_factor=2, engine="cpu")
(folder,) = info._caches(info.Path(upsample.__file__).parent / "engines" / "cpu")
assert info.kernels().endswith(f"on disk, in {folder}")
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize("state", ["none", "present", "fails"])
def test_info_names_the_gpus(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from upsample import info

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


def test_version_help_and_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"upsample {upsample.__version__}\n"
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert "demo" in said
    assert "info" in said
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: upsample")
    assert main(["dem"]) == 2
    assert main(["demo", "--engine", "gpu"]) == 2
    assert "portable" in capsys.readouterr().err


def test_python_m_upsample() -> None:
    command = [sys.executable, "-m", "upsample"]
    for arguments, status, word in ((["--version"], 0, upsample.__version__), ([], 2, "usage: upsample")):
        run = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert run.returncode == status
        assert word in run.stdout + run.stderr
