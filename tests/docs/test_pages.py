"""The documentation: its Python runs, its links lead to files, its notebooks run and carry no output."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("*/*.md"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
EXAMPLES = sorted((DOCS / "gallery").glob("plot_*.py"))
OPTIONAL = (
    *("PIL", "cupy", "cv2", "dask", "jax", "matplotlib", "ome_zarr", "onnx"),
    *("scipy", "skimage", "torch", "xarray", "zarr"),
)
BLOCKS = runpy.run_path(str(ROOT / ".ci" / "readme_commands.py"))["blocks"]


def name(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def python(path: Path) -> list[str]:
    """Return the blocks of Python of a page."""
    return [body for language, body in BLOCKS(path.read_text(encoding="utf-8")) if language == "python"]


WITH_PYTHON = [page for page in PAGES if python(page)]


def test_there_are_pages_examples_and_notebooks() -> None:
    assert len(WITH_PYTHON) >= 8
    assert len(EXAMPLES) >= 15
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the blocks of a page one after the other, as a reader would."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for number, block in enumerate(python(page)):
        libraries = re.findall(rf"^(?:import|from) ({'|'.join(OPTIONAL)})\b", block, re.MULTILINE)
        for library in libraries:
            pytest.importorskip(library, reason=f"{library} is not installed, and this page imports it")
        exec(compile(block, f"<{name(page)}, Python block {number + 1}>", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    """Check links and pictures. `auto_gallery` is made while the site is built, from `gallery`."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^```\{(?:image|include)\} (\S+)", text, re.MULTILINE)
    for target in targets:
        path = target.partition("#")[0]
        if "://" in target or not path:
            continue
        source = path.replace("auto_gallery/", "gallery/")
        source = source.replace("index.rst", "README.rst") if "gallery/" in source else source
        made = (page.parent / source).with_suffix(".py") if "gallery/plot" in source else page.parent / source
        assert made.is_file(), f"{name(page)} links to {target}"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_a_notebook_is_stored_without_output(notebook: Path) -> None:
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_a_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed, which runs notebooks")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed, which runs notebooks")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed, which reads notebooks")
    content = nbformat.read(notebook, as_version=4)
    nbclient.NotebookClient(content, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
