"""Where compiled kernels are kept, and that nothing about a disk ever breaks a call."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from backends import needs_numba

import upsample
from hostile import worlds

needs_numba()

CALL = worlds.COMPILED.replace("return {", "return {'library': 'numba.np.linalg' in sys.modules,") + worlds.RESULT


def kernels(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.kernel"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return worlds.read_only(tmp_path / "home")


def obeying() -> tuple[str, ...]:
    try:
        return worlds.without_privileges()
    except FileNotFoundError:
        pytest.skip("setpriv is not installed, and the superuser may write everywhere")


def test_the_order_of_the_folders(tmp_path: Path) -> None:
    """UPSAMPLE_CACHE_DIR, then Numba's, then the user's."""
    told = {"UPSAMPLE_CACHE_DIR": "ours", "NUMBA_CACHE_DIR": "numbas", "XDG_CACHE_HOME": "users"}
    if sys.platform != "linux":
        del told["XDG_CACHE_HOME"]
    variables = {name: str(tmp_path / folder) for name, folder in told.items()}
    for name, folder in told.items():
        got = worlds.said(CALL, **variables)
        assert (got["engine"], got["same"], got["problems"]) == ("cpu", True, [])
        assert got["compiled"] == len(kernels(tmp_path / folder)) > 0
        assert all(path.startswith(str(tmp_path / folder)) for path in got["folders"])
        shutil.rmtree(tmp_path / folder)
        del variables[name]


def test_a_second_process_loads_them(tmp_path: Path) -> None:
    first, second = (worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert (first["compiled"] > 0, second["compiled"]) == (True, 0)


def test_loading_imports_nothing_that_only_compiling_needs(tmp_path: Path) -> None:
    """Numba's implementations of NumPy take longer to import than all else, and only compiling needs them."""
    first, second = (worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert (first["compiled"] > 0, first["library"], first["same"]) == (True, True, True)
    assert (second["compiled"], second["library"], second["same"]) == (0, False, True)


def test_loading_lists_no_entry_points(tmp_path: Path) -> None:
    """Numba lists those of all installed packages, for extensions of its types, which kernels do not use."""
    count = "import importlib.metadata as m\nlisted = []\nm.entry_points = lambda **_: listed.append(0) or {}\n"
    code = CALL.replace("import json", count + "import json", 1) + "assert not listed\n"
    worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
    assert worlds.said(code, UPSAMPLE_CACHE_DIR=str(tmp_path))["compiled"] == 0


def test_a_process_compiles_after_it_has_loaded(tmp_path: Path) -> None:
    """It compiles kernels of this package, and a function of the program, after a kernel came from disk."""
    own = "import numba\n@numba.njit\ndef own(a): return np.sort(a)[::-1].cumsum()\nassert own(x.ravel())[0] == 23\n"
    pool = "assert (upsample.max_pool2d(x, 2, engine='cpu') == x[..., 1::2, 1::2]).all()\n"
    worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
    later = worlds.said(CALL.replace("print(", own + pool + "print("), UPSAMPLE_CACHE_DIR=str(tmp_path))
    assert (later["compiled"] > 0, later["library"], later["same"]) == (True, True, True)


def test_nothing_can_be_written_anywhere(home: Path, tmp_path: Path) -> None:
    """A container with a read-only site-packages, run by a user without a home."""
    site = tmp_path / "site"
    package = Path(upsample.__file__).parent
    shutil.copytree(package, site / "upsample", ignore=shutil.ignore_patterns("__pycache__"))
    worlds.read_only(site)
    got = worlds.said(CALL, *obeying(), HOME=str(home), PYTHONPATH=str(site))
    assert (got["engine"], got["same"], got["compiled"] > 0) == ("cpu", True, True)
    assert got["package"].startswith(str(site))
    assert any("kernels are not kept in" in problem for problem in got["problems"])
    assert not list(site.rglob("__pycache__"))


def test_a_user_without_a_home() -> None:
    """Its folder would be called ``~`` in the current one."""
    code = "import os, pwd\nos.environ.pop('HOME')\ndef none(_): raise KeyError\npwd.getpwuid = none\n"
    got = worlds.said(code + CALL)
    assert (got["engine"], got["same"], got["folders"]) == ("cpu", True, [])
    assert not Path("~").exists()


def test_kernels_that_can_only_be_read(home: Path, tmp_path: Path) -> None:
    """As in an image that was filled by the superuser: they serve, and new ones go elsewhere."""
    baked = tmp_path / "baked"
    assert worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(baked))["compiled"] > 0
    worlds.read_only(baked)
    got = worlds.said(CALL, *obeying(), UPSAMPLE_CACHE_DIR=str(baked), HOME=str(home))
    assert (got["same"], got["compiled"]) == (True, 0)
    own = tmp_path / "own"
    other = CALL.replace("float32", "float64")
    got = worlds.said(other, *obeying(), UPSAMPLE_CACHE_DIR=str(baked), NUMBA_CACHE_DIR=str(own), HOME=str(home))
    assert (got["same"], got["compiled"]) == (True, len(kernels(own)))


DAMAGED = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "without its last byte": lambda data: data[:-1],
    "one bit other": lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    "not ours": lambda data: b"something else altogether" * 100,
}


def test_damaged_files(tmp_path: Path) -> None:
    """They are compiled anew and replaced, and `info` counts them."""
    worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
    (path, *_) = kernels(tmp_path)
    whole = path.read_bytes()
    for damage in DAMAGED.values():
        path.write_bytes(damage(whole))
        got = worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
        assert (got["same"], got["compiled"]) == (True, 1)
        assert got["problems"] == [f"{path} is damaged: compiled anew"]
        assert path.stat().st_size == len(whole)


def test_files_that_cannot_be_unpickled(tmp_path: Path) -> None:
    code = """
from upsample.engines.cpu.runtime import kernel_cache
import pickle
class Foreign:
    def __reduce__(self): return (__import__, ("a_module_that_is_not_there",))
original = kernel_cache.dumps
kernel_cache.dumps = lambda _: pickle.dumps(Foreign())
"""
    worlds.said(code + CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
    got = worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
    assert (got["same"], got["compiled"] > 0) == (True, True)
    assert all("cannot be loaded (ModuleNotFoundError" in problem for problem in got["problems"])
    assert worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))["compiled"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits the size of no file")
def test_a_full_disk(tmp_path: Path) -> None:
    """Writing fails in the middle of a file: none is left behind."""
    code = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    got = worlds.said(code + CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
    assert (got["same"], got["compiled"] > 0) == (True, True)
    assert [problem.split(":")[0] for problem in got["problems"]] == [f"kernels are not kept in {got['folders'][0]}"]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    got = worlds.said(CALL, UPSAMPLE_CACHE_DIR=str(tmp_path / "file"), NUMBA_CACHE_DIR=str(tmp_path / "other"))
    assert (got["same"], len(kernels(tmp_path))) == (True, got["compiled"])


def test_a_kernel_file_is_readable_by_others(tmp_path: Path) -> None:
    worlds.said("import os\nos.umask(0o022)\n" + CALL, UPSAMPLE_CACHE_DIR=str(tmp_path))
    assert {path.stat().st_mode & 0o777 for path in kernels(tmp_path)} == {0o644}


def test_site_packages_stay_as_they_were(tmp_path: Path) -> None:
    """What pip did not install it does not remove, and a folder that is left behind can be imported."""
    site = tmp_path / "site"
    package = Path(upsample.__file__).parent
    shutil.copytree(package, site / "upsample", ignore=shutil.ignore_patterns("__pycache__"))
    before = {path for path in site.rglob("*") if path.is_file()}
    variables = {"PYTHONPATH": str(site), "HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    got = worlds.said(CALL, **variables)
    assert got["compiled"] > 0
    assert got["package"].startswith(str(site))
    assert {path for path in site.rglob("*") if path.is_file()} == before


def test_times_of_sources_do_not_count(tmp_path: Path) -> None:
    """The layers of a container image keep whole seconds only; contents count, of every file of the engine."""
    site = tmp_path / "site"
    package = Path(upsample.__file__).parent
    shutil.copytree(package, site / "upsample", ignore=shutil.ignore_patterns("__pycache__"))
    variables = {"UPSAMPLE_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(site)}
    assert worlds.said(CALL, **variables)["compiled"] > 0
    sources = sorted((site / "upsample" / "engines" / "cpu").rglob("*.py"))
    for path in sources:
        os.utime(path, (1_000_000, 1_000_000))
    assert worlds.said(CALL, **variables)["compiled"] == 0
    sources[-1].write_text(sources[-1].read_text() + "\n")
    assert worlds.said(CALL, **variables)["compiled"] > 0
