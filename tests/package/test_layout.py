"""The house: files stay readable, and every folder with code is packaged."""

from __future__ import annotations

import ast
import tomllib
from importlib import resources
from pathlib import Path

import pytest
import upsample.kernels

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "upsample").rglob("*.py"))
KERNELS = sorted(path for path in (ROOT / "kernels").iterdir() if path.suffix in (".cu", ".cuh", ".py"))
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

LONGEST = 400
LONGEST_FUNCTION = 50
LONG = {
    "upsample/functional/pool.py": "six functions, six docstrings",
    "upsample/reference/resize.py": "formulas and their sources",
}
"""Files whose docstrings may take them past `LONGEST`; their code may not."""


def docstrings(tree: ast.AST) -> int:
    """Return how many lines docstrings take."""
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            count += node.body[0].end_lineno - node.body[0].lineno + 1
    return count


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_file_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    if relative(path) in LONG:
        assert lines > LONGEST, "it has become short: take it off the list"
        lines -= docstrings(ast.parse(text))
    assert lines <= LONGEST


def test_the_list_of_long_files_is_current() -> None:
    assert set(LONG) <= {relative(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_functions_are_short(path: Path) -> None:
    long = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1] if ast.get_docstring(node) is not None and len(node.body) > 1 else node.body[0]
            length = node.end_lineno - first.lineno + 1
            if length > LONGEST_FUNCTION:
                long[node.name] = length
    assert long == {}


def test_every_folder_with_code_is_a_package() -> None:
    """`setup.py` finds packages, and leaves out a folder without ``__init__.py``; test_wheel.py holds the outcome."""
    assert {path.parent for path in FILES} == {path.parent for path in FILES if path.name == "__init__.py"}


LAYERS = [layer.split(" | ") for layer in SETUP["tool"]["importlinter"]["contracts"][0]["layers"]]
LISTED = {name for layer in LAYERS for name in layer}
BELOW_DIALECTS = {
    n for layer in LAYERS[1 + next(i for i, names in enumerate(LAYERS) if "native" in names) :] for n in layer
}
APART = {"__init__", "reference"}


def parts_imported(text: str) -> set[str]:
    """Return the parts of this package that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(text)))
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.module != "upsample"}
    names |= {
        f"upsample.{a.name}" for n in nodes if isinstance(n, ast.ImportFrom) and n.module == "upsample" for a in n.names
    }
    return {name.split(".")[1] for name in names if name.startswith("upsample.")}


def test_a_dialect_that_no_contract_names_keeps_to_the_layers() -> None:
    """So that adding one takes one file; import-linter's contract holds the rest."""
    own = {path: path.relative_to(ROOT / "upsample").parts[0].removesuffix(".py") for path in FILES}
    unlisted = {path: name for path, name in own.items() if name not in LISTED | APART}
    for path, name in unlisted.items():
        assert parts_imported(path.read_text(encoding="utf-8")) - {name} <= BELOW_DIALECTS, relative(path)
    text = "from upsample.ops.resize import resize\nfrom upsample import arrays, native\nimport upsample.nn.pool\n"
    assert parts_imported(text) == {"ops", "arrays", "native", "nn"}
    assert parts_imported(text) - BELOW_DIALECTS == {"native", "nn"}


def test_kernels_are_found_as_a_package() -> None:
    assert Path(upsample.kernels.__file__).resolve().parent == ROOT / "kernels"
    found = resources.files("upsample.kernels").iterdir()
    assert sorted(f.name for f in found if f.name.endswith((".cu", ".cuh", ".py"))) == [path.name for path in KERNELS]


def test_kernels_init_is_only_a_docstring() -> None:
    tree = ast.parse((ROOT / "kernels" / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1
