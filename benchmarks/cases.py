"""What is measured, and how much faster than torch it should be: the goals as data.

Shapes: A is (8, 64, 128, 128), B (1, 3, 1080, 1920), C (4, 512, 14, 14), in N, C, H, W; the
volumes are (2, 16, 32, 64, 64). A goal is torch's time over ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

A, B, C = (8, 64, 128, 128), (1, 3, 1080, 1920), (4, 512, 14, 14)
PLANES = {"A": A, "B": B, "C": C}
VOLUMES = (2, 16, 32, 64, 64)
TINY = (1, 3, 8, 8)
MEMORY = {"resize": 32, "pool": 32, "unpool": 32, "conv_transpose": 64}
"""MiB beyond input and output that a call of an op may need."""


@dataclass(frozen=True)
class Goals:
    """torch's time over ours: compiled with a fresh output, compiled with out=, portable with a fresh output.

    None is no goal.
    """

    fresh: float
    out: float | None
    portable: float | None

    def of(self, engine: str, how: str) -> float | None:
        """The goal of an engine ("cpu", "portable") and a way of calling ("fresh", "out")."""
        return {("cpu", "fresh"): self.fresh, ("cpu", "out"): self.out, ("portable", "fresh"): self.portable}.get(
            (engine, how)
        )


@dataclass(frozen=True, eq=False)
class Case:
    """One call.

    `line` is the line of the goals table it belongs to and `tag` what tells it from the others there. `shape` is in
    channels-first order; where `channels_last`, the array lies in memory as N, H, W, C. `options` are the op's.
    """

    op: str
    section: str
    line: str
    tag: str
    shape: tuple[int, ...]
    options: Mapping[str, Any]
    goals: Goals | None = None
    dtype: str = "float32"
    channels_last: bool = False
    weight: tuple[int, ...] = ()
    threads: int | None = None
    quick: bool = field(default=False)

    def goal(self, engine: str, how: str) -> float | None:
        return None if self.goals is None else self.goals.of(engine, how)

    @property
    def memory_goal(self) -> int | None:
        """MiB beyond input and output that the call may need; gradients have no such goal."""
        return MEMORY.get(self.op)

    @property
    def id(self) -> str:
        return f"{self.line}, {self.tag}" if self.tag else self.line

    def __str__(self) -> str:
        """The id in ASCII, as pytest shows it."""
        return self.id.replace("×", "x").replace("→", "-to-").replace("=", "").replace(", ", "-").replace(" ", "-")

    def small(self) -> Case:
        """The same with next to no data, to see that it works."""

        def cut(shape: tuple[int, ...], spatial: int) -> tuple[int, ...]:
            channels, grid = shape[: len(shape) - spatial], shape[len(shape) - spatial :]
            return (*(min(n, 6) for n in channels), *(max(8, n // 240 * 4) for n in grid))

        spatial = len(self.shape) - 2
        weight = tuple(min(n, 6) for n in self.weight)
        options = dict(self.options)
        if "groups" in options:
            options["groups"] = min(options["groups"], 6)
        return replace(self, shape=cut(self.shape, spatial), weight=weight, options=options, quick=True)


def _resize() -> Iterator[Case]:
    def plane(tags: str, line: str, goals: Goals | None, section: str, **given: Any) -> Iterator[Case]:
        rest = {k: given.pop(k) for k in ("dtype", "channels_last", "threads") if k in given}
        for tag in tags:
            own = Goals(2.5, 2.5, goals.portable) if goals and line == "bilinear ×2" and tag == "C" else goals
            yield Case("resize", section, line, tag, PLANES[tag], dict(given), own, **rest)

    first = "Interpolation, float32, channels first"
    for mode in ("nearest", "nearest-exact"):
        yield from plane("ABC", f"{mode} ×2", Goals(4, 1.2, 2), first, mode=mode, scale=2.0)
    yield from plane("ABC", "bilinear ×2", Goals(5, 3, 2), first, mode="bilinear", scale=2.0)
    yield from plane("ABC", "bicubic ×2", Goals(9, 9, 4), first, mode="bicubic", scale=2.0)
    yield from plane("ABC", "bilinear ×1.37", Goals(1.8, 1.8, 1), first, mode="bilinear", scale=1.37)
    yield from plane("ABC", "bicubic ×1.37", Goals(5, 5, 3), first, mode="bicubic", scale=1.37)
    options = dict(mode="trilinear", scale=2.0)
    yield Case("resize", first, "trilinear ×2", "volumes", VOLUMES, options, Goals(8, 8, 3.5))
    yield from plane("ABC", "area ×1/2", Goals(3, 3, 0.7), first, mode="area", scale=0.5)
    yield from plane("B", "area ×1/4", Goals(3, 3, 0.7), first, mode="area", scale=0.25)
    for mode in ("bilinear", "bicubic"):
        line = f"{mode} antialiased ×1/2"
        yield from plane("AB", line, Goals(1.4, 1.4, 0.7), first, mode=mode, scale=0.5, antialias=True)

    last = "Interpolation, float32, channels last"
    table: dict[str, dict[str, tuple[float, float, float]]] = {
        "B": {"nearest": (5, 4, 0.5), "bilinear": (8, 7, 1.8), "bicubic": (11, 12, 3.5)},
        "A": {"nearest": (3.5, 0.9, 0.5), "bilinear": (3.5, 0.9, 1), "bicubic": (11, 12, 3.5)},
    }
    for tag, modes in table.items():
        channels = PLANES[tag][1]
        for mode, goals in modes.items():
            line = f"{mode} ×2, channels last C={channels}"
            yield from plane(tag, line, Goals(*goals), last, mode=mode, scale=2.0, channels_last=True)

    bytes_ = "Interpolation, uint8, channels first"
    for mode in ("bilinear", "bicubic"):
        yield from plane("ABC", f"uint8 {mode} ×2", Goals(3, 3, 0.6), bytes_, mode=mode, scale=2.0, dtype="uint8")
    for mode in ("bilinear", "bicubic"):
        line = f"uint8 {mode} antialiased ×1/2"
        yield from plane("B", line, None, bytes_, mode=mode, scale=0.5, antialias=True, dtype="uint8")

    other = "Interpolation, no goal set"
    yield from plane("A", "float16 bilinear ×2", None, other, mode="bilinear", scale=2.0, dtype="float16")
    for mode in ("nearest", "bilinear", "bicubic"):
        yield from plane("A", f"{mode} ×2, one thread", None, other, mode=mode, scale=2.0, threads=1)


def _windows() -> Iterator[Case]:
    goals = {
        ("pool", 2): Goals(6.5, 6.5, 1),
        ("pool", 3): Goals(6.5, 6.5, 1),
        ("unpool", 2): Goals(1.8, 1.8, 1),
        ("unpool", 3): Goals(1, 1, 1),
    }
    words = {2: "2/2", 3: "3/2/1"}
    for op, name in (("pool", "max_pool with indices"), ("unpool", "max_unpool")):
        for kernel in (2, 3):
            options = dict(kernel_size=kernel, stride=2, padding=kernel - 2)
            for tag, shape in PLANES.items():
                line = f"{name} {words[kernel]}"
                yield Case(op, "Max-pooling and -unpooling", line, tag, shape, options, goals[op, kernel])
        line = f"{name} 2/2, one thread"
        options = dict(kernel_size=2, stride=2, padding=0)
        yield Case(op, "Max-pooling and -unpooling", line, "A", A, options, None, threads=1)


def _spreads() -> Iterator[Case]:
    section = "Transposed convolution, float32"
    k2, k3 = dict(stride=2), dict(stride=2, padding=1, output_padding=1)
    k4 = dict(stride=2, padding=1)
    many, most, deep = Goals(1.3, 1.3, 0.8), Goals(0.8, 0.8, 0.8), Goals(6, 6, 1.2)
    table: list[tuple[str, str, tuple[int, ...], tuple[int, ...], dict[str, Any], Goals | None]] = [
        ("k2s2 64→64", "", (8, 64, 64, 64), (64, 64, 2, 2), k2, Goals(5.5, 5.5, 4)),
        ("3-D k2s2 32→16", "", (2, 32, 16, 32, 32), (32, 16, 2, 2, 2), k2, Goals(7, 7, 4)),
        ("k4s2", "64→3", (8, 64, 64, 64), (64, 3, 4, 4), k4, many),
        ("k4s2", "64→64", (8, 64, 64, 64), (64, 64, 4, 4), k4, many),
        ("k4s2", "256→128", (8, 256, 16, 16), (256, 128, 4, 4), k4, many),
        ("k4s2", "512→256", (8, 512, 8, 8), (512, 256, 4, 4), k4, most),
        ("k3s2", "64→64", (8, 64, 64, 64), (64, 64, 3, 3), k3, many),
        ("k3s2", "256→128", (8, 256, 16, 16), (256, 128, 3, 3), k3, many),
        ("k3s2", "512→256", (8, 512, 8, 8), (512, 256, 3, 3), k3, most),
        ("depthwise k4s2", "64", (8, 64, 64, 64), (64, 1, 4, 4), dict(**k4, groups=64), deep),
    ]
    for line, tag, shape, weight, options, goals in table:
        yield Case("conv_transpose", section, f"conv_transpose {line}", tag, shape, options, goals, weight=weight)
    shape, weight = (8, 64, 64, 64), (64, 64, 2, 2)
    for line, rest in (("one thread", dict(threads=1)), ("channels last", dict(channels_last=True))):
        name = f"conv_transpose k2s2 64→64, {line}"
        yield Case("conv_transpose", section, name, "", shape, k2, None, weight=weight, **rest)
    name, weight = "conv_transpose k4s2 64→64, channels last", (64, 64, 4, 4)
    yield Case("conv_transpose", section, name, "", shape, k4, None, weight=weight, channels_last=True)


def _tiny() -> Iterator[Case]:
    section = "Tiny: 1×3×8×8, all checks of the arguments included"
    fast, even = Goals(2, 2, 1), Goals(1, 1, 0.3)
    for mode in ("nearest", "bilinear", "bicubic"):
        yield Case("resize", section, "tiny interpolate", mode, TINY, dict(mode=mode, scale=2.0), fast)
    for op, name in (("pool", "max_pool"), ("unpool", "max_unpool")):
        options = dict(kernel_size=2, stride=2, padding=0)
        yield Case(op, section, "tiny others", name, TINY, options, even)
    options = dict(stride=2)
    yield Case("conv_transpose", section, "tiny others", "conv_transpose", TINY, options, even, weight=(3, 3, 2, 2))


BACKWARD = (
    *("nearest ×2", "nearest-exact ×2", "bilinear ×2", "bicubic ×2", "bilinear ×1.37", "trilinear ×2", "area ×1/2"),
    *("bilinear antialiased ×1/2", "bicubic antialiased ×1/2"),
    *("max_pool with indices 2/2", "max_pool with indices 3/2/1", "max_unpool 2/2", "max_unpool 3/2/1"),
    *("conv_transpose k2s2 64→64", "conv_transpose 3-D k2s2 32→16", "conv_transpose k4s2", "conv_transpose k3s2"),
    "conv_transpose depthwise k4s2",
)
"""The lines whose gradients are measured, too."""


def _backwards(forwards: tuple[Case, ...]) -> Iterator[Case]:
    for case in forwards:
        if case.line in BACKWARD:
            goals = Goals(2 if case.op == "resize" else 1, None, None)
            line = f"{case.line}, backward"
            yield replace(case, op=f"{case.op} backward", section="Gradients, float32", line=line, goals=goals)


TINY_CASES = tuple(_tiny())
_FORWARD = (*_resize(), *_windows(), *_spreads())
CASES = (*_FORWARD, *_backwards(_FORWARD), *TINY_CASES)


def of(op: str) -> list[Case]:
    """The cases of an op, without the tiny ones, which have a file of their own."""
    return [case for case in CASES if case.op == op and case not in TINY_CASES]


_PRODUCTS = (
    "Half of the arithmetic is the input's gradient, half the weight's. A tile of sums in registers adds at 130 to 147 "
    "GF/s a core where all lies in the first-level cache, the most that this processor gives, and at 90 to 125 over a "
    "product; oneDNN's whole backward takes 70 to 110 a core. The input's gradient deals its source out by the stride, "
    "once, and reads the taps there: a fifth of its time, and a third where taps are few. The weight's turns the cells "
    "and reads what the taps meet where it lies, one value at a time; to lay that out for each tap first took up to "
    "three times as long. With few output channels (64→3, 3-D) little is multiplied for each value that is dealt out, "
    "turned and stored."
)
_UNPOOLED = (
    "Every position asks the cells whose windows cover it, eight cells for sixteen positions by one comparison of "
    "vectors: A and B take 1.3 to 1.6 times as long as a copy of as many bytes. Storing past the caches was tried for "
    "out=, by lines and by blocks of 32 and 128 KiB: 1.2 to 1.5 times as long as plain stores, as was scattering. C: "
    "1.2 MB of input and 1.6 MB of result do not fit in one core's second-level cache; one thread copies as much in 85 "
    "to 105 µs, and its half, in the cache, takes 36; a second thread wakes after 40 to 60 µs and was slower, torch's "
    "spin. Asking was tried there and gave nothing, so in results of up to 2 MB cells write where they point. "
    "To load ahead (prefetches, by 256 bytes to 4 KiB, into the first level or past the second) was slower."
)
_PULLED = (
    "Of C one thread reads 2.4 MB out of the third-level cache in 90 to 130 µs; a second one wakes too late to help; "
    "20 µs are Python: pullback, tape, choice of the engine, one Numba call. max_unpool's A and B read every index and "
    "the whole gradient once, at six to seven tenths of a copy's rate."
)
_WRITES = (
    "A result of 100 to 134 MB is written at the speed of memory. Where its pages are new they are cleared first, in 6 "
    "to 20 ms more; to make pages ahead (MADV_POPULATE_WRITE) gained nothing, to keep them did."
)
_WAKES = "C: 6.4 MB at half of a copy's rate; a second thread, which has to wake for it, comes late."
_DOUBLED = (
    "One kernel doubles both axes, rows by way of a ring in the first-level cache: 0.2 to 0.3 ns an output, where only "
    "filling cached memory takes 0.06. B: four rows of 15 KiB are more than it holds; pieces of 8 KiB were 0 to "
    "8 % faster, too little for the code."
)
_STACKED = (
    "The last two axes are one pass, the first another, through the second-level cache. All takes no longer than as "
    "many outputs of bilinear do, so one pass for all three was not made."
)
_BORDERS = "C: two passes by permutations, 0.19 ns (bicubic: 0.3) an output each, and a second thread that has to wake."
_SHORT = "Rows of 14 are shorter than a few vectors, so much of the time goes into starting and ending them."
_ROWS = (
    "Two passes through the second-level cache, rows by permutations of vectors (0.16 ns an output for two taps, 0.22 "
    "for four; gathers took 0.38 and 0.75), columns 0.12 and 0.17. Results of A and B are stored past the caches."
)
_BYTES = "C: rows go eight as one, a column is a vector: 0.3 ns an output; then a second thread has to wake."
_LAST = (
    "Two passes over large results, stretches cut to 8 KiB, stored past the caches. Tried for 64 channels: a ring of "
    "rows, and two outputs of a column at once; neither was faster."
)
_TILES = (
    "A core's peak is 100 to 135 GFLOP/s, as busy as its host is. In one thread tiles, with storing of the result, "
    "reach 110, whole calls 90 to 115: at 256→128 a ratio of 1.3 would take more than two cores have. Weights are laid "
    "out once a call (at 512→256 a tenth of it), cells take a twentieth. OpenBLAS was tried: two products in two "
    "threads reach 140 GFLOP/s before anything is laid out, small ones with shares added up behind them 110. "
    "Winograd's way was not tried, for its rounding."
)
_STORES = (
    "A third is arithmetic; the rest writes the result, every second position at a time. torch's 3-D result takes 9 "
    "ms in one run and 23 in another, ours 4.3 in both."
)
_TINY = (
    "What is left is the look-up of the call (0.6 µs, max_unpool 1), 0.3 µs for each new array, 0.4 µs to see that one "
    "for out= will do, and the kernels' calls, with 0.03 µs for each array that they take."
)
LIMITS: dict[str, str] = {
    **{f"{mode} ×2": f"{_WRITES} {_WAKES}" for mode in ("nearest", "nearest-exact")},
    "bilinear ×2": f"{_WRITES} {_DOUBLED} {_BORDERS}",
    "bicubic ×2": f"{_WRITES} {_DOUBLED} {_BORDERS}",
    "bilinear ×1.37": _ROWS,
    "bicubic ×1.37": _ROWS,
    "trilinear ×2": f"{_WRITES} {_STACKED}",
    "area ×1/2": f"C: {_SHORT}",
    "area ×1/4": "Little is left but reading 25 MB: in the cache one thread takes 0.8 ms.",
    **{f"{mode} ×2, channels last C={c}": _LAST for mode in ("nearest", "bilinear", "bicubic") for c in (3, 64)},
    **{f"uint8 {mode} ×2": _BYTES for mode in ("bilinear", "bicubic")},
    "max_pool with indices 2/2": "Indices are two thirds of what is written.",
    "max_pool with indices 3/2/1": (
        "Indices are two thirds of what is written; nine comparisons a cell. C: two rows of 7 are pooled as one "
        "vector, their taps permuted out of two others, by one thread: 230 µs, where gathering them one by one took "
        "400 to 450. Where half of the lanes have no cells (rows of 4), gathering was quicker."
    ),
    "max_unpool 2/2": _UNPOOLED,
    "max_unpool 3/2/1": "As for 2/2.",
    **{
        f"{op} {window}, backward": _PULLED
        for op in ("max_pool with indices", "max_unpool")
        for window in ("2/2", "3/2/1")
    },
    "conv_transpose k2s2 64→64": _STORES,
    "conv_transpose 3-D k2s2 32→16": _STORES,
    "conv_transpose k4s2": _TILES,
    "conv_transpose k3s2": _TILES,
    "conv_transpose depthwise k4s2": "Memory is read once and written once; rows are not shared between outputs.",
    "tiny interpolate": (
        f"{_TINY} To hand tables over together was tried: 0.1 µs less. One kernel for both axes, as for longer rows, "
        "would save bilinear 0.7 µs, but is slower where planes are many, and few must not differ from many in the "
        "last bit."
    ),
    "tiny others": f"{_TINY} max_unpool looks at two arrays and ten arguments, and counts indices that are no good.",
    **{f"conv_transpose {line}, backward": _PRODUCTS for line in ("k2s2 64→64", "3-D k2s2 32→16", "k4s2", "k3s2")},
    **{f"{mode}, backward": f"C: {_SHORT}" for mode in ("nearest ×2", "bilinear ×1.37")},
    "conv_transpose depthwise k4s2, backward": (
        "Loops of our own, no product: the weight's gradient lays out sixteen taps to add up each once."
    ),
}
"""For a line under its goal: what limits it, and what was tried. Written by hand; the report shows it."""

_QUEUE = (
    "NumPy makes a pass over memory for each operation, and between two of them threads queue for the interpreter (one "
    "that had to wait sleeps some 50 µs), so tiles are 4 MiB and two threads give 1.2 to 1.6 times one's speed."
)
_TWICE = f"Samples are repeated by strided copies, two for each axis. {_QUEUE}"
_MATRICES = f"Each axis is a product with small dense blocks, most of whose factors are zeros. {_QUEUE}"
_COMPARED = (
    f"2/2 of A and B: some six passes for each tap. {_QUEUE} Elsewhere values and places are made numbers of 64 bits, "
    "a pass for each tap, and taken apart again; 2/2 of A and B took as long that way, with negative values a fifth "
    "longer. C is made by one thread, in parts that stay in its second-level cache."
)
_SCATTERED = (
    "An assignment by places takes 1.6 to 2 ns a cell, part of it with the interpreter's lock, beside the zeroing, the "
    "check of the indices and, where planes are small, a pass that makes places of them. numpy.put took 3.5 ns; "
    "writing a window's row as one number, shifted by the index, took twice as long as all this. C is made by one "
    "thread, in pieces that stay in its second-level cache; two took half as long again."
)
_SHARES = (
    "BLAS makes the products on all cores, one thread adds the overlaps and writes each phase at its stride. At k4s2 "
    "256→128 the products alone take as long as torch's whole call, the rest nearly as long again, beside BLAS's "
    "threads that spin (alone, 4 ms). Tried: adding on two threads (slower for that), shares with their channels last "
    "(no faster), products over gathered cells instead of added shares (as slow as the product of shares)."
)
PORTABLE_LIMITS: dict[str, str] = {
    **{f"{mode} ×2": _TWICE for mode in ("nearest", "nearest-exact")},
    **{f"{mode} {by}": _MATRICES for mode in ("bilinear", "bicubic") for by in ("×2", "×1.37")},
    **{f"{mode} ×2, channels last C={c}": _MATRICES for mode in ("bilinear", "bicubic") for c in (3, 64)},
    "trilinear ×2": _MATRICES,
    **{
        f"uint8 {mode} ×2": f"Bytes become float32 and back, rounded after each axis. {_QUEUE}"
        for mode in ("bilinear", "bicubic")
    },
    "max_pool with indices 2/2": _COMPARED,
    "max_pool with indices 3/2/1": _COMPARED,
    "max_unpool 2/2": _SCATTERED,
    "max_unpool 3/2/1": _SCATTERED,
    **{f"conv_transpose {line}": _SHARES for line in ("k2s2 64→64", "3-D k2s2 32→16", "k4s2", "k3s2")},
    "conv_transpose depthwise k4s2": f"Sixteen products and sums a cell, each a pass. {_QUEUE}",
}
"""The same of the portable engine."""
