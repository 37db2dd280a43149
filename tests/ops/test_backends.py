"""Every op on every array library: the reference's result, in the namespace, dtype and device of the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tolerances
from backends import Backend, in_whole_planes
from cases import CASES, Case


def as_tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def check(case: Case, backend: Backend, result: Any) -> None:
    wanted = as_tuple(case.expected(*case.arrays))
    got = as_tuple(result)
    assert len(got) == len(wanted)
    like = backend.make(case.arrays[0])
    for place, (g, w) in enumerate(zip(got, wanted, strict=True)):
        assert type(g) is type(like)
        if place == 0:
            assert g.dtype == like.dtype
        tolerances.assert_close(backend.back(g), np.asarray(w), case.exact, case.margin)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_agrees_with_the_reference(case: Case, backend: Backend) -> None:
    args = tuple(backend.make(a) for a in case.arrays)
    if "max_unpool" in case.id and "dilated" in case.id:  # some are not told of the dilation
        args = tuple(map(in_whole_planes, args))
    before = [np.array(backend.back(a)) for a in args]
    check(case, backend, case.function(*args, **case.options, **backend.options))
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(backend.back(a), b)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_out_receives_the_result(case: Case, backend: Backend) -> None:
    args = tuple(backend.make(a) for a in case.arrays)
    wanted = as_tuple(case.function(*args, **case.options, **backend.options))
    if not backend.mutable:
        out = wanted if len(wanted) > 1 else wanted[0]
        with pytest.raises(TypeError, match="immutable"):
            case.function(*args, **case.options, out=out)
        return
    blank = tuple(backend.make(np.full(w.shape, 99, dtype=backend.back(w).dtype)) for w in wanted)
    if backend.name == "swapped":  # indices are always in the machine's order
        blank = (blank[0], *(np.full(w.shape, 99, dtype=w.dtype) for w in wanted[1:]))
    if backend.name == "readonly":
        for b in blank:
            b.flags.writeable = True
    out = blank if len(blank) > 1 else blank[0]
    got = case.function(*args, **case.options, **backend.options, out=out)
    assert all(g is b for g, b in zip(as_tuple(got), blank, strict=True))
    for g, w in zip(blank, wanted, strict=True):
        np.testing.assert_array_equal(backend.back(g), backend.back(w))


@pytest.mark.parametrize("engine", [None, "portable"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_result_is_no_view_of_the_input(case: Case, engine: str | None) -> None:
    args = tuple(a.copy() for a in case.arrays)
    for result in as_tuple(case.function(*args, **case.options, engine=engine)):
        assert not any(np.may_share_memory(result, a) for a in args)


@pytest.mark.parametrize("engine", [None, "portable"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_twice_gives_the_same_bits(case: Case, engine: str | None) -> None:
    first = as_tuple(case.function(*case.arrays, **case.options, engine=engine))
    second = as_tuple(case.function(*case.arrays, **case.options, engine=engine))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_result_is_no_view_of_a_broadcast_input(case: Case) -> None:
    args = tuple(
        np.broadcast_to(a.reshape(-1)[:1] if a.size else 0, a.shape).astype(a.dtype, copy=False) for a in case.arrays
    )
    args = tuple(a if a.dtype.kind == "f" else b for a, b in zip(args, case.arrays, strict=True))
    for result in as_tuple(case.function(*args, **case.options)):
        assert not any(np.may_share_memory(result, a) for a in args)
        assert result.flags.writeable
