"""``upsample demo``: every operation on a photograph, timed, and compared with the float64 reference."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

import upsample
from upsample import chainer, reference
from upsample.command_line.inputs import bilinear_weight
from upsample.command_line.progress import shown
from upsample.engines.dispatch import ENGINES

__all__ = ["Case", "Row", "cases", "coordinates", "demo", "exact", "levels", "measure", "sums", "table"]

Pixels = NDArray[Any]
Options = dict[str, Any]

LEGEND = (
    "Tolerance: 0 where values only move; 64 roundings of the largest value where they are added, and n * 2^-23 of it "
    "on each axis of n where torch rounds coordinates to float32; one level an axis in uint8."
)


@dataclass(frozen=True, slots=True)
class Case:
    """One call, and its expected result.

    Attributes
    ----------
    function : callable
        The operation.
    label : str
        Its options, for people.
    arrays, options : tuple of array, dict
        The arguments by position, and by name.
    reference, theirs : callable, dict
        The reference of the operation, and its arguments by name; the arrays are those of the call.
    allowed : callable
        ``allowed(x, want)``: the tolerance, from the first input and the reference's first result.
    """

    function: Callable[..., Any]
    label: str
    arrays: tuple[Pixels, ...]
    options: Options
    reference: Callable[..., Any]
    theirs: Options
    allowed: Callable[[Pixels, Pixels], float]

    def __str__(self) -> str:
        return f"{self.name} {self.label}"

    @property
    def name(self) -> str:
        """The name of the operation, with the dialect if it is Chainer."""
        dialect = "chainer." if self.function.__module__.startswith("upsample.chainer") else ""
        return dialect + self.function.__name__


def exact(_x: Pixels, _want: Pixels) -> float:
    """Allow no deviation, because values and indices only move."""
    return 0.0


def sums(x: Pixels, want: Pixels) -> float:
    """Allow 64 roundings: some dozen products, each rounded a few times (float16 is summed in float32: one)."""
    ulp = float(np.finfo(x.dtype).eps) * max(1.0, float(np.abs(want).max()))
    return ulp if x.dtype == np.float16 else 64 * ulp


def coordinates(x: Pixels, want: Pixels) -> float:
    """Allow for the float32 coordinates that torch has, on top of `sums`.

    On n samples a coordinate is rounded by up to n * 2^-24, and so is the step that it is a multiple of: n * 2^-23 in
    all, on each axis. Neighbours differ by no more than the largest value, so that the result moves by no more than
    that share of it.
    """
    samples: int = (x.ndim - 2) * max(x.shape[2:])
    return sums(x, want) + samples * float(np.finfo(np.float32).eps) * float(np.abs(x).max())


def levels(_x: Pixels, _want: Pixels) -> float:
    """Allow one level on each of two axes: uint8 rounds after each, and half a level falls either way."""
    return 2.0


def cases(image: Pixels) -> list[Case]:
    """Return every operation, with options, on an image.

    Parameters
    ----------
    image : array
        ``[H, W, 3]``, uint8, as `upsample.command_line.gallery.load` returns it.

    Returns
    -------
    list of Case
        The calls, in the order of the table.
    """
    x = np.ascontiguousarray(image.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))  # [1, 3, H, W]
    signals = np.ascontiguousarray(x[0, :, ::16])  # [3, H / 16, W]: every sixteenth row of the photograph
    size, room = min(image.shape[:2]) // 4, min(image.shape[:2]) * 3 // 4
    crops = [x[0, :, d : d + size, d : d + size] for d in np.linspace(0, room, 8).astype(int)]
    volume = np.ascontiguousarray(np.stack(crops, axis=1)[None])  # [1, 3, 8, size, size]
    torch_like = [*_interpolated(x, signals, volume), *_pooled(x, signals, volume), *_spread(x, signals, volume)]
    return [*torch_like, *_shuffled(x), *_resized(image), *_chainer(x)]


def _interpolated(x: Pixels, signals: Pixels, volume: Pixels) -> Iterator[Case]:
    half, byte = x.astype(np.float16), np.rint(x * 255).astype(np.uint8)
    smooth, corners = {"antialias": True}, {"align_corners": True}
    todo: tuple[tuple[Pixels, str, tuple[float, ...], Options], ...] = (
        (x, "nearest", (2, 1.37, 0.5), {}),
        (x, "nearest-exact", (1.37, 0.5), {}),
        (x, "bilinear", (2, 1.37, 0.5), {}),
        (x, "bilinear", (2,), corners),
        (x, "bilinear", (0.5,), smooth),
        (x, "bicubic", (2, 1.37, 0.5), {}),
        (x, "bicubic", (2,), corners),
        (x, "bicubic", (0.5,), smooth),
        (x, "lanczos", (2, 1.37, 0.5), smooth),
        (x, "area", (1.37, 0.5, 0.137), {}),
        (half, "bilinear", (2,), {}),
        (half, "bicubic", (0.5,), smooth),
        (byte, "nearest", (2,), {}),
        (byte, "bilinear", (1.37,), {}),
        (byte, "bicubic", (2,), {}),
        (byte, "bicubic", (0.5,), smooth),
        (signals, "linear", (1.37,), {}),
        (volume, "trilinear", (1.37,), {}),
    )
    for a, mode, factors, more in todo:
        for factor in factors:
            options = {"scale_factor": factor, "mode": mode, **more}
            allowed = exact if mode.startswith("nearest") else sums if mode == "area" else coordinates
            allowed = levels if a is byte and allowed is coordinates else allowed
            label = ", ".join([f"{mode} ×{factor}", *more])
            yield Case(upsample.interpolate, label, (a,), options, reference.interpolate, options, allowed)


def _resized(image: Pixels) -> Iterator[Case]:
    real = image.astype(np.float32) / np.float32(255)
    small = tuple(n * 3 // 8 for n in image.shape[:2])
    todo: tuple[tuple[Pixels, str, Options], ...] = (
        (image, "linear ×1.5", {"scale": 1.5, "mode": "linear"}),
        (image, "cubic ×3/8, antialias", {"shape": small, "mode": "cubic", "antialias": True, "cubic_coeff": -0.5}),
        (real, "nearest ×1.5", {"scale": 1.5, "mode": "nearest"}),
        (real, "cubic ×1.5", {"scale": 1.5, "mode": "cubic"}),
        (real, "lanczos ×3/8, antialias", {"shape": small, "mode": "lanczos", "antialias": True}),
        (real, "area and linear ×3/8", {"shape": small, "mode": ("area", "linear")}),
    )
    for a, label, options in todo:
        given = {"shape": None, **options, "axes": (0, 1)}
        allowed = levels if a is image else exact if options["mode"] == "nearest" else sums
        yield Case(upsample.resize, f"HWC, {label}", (a,), given, reference.resize, given, allowed)


def _pooled(x: Pixels, signals: Pixels, volume: Pixels) -> Iterator[Case]:
    half, byte = x.astype(np.float16), np.rint(x * 255).astype(np.uint8)
    pools = (upsample.max_pool1d, upsample.max_pool2d, upsample.max_pool3d)
    unpools = (upsample.max_unpool1d, upsample.max_unpool2d, upsample.max_unpool3d)
    adaptive = (upsample.adaptive_max_pool1d, upsample.adaptive_max_pool2d, upsample.adaptive_max_pool3d)
    again: list[Case] = []
    for a, k, p in ((x, 2, 0), (x, 3, 1), (half, 3, 1), (byte, 2, 0), (signals, 3, 1), (volume, 2, 0)):
        spatial, size = a.ndim - 2, a.shape[2:]
        label, options = f"k{k} s2 p{p}, ", {"kernel_size": k, "stride": 2, "padding": p}
        given, theirs = {**options, "return_indices": True}, {**options, "spatial": spatial}
        yield Case(pools[spatial - 1], label + "indices", (a,), given, reference.max_pool, theirs, exact)
        pooled = reference.max_pool(a, k, 2, p, spatial=spatial)
        for rule in ("last", "sum") if a is x else ("last",):
            theirs = {"output_size": size, "duplicates": rule}
            allowed = sums if rule == "sum" and k > 2 else exact  # windows of k2 s2 do not overlap
            back = unpools[spatial - 1], label + rule, pooled, {**options, **theirs}
            again.append(Case(*back, reference.max_unpool, theirs, allowed))
    for a in (signals, x, volume):
        theirs = {"output_size": tuple(n * 2 // 7 for n in a.shape[2:])}
        call = adaptive[a.ndim - 3], "×2/7, indices", (a,), {**theirs, "return_indices": True}
        yield Case(*call, reference.adaptive_max_pool, theirs, exact)
    yield from again


def _spread(x: Pixels, signals: Pixels, volume: Pixels) -> Iterator[Case]:
    functions = (upsample.conv_transpose1d, upsample.conv_transpose2d, upsample.conv_transpose3d)
    options: Options
    for a in (x, x.astype(np.float16), signals, volume):
        weight = bilinear_weight(a.shape[1], a.ndim - 2).astype(a.dtype)
        function, options = functions[a.ndim - 3], {"stride": 2, "padding": 1, "groups": a.shape[1]}
        label = "linear k4 s2 p1, groups"
        yield Case(function, label, (a, weight), options, reference.conv_transpose, options, sums)
    small, random = np.ascontiguousarray(x[:, :, ::4, ::4]), np.random.default_rng(0)
    weight, bias = (random.standard_normal(shape).astype(np.float32) for shape in ((3, 8, 3, 3), (8,)))
    arrays, options = (small, weight, bias), {"stride": 2, "padding": 1, "output_padding": 1, "dilation": 2}
    label = "dense k3 s2 p1 d2, bias"
    yield Case(upsample.conv_transpose2d, label, arrays, options, reference.conv_transpose, options, sums)


def _shuffled(x: Pixels) -> Iterator[Case]:
    up, down, theirs = {"upscale_factor": 2}, {"downscale_factor": 2}, {"r": 2}
    for a in (x, np.rint(x * 255).astype(np.uint8)):
        deep = reference.pixel_unshuffle(a, 2)
        yield Case(upsample.pixel_unshuffle, "r = 2", (a,), down, reference.pixel_unshuffle, theirs, exact)
        yield Case(upsample.pixel_shuffle, "r = 2", (deep,), up, reference.pixel_shuffle, theirs, exact)


def _chainer(x: Pixels) -> Iterator[Case]:
    options: Options
    for k, p in ((2, 0), (3, 1)):
        label, options = f"k{k} s2 p{p}", {"ksize": k, "stride": 2, "pad": p}
        call = chainer.max_pooling_2d, label + ", indices", (x,), {**options, "return_indices": True}
        yield Case(*call, reference.chainer_max_pooling, options, exact)
        pooled, options = reference.chainer_max_pooling(x, k, 2, p), {**options, "outsize": x.shape[2:]}
        allowed = exact if k == 2 else sums  # where windows overlap, Chainer adds
        yield Case(chainer.upsampling_2d, label, pooled, options, reference.chainer_upsampling, options, allowed)
        yield Case(chainer.unpooling_2d, label, pooled[:1], options, reference.chainer_unpooling, options, allowed)
    arrays, options = (x, bilinear_weight(3, 2)), {"stride": 2, "pad": 1, "groups": 3}
    back = chainer.deconvolution_2d, "linear k4 s2 p1, groups", arrays, options
    yield Case(*back, reference.chainer_deconvolution, options, sums)
    size = tuple(int(n * 1.37) for n in x.shape[2:])
    for mode, corners, allowed in (("bilinear", True, sums), ("bilinear", False, sums), ("nearest", False, exact)):
        options = {"output_shape": size, "mode": mode, "align_corners": corners}  # Chainer's coordinates are float64
        label = f"{mode} ×1.37" + ", corners" * corners
        yield Case(chainer.resize_images, label, (x,), options, reference.chainer_resize_images, options, allowed)
    deep, options = reference.space2depth(x, 2), {"r": 2}
    yield Case(chainer.space2depth, "r = 2", (x,), options, reference.space2depth, options, exact)
    yield Case(chainer.depth2space, "r = 2", (deep,), options, reference.depth2space, options, exact)


@dataclass(frozen=True, slots=True)
class Row:
    """A case that has run.

    Attributes
    ----------
    case, engine : Case, str
        The call, and the engine that ran it.
    shape : tuple of int
        Shape of the first output.
    seconds, moved : float, int
        The best of a few warm runs; the bytes of all inputs and outputs.
    deviation, tolerance : float
        The largest deviation from the reference over all outputs, and the largest allowed one.
    """

    case: Case
    engine: str
    shape: tuple[int, ...]
    seconds: float
    moved: int
    deviation: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the deviation is within its tolerance; NaN is not."""
        return self.deviation <= self.tolerance


def measure(case: Case, engine: str | None, cupy: ModuleType | None) -> Row | None:
    """Run a case, time it and compare it with the reference.

    Parameters
    ----------
    case : Case
        The call to run.
    engine : str, optional
        Forces an engine.
    cupy : module, optional
        CuPy, to run on its arrays; None is NumPy.

    Returns
    -------
    Row, optional
        None if the forced engine cannot run this case.
    """
    inputs = case.arrays if cupy is None else tuple(cupy.asarray(a) for a in case.arrays)
    x, options, best, spent = case.arrays[0], {**case.options, "engine": engine}, float("inf"), 0.0
    upsample.explain(case.function, *inputs, **case.options)
    try:
        chosen = upsample.explain(case.function, *inputs, **options).engine
    except ValueError:  # only the engine is new in this call
        return None
    for warm in range(6):
        start = time.perf_counter()
        got = case.function(*inputs, **options)
        if cupy is not None:
            cupy.cuda.runtime.deviceSynchronize()
        took = time.perf_counter() - start
        if warm:
            best, spent = min(best, took), spent + took
        if spent > 0.1:
            break
    wanted = case.reference(*case.arrays, **case.theirs)
    got, wanted = (r if isinstance(r, tuple) else (r,) for r in (got, wanted))
    outputs: list[Pixels] = [a if cupy is None else cupy.asnumpy(a) for a in got]
    deviation = max(_deviation(g, w) for g, w in zip(outputs, wanted, strict=True))
    if outputs[0].dtype != x.dtype:
        deviation = float("inf")
    moved = sum(a.nbytes for a in (*case.arrays, *outputs))
    return Row(case, chosen, outputs[0].shape, best, moved, deviation, case.allowed(x, wanted[0]))


def _deviation(got: Pixels, want: Pixels) -> float:
    """Return the largest difference; infinite if the shapes differ."""
    if got.shape != want.shape:
        return float("inf")
    return float(np.abs(got.astype(np.float64) - want.astype(np.float64)).max())


def table(rows: list[Row], lines: int) -> Table:
    """Lay the rows out for a terminal.

    Parameters
    ----------
    rows : list of Row
        The results.
    lines : {1, 2}
        How many lines a row takes; with two, every column holds two values, and 80 columns are enough.

    Returns
    -------
    rich.table.Table
        One row each, in their order.
    """
    heads = ["operation", "options", "input", "output", "dtype", "engine", "ms", "GB/s", "deviation", "tolerance"]
    result = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for place in range(0, len(heads), lines):
        side: Any = "right" if place >= 6 else "left"
        result.add_column("\n".join(heads[place : place + lines]), justify=side, overflow="fold", no_wrap=place > 0)
    result.add_column("", no_wrap=True)
    for row in rows:
        x, speed = row.case.arrays[0], row.moved / row.seconds / 1e9
        shapes = ["×".join(map(str, shape)) for shape in (x.shape, row.shape)]
        cells = [row.case.name, row.case.label, *shapes, x.dtype.name, row.engine, f"{row.seconds * 1e3:.2f}"]
        cells += [f"{speed:.2f}", *(f"{v:.1e}" if v % 1 else f"{v:.0f}" for v in (row.deviation, row.tolerance))]
        stacked = ["\n".join(cells[place : place + lines]) for place in range(0, len(cells), lines)]
        result.add_row(*stacked, "ok" if row.agrees else "OFF", style=None if row.agrees else "bold red")
    return result


def demo(path: str | None, output: str, engine: str | None) -> int:
    """Run every operation on an image, print the results, and draw the gallery.

    Parameters
    ----------
    path : str, optional
        The image; None is the photograph of this package.
    output : str
        Path of the PNG that the gallery is written to.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    int
        0; 1 if a result deviates by more than its tolerance; 2 if an argument is wrong.
    """
    with shown(None) as steps:
        steps.begin("asking the engines")
        why = {e.name: e.unusable() for e in ENGINES}
        on_gpu = engine in (None, "cuda") and why["cuda"] is None
        steps.begin("drawing the gallery: kernels compile when they are first used")
        from upsample.command_line import gallery  # which loads Matplotlib

        try:
            if engine is not None and why[engine] is not None:
                raise gallery.ImageError(f"the {engine} engine cannot run here: {why[engine]}")
            image, detail = gallery.load(path)
            gallery.draw(image, detail, output)  # first, because the path may be not writable
        except (gallery.ImageError, OSError) as error:
            print(f"upsample demo: {error}", file=sys.stderr)
            return 2
        steps.begin("preparing the cases")
        todo = cases(image)
        cupy = import_module("cupy") if on_gpu else None
        rows = [row for case in steps.each(todo) if (row := measure(case, engine, cupy)) is not None]
    console = Console(highlight=False)
    wide = table(rows, 1)
    needed = console.measure(wide, options=console.options.update(width=1000)).maximum
    console.print(wide if needed <= console.width else table(rows, 2))
    console.print(LEGEND, style="dim")
    off, left = sum(not row.agrees for row in rows), len(todo) - len(rows)
    verdict = f"{off} of {len(rows)} rows deviate from" if off else f"all {len(rows)} rows agree with"
    skipped = f"; {left} more are not for the {engine} engine" if left else ""
    console.print(f"Wrote {output}; {verdict} the float64 reference{skipped}.", markup=False, soft_wrap=True)
    if why["cpu"] is not None and not on_gpu:
        hint = f"Without the compiled engine, which is several times faster: {why['cpu']}."
        console.print(hint, markup=False, soft_wrap=True)
    return 1 if off else 0
