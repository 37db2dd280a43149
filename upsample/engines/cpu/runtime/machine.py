"""Features, vector widths and cache sizes of the processor, for kernels and for the choice of kernels.

Numba compiles for this machine unless NUMBA_CPU_NAME, NUMBA_CPU_FEATURES or NUMBA_ENABLE_AVX narrow its target, as
clusters with several kinds of processor do. An intrinsic that the target lacks makes LLVM abort the process. Therefore
all kernels read the features from this module alone.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from llvmlite import binding
from numba import config
from numba.core.registry import cpu_target

__all__ = [
    "HAS_AVX2",
    "HAS_AVX512",
    "HAS_FMA",
    "L1_BYTES",
    "L2_BYTES",
    "VECTOR_BITS",
    "VECTOR_REGISTERS",
    "cache_bytes",
    "features",
]

_X86 = ("x86_64", "amd64", "i386", "i486", "i586", "i686")
_PROBES = {
    "fma": ("float", "call float @llvm.fma.f32(float %x, float %y, float %y)", "vfmadd"),
    "avx": ("<8 x float>", "fadd <8 x float> %x, %y", "ymm"),
    "avx2": ("<8 x i32>", "add <8 x i32> %x, %y", "ymm"),
    "avx512f": ("<16 x float>", "fadd <16 x float> %x, %y", "zmm"),
}
"""For each feature: a type, an LLVM operation, and an instruction or register that only code with the feature has."""


def _is_x86() -> bool:
    return str(binding.get_default_triple()).startswith(_X86)


@lru_cache(maxsize=1)
def features() -> frozenset[str]:
    """Return which of the features that kernels use Numba's target has: "fma", "avx", "avx2", "avx512f".

    Returns
    -------
    frozenset of str
        Empty on processors that are not x86.
    """
    if not _is_x86():
        return frozenset()
    triple, name, listed = cpu_target.target_context.codegen().magic_tuple()
    if config.CPU_FEATURES is None:  # then Numba lists every feature of this machine
        return frozenset(feature for feature in _PROBES if f"+{feature}" in listed.split(","))
    target = binding.Target.from_triple(triple).create_target_machine(cpu=name, features=listed, opt=2)
    return frozenset(feature for feature, probe in _PROBES.items() if _generates(target, *probe))


def _generates(target: Any, kind: str, operation: str, sign: str) -> bool:
    """Tell whether a target's code for an operation contains `sign`: a CPU's name may imply features not listed."""
    body = f"define {kind} @probe({kind} %x, {kind} %y) {{\n  %z = {operation}\n  ret {kind} %z\n}}"
    return sign in target.emit_assembly(
        binding.parse_assembly(f"declare float @llvm.fma.f32(float, float, float)\n{body}")
    )


HAS_FMA = not _is_x86() or "fma" in features()
"""Whether the processor has fused multiply-adds: all have them, except old x86."""
HAS_AVX2 = "avx2" in features()
HAS_AVX512 = "avx512f" in features()
VECTOR_BITS = 512 if HAS_AVX512 else 256 if "avx" in features() else 128
VECTOR_REGISTERS = 32 if HAS_AVX512 or not _is_x86() else 16

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def cache_bytes(level: int, otherwise: int, folder: Path) -> int:
    """Return the size of a core's data cache as Linux states it, or `otherwise` if Linux does not state it.

    Parameters
    ----------
    level : int
        1 for the first-level cache.
    otherwise : int
        A usual size.
    folder : Path
        The sysfs folder of one core's caches; each has a folder with the files ``level``, ``type`` and ``size``.

    Returns
    -------
    int
        Bytes, clipped to between a quarter of `otherwise` and four times it, because virtual machines state sizes
        that no processor has.
    """
    for cache in sorted(folder.glob("index*")):
        try:
            number, kind, size = ((cache / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if number == str(level) and kind != "Instruction" and size[:-1].isdecimal() and size[-1] in "KM":
            stated = int(size[:-1]) << (10 if size[-1] == "K" else 20)
            return min(max(stated, otherwise // 4), 4 * otherwise)
    return otherwise


L1_BYTES = cache_bytes(1, 1 << 15, _CACHES)
"""Bytes of a core's L1 data cache."""
L2_BYTES = cache_bytes(2, 1 << 20, _CACHES)
"""Bytes of a core's L2 cache. Sizes of jobs derive from it; the bits of results do not depend on them."""
