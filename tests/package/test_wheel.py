"""What is in the wheel and in the sdist.

``UPSAMPLE_TEST_DIST`` names a folder that has both, as in `.ci/run`; otherwise both are built, where `build` and the
setuptools that it needs are installed: no test goes to the network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "benchmarks")

TOOLS = {"build": 1, "setuptools": 77}


def installed(tool: str) -> int:
    """Return the major version of a package that is installed, or -1; it is not imported for it."""
    try:
        return int(metadata.version(tool).partition(".")[0])
    except metadata.PackageNotFoundError:
        return -1


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("UPSAMPLE_TEST_DIST")
    if given:
        return Path(given)
    for tool, least in TOOLS.items():
        if installed(tool) < least:
            pytest.skip(f"{tool} {least} or later, which makes wheels, is not installed")
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)  # no older build may show through
    run = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source"]
    done = subprocess.run(run, capture_output=True, encoding="utf-8", errors="replace", timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> dict[str, bytes]:
    (path,) = dist.glob("*.whl")
    assert path.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def sdist(dist: Path) -> dict[str, bytes]:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as file:
        return {m.name.partition("/")[2]: file.extractfile(m).read() for m in file.getmembers() if m.isfile()}


def sources() -> dict[str, Path]:
    """Return what must be packaged: its name in the wheel, and where it is here."""
    found = {p.relative_to(ROOT).as_posix(): p for p in (ROOT / "upsample").rglob("*.py")}
    for name in ("py.typed", "command_line/astronaut.jpg"):
        found[f"upsample/{name}"] = ROOT / "upsample" / name
    kernels = [p for p in (ROOT / "kernels").iterdir() if p.suffix in (".py", ".cu", ".cuh")]
    return found | {f"upsample/kernels/{p.name}": p for p in kernels}


def test_wheel_has_every_source_and_no_more(wheel: dict[str, bytes]) -> None:
    code = {name: data for name, data in wheel.items() if ".dist-info/" not in name}
    assert sorted(code) == sorted(sources())
    assert code == {name: path.read_bytes() for name, path in sources().items()}


def test_wheel_says_who_it_is(wheel: dict[str, bytes]) -> None:
    about = {name.partition(".dist-info/")[2]: data.decode() for name, data in wheel.items() if ".dist-info/" in name}
    assert about["licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert about["top_level.txt"].split() == ["upsample"]
    assert "upsample = upsample.__main__:main" in about["entry_points.txt"]
    fields = Parser().parsestr(about["METADATA"])
    hard = [r for r in fields.get_all("Requires-Dist") if "extra ==" not in r]
    assert sorted(r.split(">=")[0] for r in hard) == ["array-api-compat", "numpy"]
    assert fields.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_sdist_has_what_the_wheel_is_built_from(sdist: dict[str, bytes]) -> None:
    built = {("kernels/" + p.name) if p.parent.name == "kernels" else name for name, p in sources().items()}
    wanted = built | {"LICENSE", "README.md", "pyproject.toml", "setup.py"}
    assert wanted <= set(sdist)
    assert {name: sdist[name] for name in wanted} == {name: (ROOT / name).read_bytes() for name in wanted}


def test_sdist_has_tests_and_documentation_and_nothing_built(sdist: dict[str, bytes]) -> None:
    """A distribution builds the package, runs its tests and renders its documentation from the sdist."""
    assert {"tests/conftest.py", "docs/conf.py", "CHANGELOG.md", "CITATION.cff"} <= set(sdist)
    allowed = ("upsample/", "kernels/", "upsample.egg-info/", "tests/", "docs/", "benchmarks/", ".github/images/")
    single = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"}
    single |= {"pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO", "MANIFEST.in"}
    assert [name for name in sdist if not name.startswith(allowed) and name not in single] == []
    made = ("docs/_build/", "docs/_pictures/", "docs/auto_gallery/", "docs/api/generated/")
    assert [name for name in sdist if name.startswith(made) or "__pycache__" in name] == []
