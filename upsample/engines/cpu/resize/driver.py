"""Run a resize: cache the work of a call, allocate its result, call the kernels.

All that depends on the plan and the shape alone is worked out once and kept: a call on a small array then is little
more than the kernels' calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias, cast

import numpy as np

from upsample import arrays
from upsample.caches import Cache, during_call
from upsample.copies import contiguous, copy
from upsample.engines import result_pool, threads
from upsample.engines.cpu.resize import nearest, strips
from upsample.engines.cpu.resize.blocks import run_blocks
from upsample.engines.cpu.resize.cells import plan_cells
from upsample.engines.cpu.resize.first_call import Turns, plan_first, resample
from upsample.engines.cpu.resize.formulas import has_formula
from upsample.engines.cpu.resize.long_sums import add
from upsample.engines.cpu.resize.ordered import run_ordered
from upsample.engines.cpu.resize.ordered_fused import is_exact, plan_ordered
from upsample.engines.cpu.resize.row_jobs import RowJobs
from upsample.engines.cpu.resize.uint8_fused import plan_fused
from upsample.engines.cpu.runtime.blocks import is_copied, is_large
from upsample.engines.cpu.runtime.compile import bound, frozen
from upsample.engines.cpu.runtime.nontemporal import pays
from upsample.engines.long_axes import LongResize, long_axis
from upsample.float_errors import quiet
from upsample.plans.arithmetic import Arithmetic
from upsample.plans.resize import ResizePlan

__all__ = ["bind", "run"]

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What is known of a call before its arrays.

    Attributes
    ----------
    shape : tuple of int
        Of the result.
    arithmetic : Arithmetic
        Of the plan.
    view : dtype or None
        As which both arrays are taken, for a filter that does not convert.
    task : Move, Filter or None
        None where the result is a copy, or empty.
    past : Filter or None
        The same, storing past the caches, for results so large that it may pay.
    calls : tuple of (callable, tuple, tuple, int)
        Where all is done at once: kernels, their arguments before and behind the destination, and the values of the
        destination, 0 for the result.
    """

    shape: tuple[int, ...]
    arithmetic: Arithmetic
    view: np.dtype[Any] | None
    task: nearest.Move | strips.Filter | None
    past: strips.Filter | None
    calls: tuple[tuple[Callable[..., None], tuple[Any, ...], tuple[Any, ...], int], ...]

    @property
    def between(self) -> np.dtype[Any] | None:
        """The dtype of what is neither the array nor the result."""
        return self.task.between if isinstance(self.task, strips.Filter) else self.view


_works: Cache[_Work] = Cache()
_once: Cache[bool] = Cache()
"""The calls that came once, and ran without work; the second one works it out."""


@quiet
def run(_xp: ModuleType, plan: ResizePlan, x: _Array, out: _Array | None) -> _Array:
    """Resample `x` as the plan says; fills and returns `out` where it is given."""
    axis = _long_axis(plan)
    if axis is not None:
        made = LongResize(plan, axis, partial(run, _xp), add)(x, out)
        if made is not None:
            return made
    if is_copied(x):
        return run_blocks(plan, x, out, lambda part, source, target: run(_xp, part, source, target))
    fused = _plan_both(plan, x)
    if fused is not None:
        return fused.run(x, out)
    if plan.arithmetic.ordered and not plan.only_moves:
        return run_ordered(plan, x, out)
    work = _works.get((plan, x.shape, x.dtype)) or _first(plan, x) or _work(plan, x)
    if out is not None and out.flags.c_contiguous and out.flags.aligned and out.dtype == x.dtype:
        result = out
    else:
        result = result_pool.empty(plan.out_shape(x.shape), x.dtype)
    if isinstance(work, tuple):
        resample(work, contiguous(x), result)
    elif work.task is None:
        if 0 not in work.shape:
            copy(x, result)
    else:
        _fill(work, x, result, fresh=not (result is out or result_pool.is_recycled(result)))
    if out is None or out is result:
        return result
    copy(result, out)
    return out


def _first(plan: ResizePlan, x: _Array) -> Turns | None:
    """Return what `resample` takes if this is the first such call and the array is small."""
    key = plan, x.shape, x.dtype
    turns = None if _once.get(key) else plan_first(plan, x.shape, x.dtype)
    if turns is not None:
        _once.mark(key, True)
    return turns


def bind(plan: ResizePlan, x: _Array) -> Callable[..., _Array]:
    """Return `run` for arrays like `x`; where the work is one block, little more than the kernels' calls is left."""
    if is_large(x) or _long_axis(plan) is not None:  # the next such array may not be contiguous
        return partial(run, np, plan)
    fused = _plan_both(plan, x)
    if fused is not None:
        return fused.bound(x)
    if plan.arithmetic.ordered and not plan.only_moves:
        return partial(run_ordered, plan)
    work, dtype = _works.get((plan, x.shape, x.dtype)) or _work(plan, x), x.dtype
    if not work.calls or work.view is None or work.view.itemsize < dtype.itemsize:
        return partial(run, np, plan)
    shape, between, empty = work.shape, work.between, np.empty(0, work.view)
    wider = None if work.view.itemsize == dtype.itemsize else work.view
    calls = []
    source = empty
    for function, before, behind, size in work.calls:
        target = np.empty(0, between) if size else empty
        calls.append((bound(function, frozen(source), *before, target, *behind), before, behind, size))
        source = target

    def resample(x: _Array, out: _Array | None) -> _Array:
        result = np.empty(shape, dtype) if out is None else out
        src, dst = x.ravel(), result.ravel()
        if wider is not None:  # samples of several values are moved as one
            src, dst = src.view(wider), dst.view(wider)
            if not (src.flags.aligned and dst.flags.aligned):
                return run(np, plan, x, out)
        for kernel, before, behind, size in calls:
            target = np.empty(size, between) if size else dst
            kernel(src, *before, target, *behind)
            src = target
        return result

    return resample


def _long_axis(plan: ResizePlan) -> int | None:
    """Return the axis that has a long table, which kernels for long rows do without."""
    axis = long_axis(plan)
    return None if axis is None or has_formula(plan.rules[plan.axes.index(axis)]) else axis


def _plan_both(plan: ResizePlan, x: _Array) -> RowJobs | None:
    """Lay out a call for a kernel that filters both axes, or return None if there is none."""
    if plan.only_moves or (x.dtype.kind not in "iu" and not plan.arithmetic.ordered):
        return None
    name = x.dtype.name
    is_ordered = plan.arithmetic.ordered or is_exact(plan, name)
    if x.dtype != np.uint8 and not is_ordered:
        return None
    cells = plan_cells(plan, x.shape, name)
    if cells is not None:
        return cells
    return plan_ordered(plan, x.shape, name) if is_ordered else plan_fused(plan, x.shape)


def _work(plan: ResizePlan, x: _Array) -> _Work:
    """Work out a call, and remember it."""
    shape = plan.out_shape(x.shape)
    active = [(a, r) for a, r in zip(plan.axes, plan.rules, strict=True) if not r.is_identity]
    view: np.dtype[Any] | None = None
    task: nearest.Move | strips.Filter | None = None
    if active and 0 not in shape:
        name = arrays.dtype_name(x)
        if plan.only_moves:
            task = nearest.plan_move(x.shape, active, x.dtype.itemsize)
            view = task.dtype
        else:
            with during_call(apart=False):  # a repeated call runs without one; strips share the tables of their axes
                view, task = _filter(plan, x.shape, name)
    past = None
    if isinstance(task, strips.Filter) and view is not None and pays(math.prod(shape) * x.itemsize, fresh=False):
        past = task.streamed()
    work = _Work(shape, plan.arithmetic, view, task, past, () if task is None or view is None or past else _calls(task))
    _works.put((plan, x.shape, x.dtype), work)
    return work


def _filter(plan: ResizePlan, shape: tuple[int, ...], name: str) -> tuple[np.dtype[Any] | None, strips.Filter]:
    """Lay out what makes sums of arrays of the dtype `name`, and say as what the arrays are taken."""
    pair = 2 if name in arrays.COMPLEX else 1
    integers, arithmetic = name in arrays.INTEGER, plan.arithmetic
    if integers and arithmetic.sums == "fixed":
        sums = name
    elif integers:
        sums = arithmetic.sums
    else:
        sums = "float64" if name in ("float64", "complex128") else "float32"
    compact = name in ("float16", "bfloat16") or (integers and sums != name)
    ordered = integers and (arithmetic.each_axis or arithmetic.sums == "fixed")
    task = strips.plan_filter(shape, plan, sums, pair, compact=compact, ordered=ordered)
    return None if compact else np.dtype(sums), task


def _calls(
    task: nearest.Move | strips.Filter,
) -> tuple[tuple[Callable[..., None], tuple[Any, ...], tuple[Any, ...], int], ...]:
    """Work out the kernels' calls where one block or job is all."""
    if isinstance(task, nearest.Move):
        whole = (0, task.rows, task.pieces[0], task.axes, task.table)
        return ((task.function, (), whole, 0),) if task.blocks == 1 else ()
    if task.jobs != 1:
        return ()
    (strip,), planes = task.strips, task.shape[0]
    sizes = (*(n * planes for n in strip.scratch), 0)
    return tuple(
        (step.function, (step.s0,), (step.d0, planes * step.outer, *step.arguments), size)
        for step, size in zip(strip.passes, sizes, strict=True)
    )


def _fill(work: _Work, x: _Array, result: _Array, *, fresh: bool) -> None:
    task = work.task if work.past is None or not pays(result.nbytes, fresh=fresh) else work.past
    assert task is not None
    if work.view is None:
        assert isinstance(task, strips.Filter)
        _converted(work.arithmetic, task, x, result)
        return
    src, dst = _flat(x, work.view), result.reshape(-1).view(work.view)
    if not dst.flags.aligned:  # complex numbers in an odd place, taken as wider integers
        again = np.empty(dst.shape, dtype=dst.dtype)
        _run(task, src, again)
        dst[...] = again
        return
    if not work.calls:
        _run(task, src, dst)
        return
    for function, before, behind, size in work.calls:
        target = np.empty(size, dtype=work.between) if size else dst
        function(src, *before, target, *behind)
        if size:
            src = frozen(target)


def _flat(x: _Array, dtype: np.dtype[Any]) -> _Array:
    """Return the values in order, read-only, without a copy where they lie so."""
    flat = contiguous(x).reshape(-1).view(dtype)
    if not flat.flags.aligned:
        flat = flat.copy()
    flat.setflags(write=False)  # a view, or a copy of our own
    return flat


def _run(task: nearest.Move | strips.Filter, src: _Array, dst: _Array) -> None:
    if isinstance(task, nearest.Move):
        if task.blocks == 1:
            task.run(src, dst, 0)
        else:
            threads.each_block(lambda block: task.run(src, dst, block), task.blocks)
        return
    spare: list[list[_Array]] = []
    if task.jobs == 1:
        task.run(src, dst, 0, spare)
    else:
        threads.each_block(lambda job: task.run(src, dst, job, spare), task.jobs)


def _converted(arithmetic: Arithmetic, task: strips.Filter, x: _Array, result: _Array) -> None:
    """Filter an array of a dtype that Numba does not take, or that has no sums of its own, converting job by job."""
    source, target = x.reshape(task.shape), result.reshape(task.out_shape)
    name = arrays.dtype_name(x)
    integers = name in arrays.INTEGER
    sums = np.dtype(arithmetic.sums if integers else "float32")

    def rounded(made: _Array) -> _Array:
        return cast(_Array, arithmetic.rounded(np, made, name)) if integers else made

    between = rounded if integers and arithmetic.each_axis else None

    def job(block: int) -> None:
        strip = task.strips[block % len(task.strips)]
        begin = block // len(task.strips) * task.planes_step
        planes = slice(begin, begin + task.planes_step)
        (a, b), (c, d) = strip.source
        part = np.ascontiguousarray(source[planes, a:b, c:d].astype(sums))
        count = len(part)
        (a, b), (c, d) = strip.target
        filled = np.empty((count, b - a, d - c, target.shape[3]), dtype=sums)
        scratch = [np.empty(count * n, dtype=sums) for n in strip.scratch]
        strips.filtered(strip, frozen(part.reshape(-1)), filled.reshape(-1), 0, count, scratch, between)
        np.copyto(target[planes, a:b, c:d], rounded(filled), casting="unsafe")

    threads.each_block(job, task.jobs)
