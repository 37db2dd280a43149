"""What a kernel uses of a multiprocessor, and whether that is more than was recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import cpu_count
from pathlib import Path
from typing import Any, NamedTuple

from compiler import nvrtc
from upsample.engines.cuda.runtime.launch import Kernel

__all__ = ["ALLOWED", "RECORDED", "Used", "complaint", "measured", "name", "read", "used", "write"]

RECORDED = Path(__file__).resolve().parents[1] / "kernels" / "resources.json"
"""One line each for a compiler, an architecture and a kernel."""

ALLOWED = 4
"""So many registers more than recorded are let pass: compilers of one major version differ by a few."""

_ENTRY = re.compile(
    r"Compiling entry function '(?P<entry>\w+)' for 'sm_\w+'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stored>\d+) bytes spill stores, (?P<loaded>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers",
    re.DOTALL,
)


class Used(NamedTuple):
    """Registers a thread; bytes of stack a thread, and bytes of instructions that spill registers to it."""

    registers: int
    stack: int
    spilled: int


def used(log: str) -> dict[str, Used]:
    """Read the assembler's words (``--ptxas-options=-v``): what each entry uses."""
    return {
        m["entry"]: Used(int(m["registers"]), int(m["stack"]), int(m["stored"]) + int(m["loaded"]))
        for m in _ENTRY.finditer(log)
    }


def measured(kernels: Iterable[Kernel], *, version: str, arch: str) -> dict[Kernel, Used]:
    """Compile kernels, those of one program together, on all cores; NVRTC lets go of Python's lock."""
    programs: dict[tuple[str, tuple[tuple[str, str], ...]], list[Kernel]] = {}
    for kernel in kernels:
        programs.setdefault((kernel.file, kernel.macros), []).append(kernel)
    firsts = [group[0] for group in programs.values()]
    with ThreadPoolExecutor(cpu_count()) as pool:
        made = pool.map(partial(nvrtc.compiled, version=version, arch=arch), firsts)
        return {k: used(m.log)[k.entry] for group, m in zip(programs.values(), made, strict=True) for k in group}


def name(kernel: Kernel, *, version: str, arch: str) -> str:
    """Return the record's name."""
    return f"CUDA {version}, {arch}: {kernel}"


def complaint(now: Used, before: Used | None) -> str | None:
    """Return None, or in words what is worse than recorded."""
    if before is None:
        return "not recorded"
    worse = []
    if now.registers > before.registers + ALLOWED:
        worse.append(f"{now.registers} registers, recorded {before.registers}")
    worse += [
        f"{getattr(now, what)} bytes {what}, recorded {getattr(before, what)}"
        for what in ("stack", "spilled")
        if getattr(now, what) > getattr(before, what)
    ]
    return "; ".join(worse) or None


def read() -> dict[str, Used]:
    """Return what is recorded."""
    if not RECORDED.exists():
        return {}
    return {key: Used(*values) for key, values in json.loads(RECORDED.read_text(encoding="utf-8"))["used"].items()}


def write(records: Mapping[str, Used], compilers: Mapping[str, str]) -> None:
    """Replace what is recorded."""
    head: dict[str, Any] = {"columns": list(Used._fields), "compilers": dict(sorted(compilers.items()))}
    lines = [f"{json.dumps(key)}: {json.dumps(list(records[key]))}" for key in sorted(records)]
    body = ",\n".join(lines)
    RECORDED.write_text(f'{json.dumps(head)[:-1]}, "used": {{\n{body}\n}}}}\n', encoding="utf-8")
