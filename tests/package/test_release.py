"""The release kit: one version, a changelog for it, a citation, packages that the index accepts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

import upsample

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_in_one_place() -> None:
    assert "version" in PROJECT["dynamic"]
    assert re.search(rf"^version: {re.escape(upsample.__version__)}$", text("CITATION.cff"), re.MULTILINE)
    assert f'version: "{upsample.__version__}"' in text(".github/conda/recipe.yaml")


def test_the_changelog_has_a_section_for_the_version() -> None:
    sections = re.findall(r"^## \[([^\]]+)\](?: - (\S+))?$", text("CHANGELOG.md"), re.MULTILINE)
    assert sections[0] == ("Unreleased", "")
    released = [(version, date.fromisoformat(day)) for version, day in sections[1:]]
    assert [day for _, day in released] == sorted((day for _, day in released), reverse=True)
    assert "dev" in upsample.__version__ or released[0][0] == upsample.__version__


def test_the_citation_names_a_date() -> None:
    (released,) = re.findall(r'^date-released: "(.+)"$', text("CITATION.cff"), re.MULTILINE)
    assert date.fromisoformat(released) <= date.max


def test_the_index_page_links_somewhere() -> None:
    """The index shows README.md without the repository around it: links and pictures must be absolute."""
    links = re.findall(r"\]\(([^)\s]+)\)", text("README.md"))
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert set(PROJECT["urls"]) >= {"Documentation", "Source", "Changelog", "Issues"}


def test_the_recipe_follows_the_project() -> None:
    recipe = text(".github/conda/recipe.yaml")
    for requirement in PROJECT["dependencies"]:
        package, _, least = requirement.partition(">=")
        assert f"- {package} >={least}" in recipe
    assert f'python_min: "{PROJECT["requires-python"].removeprefix(">=")}"' in recipe


def test_the_packages_are_what_the_index_accepts() -> None:
    pytest.importorskip("twine", reason="twine is not installed, which checks packages")
    folder = os.environ.get("UPSAMPLE_TEST_DIST")
    if folder is None:
        pytest.skip("no packages are built: UPSAMPLE_TEST_DIST is not set")
    paths = [str(path) for path in Path(folder).iterdir()]
    run = [sys.executable, "-m", "twine", "check", "--strict", *paths]
    done = subprocess.run(run, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
