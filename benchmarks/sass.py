"""What the kernels are made of, where none could be measured: instructions by kind, registers, occupancy.

``python -m benchmarks sass`` compiles every specialisation for sm_90 with NVRTC, disassembles it with nvdisasm (both
from pip: the extra `kernels`), and writes results/sass.json and SASS.md. Static counts: see NOTE.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from pathlib import Path
from typing import Any

__all__ = ["Instruction", "counts", "hot_loop", "occupancy", "parsed", "write"]

ARCH = "sm_90"
NOTE = (
    "Not measured on a GPU. These are instructions in the program, not instructions run: how often a loop goes round, "
    "which branch is taken, what the caches hold, how many bytes are in flight and how long anything takes cannot be "
    "seen here. *Loop* is the loop with the most arithmetic and accesses, without loops inside of it; if there is "
    "none, the columns are of the whole kernel. Occupancy is by registers and block size alone; dynamic shared memory "
    "is known only at launch and can lower it."
)
KINDS = {
    "global loads": r"LDG",
    "global stores": r"STG",
    "shared": r"(LDS|STS|LDSM|LDGSTS)",
    "local": r"(LDL|STL)",
    "FMA": r"(FFMA|FMUL|FADD|DFMA|DMUL|DADD|HFMA2|HMUL2|HADD2|FMNMX)",
    "tensor": r"(HMMA|IMMA|DMMA|HGMMA)",
    "integer": r"(U?IMAD|U?IADD3?|U?LEA|VIADD|U?SHF|U?LOP3|U?ISETP|IABS|U?IMNMX|VIMNMX|U?SEL|U?PRMT)",
    "conversions": r"(F2F|F2I|I2F|F2FP|I2FP|FRND|MUFU)",
    "branches": r"(BRA|BRX|BSSY|BSYNC|WARPSYNC|CALL|EXIT)",
    "barriers": r"(BAR|DEPBAR)",
}
_LINE = re.compile(r"^\s*/\*([0-9a-f]+)\*/\s+(?:@!?U?P\w+ )?\s*([A-Z0-9_.]+)(.*?);", re.MULTILINE)
_FUNCTION = re.compile(r"^\.text\.(\w+):$", re.MULTILINE)
_LABELS = re.compile(r"^((?:\.L_x_\d+:\s+)+)/\*([0-9a-f]+)\*/", re.MULTILINE)


@dataclass(frozen=True)
class Instruction:
    """Its place, its name with what follows the dots, and where it may jump to."""

    place: int
    name: str
    target: int | None = None


def parsed(listing: str) -> dict[str, list[Instruction]]:
    """Read nvdisasm's text: the instructions of each kernel; padding behind the last is left out."""
    starts = [*_FUNCTION.finditer(listing)]
    ends = [*(m.start() for m in starts[1:]), len(listing)]
    made = {}
    for start, end in zip(starts, ends, strict=True):
        body = listing[start.end() : end]
        labels = {name: int(m[2], 16) for m in _LABELS.finditer(body) for name in m[1].replace(":", "").split()}
        found = [
            Instruction(int(place, 16), name, labels.get(jump[0]) if (jump := re.findall(r"\.L_x_\d+", rest)) else None)
            for place, name, rest in _LINE.findall(body)
        ]
        made[start[1]] = [i for i in found if i.name != "NOP" and not (i.name == "BRA" and i.target == i.place)]
    return made


def hot_loop(code: Sequence[Instruction]) -> list[Instruction]:
    """Return the loop with the most arithmetic and accesses, without loops inside of it, or nothing."""
    loops = {(i.target, i.place) for i in code if i.target is not None and i.target <= i.place}
    bodies = []
    for begin, end in sorted(loops):
        inside = [(b, e) for b, e in loops if (b, e) != (begin, end) and begin <= b and e <= end]
        bodies.append([i for i in code if begin <= i.place <= end and not any(b <= i.place <= e for b, e in inside)])
    return max(bodies, key=_work, default=[])


def _work(code: Sequence[Instruction]) -> tuple[int, int, int]:
    """Return the tensor cores' instructions, then all arithmetic and accesses, then arithmetic."""
    found = counts(code)
    arithmetic = found.get("FMA", 0) + found.get("tensor", 0)
    accesses = sum(found.get(kind, 0) for kind in ("global loads", "global stores", "shared"))
    return found.get("tensor", 0), arithmetic + accesses, arithmetic


def counts(code: Iterable[Instruction]) -> dict[str, int]:
    """Count instructions by kind, accesses of global memory by bits too (``global loads 128``)."""
    made: Counter[str] = Counter()
    for instruction in code:
        stem, *rest = instruction.name.split(".")
        kind = next((k for k, pattern in KINDS.items() if re.fullmatch(pattern, stem)), "other")
        made[kind] += 1
        made["all"] += 1
        if kind.startswith("global"):
            made[f"{kind} {next((bits for bits in ('128', '64') if bits in rest), _narrow(rest))}"] += 1
    return dict(made)


def _narrow(suffixes: Sequence[str]) -> str:
    return next((s[1:] for s in suffixes if re.fullmatch(r"[US](8|16)", s)), "32")


def occupancy(registers: int, threads: int) -> float:
    """Return the share of a multiprocessor's 64 warps that 65536 registers allow, in whole blocks of `threads`."""
    warps = -(-threads // 32)
    a_warp = -(-registers * 32 // 256) * 256
    blocks = min(64 // warps, 65536 // (a_warp * warps), 32)
    return blocks * warps / 64


def write(folder: Path) -> int:
    """Compile, disassemble, and write both files."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
    from compiler import nvrtc
    from emulator.listing import every

    tool = _nvdisasm()
    version = next((v for v in reversed(nvrtc.VERSIONS) if nvrtc.missing(v) is None), None)
    if version is None or tool is None:
        why = nvrtc.missing("13") if version is None else "nvdisasm is not installed: pip install nvidia-cuda-nvdisasm"
        print(why, file=sys.stderr)
        return 1
    programs: dict[Any, list[Any]] = {}
    for kernel in every():
        programs.setdefault((kernel.file, kernel.macros), []).append(kernel)
    with ThreadPoolExecutor(cpu_count()) as pool:
        parts = pool.map(partial(_described, tool=tool, version=version), programs.values())
        kernels = {name: found for part in parts for name, found in part.items()}
    head = {"arch": ARCH, "compiler": f"NVRTC {nvrtc.release(version)}", "note": NOTE}
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(kernels[name], sort_keys=True)}" for name in sorted(kernels))
    (folder / "sass.json").write_text(f'{json.dumps(head)[:-1]}, "kernels": {{\n{lines}\n}}}}\n', encoding="utf-8")
    (folder / "SASS.md").write_text(_page(head, kernels), encoding="utf-8")
    print(f"Wrote {folder / 'sass.json'} and {folder / 'SASS.md'}: {len(kernels)} kernels")
    return 0


def _nvdisasm() -> Path | None:
    spec = importlib.util.find_spec("nvidia")
    bases = (spec.submodule_search_locations or ()) if spec else ()
    found = (Path(base) / part / "bin/nvdisasm" for base in bases for part in ("cu13", "cuda_nvdisasm"))
    return next((path for path in found if path.exists()), None)


def _described(group: Sequence[Any], tool: Path, version: str) -> dict[str, dict[str, Any]]:
    """What the kernels of one program are made of."""
    from compiler import nvrtc, resources

    made = nvrtc.compiled(group[0], version=version, arch=ARCH)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.cubin)
        file.flush()
        listing = subprocess.run([tool, "-c", file.name], capture_output=True, text=True, check=True).stdout
    codes, used, blocks = parsed(listing), resources.used(made.log), _block_sizes(made.cubin)
    found = {}
    for kernel in group:
        code, registers = codes[kernel.entry], used[kernel.entry].registers
        threads = blocks[kernel.entry]
        found[str(kernel)] = {
            "registers": registers,
            "threads": threads,
            "occupancy": round(occupancy(registers, threads), 3),
            "whole": counts(code),
            "loop": counts(hot_loop(code)),
        }
    return found


def _block_sizes(cubin: bytes) -> dict[str, int]:
    """Read the launch bounds out of an ELF file: per kernel a section ``.nv.info.NAME`` has EIATTR_MAX_THREADS."""
    start, size, count, names = (*struct.unpack_from("<Q", cubin, 0x28), *struct.unpack_from("<3H", cubin, 0x3A))
    sections = [struct.unpack_from("<2I4Q", cubin, start + i * size) for i in range(count)]
    made = {}
    for name, _, _, _, offset, length in sections:
        begin = sections[names][4] + name
        words = cubin[begin : cubin.index(0, begin)].decode()
        found = cubin.find(b"\x04\x05\x0c\x00", offset, offset + length)
        if words.startswith(".nv.info.") and found >= 0:
            made[words.removeprefix(".nv.info.")] = math.prod(struct.unpack_from("<3I", cubin, found + 4))
    return made


def _page(head: Mapping[str, str], kernels: Mapping[str, Mapping[str, Any]]) -> str:
    columns = ["global loads", "global stores", "shared", "FMA", "tensor", "integer", "conversions", "all"]
    names = ["kernel", "registers", "occupancy", "whole kernel", *(f"loop: {c}" for c in columns)]
    lines = ["# What the kernels are made of", "", "Made by `python -m benchmarks sass`; not to be edited by hand.", ""]
    lines += [f"{head['arch']}, {head['compiler']}. {head['note']}", "", "| " + " | ".join(names) + " |"]
    lines += ["|" + "---|" * len(names)]
    for name in sorted(kernels):
        found = kernels[name]
        part = found["loop"] or found["whole"]
        cells = [f"{found['registers']}", f"{100 * found['occupancy']:.0f} %", f"{found['whole']['all']}"]
        cells += [_widths(part, column) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _widths(part: Mapping[str, int], column: str) -> str:
    """Such as ``6: 4×128, 2×32``."""
    widths = [f"{part[k]}×{bits}" for bits in (128, 64, 32, 16, 8) if part.get(k := f"{column} {bits}")]
    return f"{part.get(column, 0)}" + (f": {', '.join(widths)}" if widths else "")
