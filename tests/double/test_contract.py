"""Every call that the double takes fits the signature of the installed CuPy, and the engine calls nothing else."""

from __future__ import annotations

import ast
import inspect
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

import upsample
from double import arrays, cuda

cupy: Any = pytest.importorskip("cupy", reason="cupy is not installed: nothing to compare the double with")

CONTRACT: dict[str, Any] = {
    **arrays.FUNCTIONS,
    "RawModule": cuda.RawModule,
    "RawModule.get_function": cuda.RawModule.get_function,
    "RawKernel": cuda.RawKernel,
    "cuda.Device": cuda.Device,
    "cuda.Event": cuda.Event_,
    "cuda.MemoryPointer": arrays.MemoryPointer,
    "cuda.MemoryPool": cuda.MemoryPool,
    "cuda.Stream": cuda.Stream,
    "cuda.Stream.from_external": cuda.Stream.from_external,
    "cuda.UnownedMemory": cuda.UnownedMemory,
    "cuda.alloc_pinned_memory": cuda.alloc_pinned_memory,
    "cuda.get_current_stream": cuda.get_current_stream,
    "cuda.set_allocator": cuda.set_allocator,
    "cuda.using_allocator": cuda.using_allocator,
    "ndarray.get": arrays.ndarray.get,
    "ndarray.astype": arrays.ndarray.astype,
    "ndarray.copy": arrays.ndarray.copy,
    "ndarray.fill": arrays.ndarray.fill,
}
ATTRIBUTES = (
    "cuda.compiler.CompileException",
    "cuda.runtime.getDevice",
    "cuda.runtime.getDeviceCount",
    "cuda.runtime.getDeviceProperties",
    "cuda.runtime.runtimeGetVersion",
    "cuda.runtime.is_hip",
    "cuda.Stream.synchronize",
    "cuda.Stream.is_capturing",
    "RawKernel.max_dynamic_shared_size_bytes",
    "ndarray.data",
    "ndarray.flags",
)
"""What the engine asks for besides calls."""


def real(name: str) -> Any:
    return reduce(getattr, name.split("."), cupy)


def parameters(f: Any) -> list[str]:
    """Names in their order; those of Cython's classes are in the first line of their docstring alone."""
    try:
        names = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        names = []
    if not names or set(names) <= {"args", "kwargs", "_obj", "_no_init", "self"}:
        line = (f.__doc__ or "").strip().splitlines()[0].split(" ->")[0]
        inside = line[line.index("(") + 1 : line.rindex(")")]
        names = [
            part.split("=")[0].split()[-1].lstrip("*") for part in inside.split(",") if part.strip() not in ("*", "")
        ]
    return [name for name in names if name not in ("self", "cls")]


@pytest.mark.parametrize("name", CONTRACT)
def test_the_signature_is_cupys(name: str) -> None:
    own, theirs = parameters(CONTRACT[name]), parameters(real(name))
    assert [p for p in theirs if p in own] == own, (own, theirs)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_cupy_has_what_the_engine_asks_for(name: str) -> None:
    assert real(name) is not None


def test_the_engine_asks_for_nothing_else() -> None:
    """Each ``cupy.a.b`` in the engine's text is in the contract."""
    folder = Path(upsample.__file__).parent / "engines" / "cuda"
    asked = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            for head in ("cupy.", "self._cupy."):
                if text.startswith(head) and "(" not in text:
                    asked.add(text.removeprefix(head))
    known = {*CONTRACT, *ATTRIBUTES}
    unknown = {a for a in asked if not any(k == a or k.startswith(f"{a}.") for k in known)} - {"ndarray"}
    assert not unknown
