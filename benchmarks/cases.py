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
