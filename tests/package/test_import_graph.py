"""No circle of imports; those inside functions, under TYPE_CHECKING and by `import_module` count, too."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def import_graph(root: Path, package: str) -> dict[str, set[str]]:
    """Return for each module of a package the modules of it that it imports, wherever in the file."""
    files = {path.relative_to(root).with_suffix(""): path for path in (root / package).rglob("*.py")}
    modules = {".".join(name.parts).removesuffix(".__init__"): path for name, path in files.items()}
    graph = {}
    for module, path in modules.items():
        around = module if path.name == "__init__.py" else module.rpartition(".")[0]
        imported = imports(ast.parse(path.read_text(encoding="utf-8")), around, frozenset(modules))
        graph[module] = (imported & modules.keys()) - {module}
    return graph


def imports(tree: ast.AST, package: str, modules: frozenset[str]) -> set[str]:
    """Return what a file of `package` imports: ``from a import b`` is a.b if that is a module, otherwise a."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            source = ".".join([*start, *filter(None, [node.module])])
            found |= {name if (name := f"{source}.{alias.name}") in modules else source for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other, each by way of the others."""
    reached = {start: reachable(graph, start) for start in graph}
    groups = {frozenset(m for m in reached[start] if start in reached[m]) for start in graph if start in reached[start]}
    return sorted(map(set, groups), key=sorted)


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Return the modules that a module imports by way of others."""
    found: set[str] = set()
    left = [start]
    while left:
        new = graph[left.pop()] - found
        found |= new
        left.extend(new)
    return found


@pytest.mark.parametrize("package", ["upsample", "benchmarks"])
def test_there_is_no_circle(package: str) -> None:
    assert circles(import_graph(ROOT, package)) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "p" / "q"
    folder.mkdir(parents=True)
    (tmp_path / "p" / "__init__.py").write_text("from p import a\n")
    (tmp_path / "p" / "a.py").write_text("import json\ndef f():\n    from .q import b\n")
    (folder / "__init__.py").write_text("")
    (folder / "b.py").write_text("from ..c import x\n")
    (tmp_path / "p" / "c.py").write_text("from importlib import import_module\nimport_module('p.a')\n")
    assert circles(import_graph(tmp_path, "p")) == [{"p.a", "p.c", "p.q.b"}]
