"""Hostile arguments to every public function.

A call returns an array, or two, or raises TypeError, ValueError or IndexError with a message of this package's form.
It never warns, hangs, changes its input, or takes memory that was not asked for. ``UPSAMPLE_FUZZ_EXAMPLES`` makes the
search longer, and random.
"""

from __future__ import annotations

import math
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

import upsample
from upsample import chainer

EXAMPLES = int(os.environ.get("UPSAMPLE_FUZZ_EXAMPLES", "0"))
hostile = settings(
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    max_examples=EXAMPLES or 80,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        f"upsample.{name}": getattr(upsample, name)
        for name in upsample.__all__
        if name not in ("chainer", "explain", "nn", "vjp")
    },
    **{f"chainer.{name}": getattr(chainer, name) for name in chainer.__all__},
}
DEPRECATED = ("upsample", "upsample_nearest", "upsample_bilinear")
ABSURD = (2**31, 10**9, 2**40, 2**62, 2**63 - 1)
"""Sizes that no memory holds, though 64 bits do; refused for want of memory at the latest."""
SECONDS = 3
MEMORY = 200 << 20

FORM = re.compile(r"^[a-z0-9_]+: [^=]+=.*, but .+; .+$", re.S)
PYTHONS_OWN = re.compile(r"^\w+\(\) (missing|got an unexpected|got multiple|takes)\b")


# --------------------------------------------------------------------------------------------- small calls


@st.composite
def an_array(draw: st.DrawFn, shape: tuple[int, ...], kinds: str = "f") -> np.ndarray:
    """Small numbers; `kinds` are dtype kinds, of which any may come."""
    dtypes = {"f": ["f4", "f8", "f2"], "c": ["c8", "c16"], "i": ["i8", "i4", "u1", "i1"], "b": ["?"]}
    dtype = draw(st.sampled_from([name for kind in kinds for name in dtypes[kind]]))
    return np.random.default_rng(draw(st.integers(0, 99))).integers(0, 9, shape).astype(dtype)


def some(draw: st.DrawFn, rank: int, low: int, high: int) -> Any:
    """One small int, or one each."""
    if draw(st.booleans()):
        return draw(st.integers(low, high))
    return tuple(draw(st.integers(low, high)) for _ in range(rank))


def shape_of(draw: st.DrawFn, rank: int, channels: int = 2, low: int = 1, high: int = 5) -> tuple[int, ...]:
    batch = draw(st.sampled_from((1, 1, 2, 0)))
    return (batch, channels, *(draw(st.integers(low, high)) for _ in range(rank)))


def rank_in(draw: st.DrawFn, name: str) -> int:
    """The number of spatial axes that a name tells, or any."""
    found = re.search(r"(\d)_?d", name)
    return int(found[1]) if found else draw(st.integers(1, 3))


def interpolation(draw: st.DrawFn, name: str) -> dict[str, Any]:
    modes = {
        1: ["nearest", "nearest-exact", "area", "linear"],
        2: ["nearest", "nearest-exact", "area", "bilinear", "bicubic", "lanczos"],
        3: ["nearest", "nearest-exact", "area", "trilinear"],
    }
    rank = 2 if name == "upsample_bilinear" else draw(st.integers(1, 3))
    call: dict[str, Any] = {"input": draw(an_array(shape_of(draw, rank), "ffcib"))}
    if draw(st.booleans()):
        call["size"] = some(draw, rank, 1, 9)
    else:
        call["scale_factor"] = draw(st.sampled_from((1, 0.5, 1.5, 2.0, 2.6, (1.5,) * rank)))
    if name in ("interpolate", "upsample"):
        call["mode"] = draw(st.sampled_from(modes[rank]))
    if name == "interpolate" and rank == 2:
        call["antialias"] = draw(st.booleans())
    return call


def resizing(draw: st.DrawFn, _: str) -> dict[str, Any]:
    x = draw(an_array(tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))), "ffcib"))
    axes = tuple(draw(st.permutations(range(x.ndim))))[: draw(st.integers(1, x.ndim))]
    call: dict[str, Any] = {"x": x, "axes": axes}
    if draw(st.booleans()):
        call["shape"] = tuple(draw(st.integers(1, 9)) for _ in axes)
    else:
        call["scale"] = draw(st.sampled_from((1, 0.7, 1.5, 2.0, (1.5,) * len(axes))))
    call["mode"] = draw(st.sampled_from(("nearest", "nearest-exact", "linear", "cubic", "lanczos", "area")))
    call["antialias"] = draw(st.booleans())
    call["cubic_coeff"] = draw(st.sampled_from((-0.75, -0.5, 0.0, 1e3)))
    return call


def pooling(draw: st.DrawFn, name: str) -> dict[str, Any]:
    rank = rank_in(draw, name)
    first, size = ("x", "ksize") if "pooling" in name else ("input", "kernel_size")
    call: dict[str, Any] = {first: draw(an_array(shape_of(draw, rank, low=2), "f" if first == "x" else "ffib"))}
    if "adaptive" in name:
        return {**call, "output_size": some(draw, rank, 0, 6), "return_indices": draw(st.booleans())}
    call |= {size: some(draw, rank, 1, 3), "return_indices": draw(st.booleans())}
    if draw(st.booleans()):
        call["stride"] = some(draw, rank, 1, 3)
        call["pad" if first == "x" else "padding"] = some(draw, rank, 0, 1)
        call["cover_all" if first == "x" else "ceil_mode"] = draw(st.booleans())
    return call


def unpooling(draw: st.DrawFn, name: str) -> dict[str, Any]:
    rank = rank_in(draw, name)
    shape = shape_of(draw, rank, high=3)
    if name.startswith("unpooling"):
        return {"x": draw(an_array(shape)), "ksize": some(draw, rank, 1, 3), "cover_all": draw(st.booleans())}
    if name == "upsampling_2d":
        call = {"x": draw(an_array(shape)), "indexes": draw(an_array(shape, "i")), "ksize": 3}
        return {**call, "stride": some(draw, rank, 1, 3), "cover_all": draw(st.booleans())}
    call = {"input": draw(an_array(shape, "ffcib")), "indices": draw(an_array(shape, "i"))}
    call |= {"kernel_size": 3, "stride": some(draw, rank, 1, 3)}
    return {**call, "duplicates": draw(st.sampled_from(("last", "sum", "error"))), "check_indices": draw(st.booleans())}


def convolution(draw: st.DrawFn, name: str) -> dict[str, Any]:
    rank = rank_in(draw, name)
    x, w, b = ("x", "W", "b") if name.startswith("deconvolution") else ("input", "weight", "bias")
    data = draw(an_array(shape_of(draw, rank, high=3), "f" if x == "x" else "ffc"))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    call: dict[str, Any] = {x: data, w: np.ones((2, 2, *kernel), dtype=data.dtype)}
    if draw(st.booleans()):
        call[b] = np.ones(2, dtype=data.dtype)
    call["stride"] = some(draw, rank, 1, 3)
    if draw(st.booleans()):
        call["dilate" if x == "x" else "dilation"] = some(draw, rank, 1, 2)
    return call


def shuffling(draw: st.DrawFn, name: str) -> dict[str, Any]:
    x = draw(an_array((1, 4, 2, 4), "f" if "2" in name else "ffcib"))
    factor = {"pixel_shuffle": "upscale_factor", "pixel_unshuffle": "downscale_factor"}.get(name, "r")
    return {"input" if name.startswith("pixel") else "X": x, factor: draw(st.integers(1, 2))}


def image(draw: st.DrawFn, _: str) -> dict[str, Any]:
    x = draw(an_array(shape_of(draw, 2))).astype("f4")
    return {
        "x": x,
        "output_shape": (draw(st.integers(1, 7)), 3),
        "mode": draw(st.sampled_from(("bilinear", "nearest"))),
    }


def maker(name: str) -> Callable[[st.DrawFn, str], dict[str, Any]]:
    for pattern, make in (
        (r"interpolate|^upsample(_nearest|_bilinear)?$", interpolation),
        (r"^resize$", resizing),
        (r"^resize_images$", image),
        (r"shuffle|depth|space", shuffling),
        (r"conv", convolution),
        (r"unpool|upsampling", unpooling),
        (r"pool", pooling),
    ):
        if re.search(pattern, name):
            return make
    raise AssertionError(f"no call is known of {name}: add one")


# ------------------------------------------------------------------------------------------ hostile values


class Call(dict[str, Any]):
    """The arguments of a call; prints whatever they are."""

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        def one(value: Any) -> str:
            if isinstance(value, np.ndarray):
                return f"<{type(value).__name__} {value.dtype} {value.shape}>"
            try:
                return repr(value)[:60]
            except Exception as error:
                return f"<{type(value).__name__}: {error}>"

        return ", ".join(f"{key}={one(value)}" for key, value in self.items())


class Unprintable:
    """Nothing can be said of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Index:
    def __index__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return "Index()"


class Iterable:
    def __iter__(self) -> Iterator[int]:
        return iter((2, 2))

    def __repr__(self) -> str:
        return "Iterable()"


class Arrayish:
    """Something that NumPy would take, and no array."""

    shape, ndim, dtype = (1, 2, 3), 3, np.dtype("f4")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return np.ones((1, 2, 3), dtype="f4")

    def __repr__(self) -> str:
        return "Arrayish()"


class Sub(np.ndarray):
    """A harmless subclass."""


EDGES = (0, -1, 1, 2, 4, *ABSURD, 2**63, 10**30)
NUMBERS: tuple[Any, ...] = (
    *(0, 1, 2, 3, 7, -1, -2, 0.0, 1.0, 2.5, -0.5, 1e-300, 5e-324, 1e300, -1e300, math.nan, math.inf, -math.inf),
    *ABSURD,
    *(-n for n in ABSURD),
    *(2**63, -(2**63), 2**64, 10**30, -(10**30), 10**5000, True, False, 1j),
    *(np.int8(2), np.uint64(2**63), np.int64(-1), np.float32(1.5), np.float64("nan"), np.bool_(True), np.complex64(1)),
    *(np.asarray(2), np.asarray(1.5), np.asarray(True), np.asarray("2"), np.asarray(1j), Fraction(3, 2), Fraction(2)),
    *(Decimal("1.5"), Decimal("nan"), Decimal("sNaN"), Index()),
)
OTHERS: tuple[Any, ...] = (
    *(None, "", "2", "nearest", "linear", "sum", "portable", "cuda", "naïve\n\0", b"2", bytearray(b"2"), "x" * 999),
    *(..., NotImplemented, int, len, object(), Unprintable(), {}, {"a": 1}, {2}, range(2), slice(2), [[2]], [None]),
    *((), [], (2,), [3, 2], (2, 2, 2), (2, 3, 2, 3), (None, 3), (3, None), (1.5, 2), ("a", "b"), (2, -1), (True, 2)),
    *((2**40, 2**40), (2**62, 1), (2, 2**63), (math.nan, 1.0), (1e300, 1e300), ("linear", "cubic"), (Unprintable(),)),
    *(np.asarray([2, 2]), np.asarray([]), np.asarray([None]), np.ma.masked, np.datetime64(2, "s"), Arrayish()),
    *(np.ones((1, 2, 3)), Iterable(), memoryview(b"22")),
)


def with_values(x: np.ndarray, value: float) -> np.ndarray:
    y = x.copy()
    if y.size and y.dtype.kind in "fc":
        y.reshape(-1)[::2] = value
    return y


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def misaligned(x: np.ndarray) -> np.ndarray:
    raw = np.zeros(x.nbytes + 1, dtype="u1")[1:]
    y = raw.view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def strict(x: np.ndarray) -> Any:
    return pytest.importorskip("array_api_strict").asarray(x.copy())


CHANGED: dict[str, Callable[[np.ndarray], Any]] = {
    "read-only": read_only,
    "swapped": lambda x: x.astype(x.dtype.newbyteorder(">" if sys.byteorder == "little" else "<")),
    "reversed": lambda x: x[(slice(None, None, -1),) * x.ndim],
    "fortran": np.asfortranarray,
    "misaligned": misaligned,
    "broadcast": lambda x: np.broadcast_to(x[..., :1], x.shape),
    "subclass": lambda x: x.view(Sub),
    "matrix": lambda x: np.matrix(x.reshape(1, -1)),
    "masked": np.ma.masked_array,
    "list": lambda x: x.tolist(),
    "structured": lambda x: np.zeros(x.shape, dtype=[("a", "f4"), ("b", "i2")]),
    "records": lambda x: np.zeros(x.shape, dtype=[("a", "f4")]).view(np.recarray),
    "objects": lambda x: x.astype(object),
    "text": lambda x: np.full(x.shape, "2"),
    "bytes": lambda x: np.full(x.shape, b"2"),
    "dates": lambda x: np.zeros(x.shape, dtype="M8[s]"),
    "long": lambda x: np.ones(x.shape, dtype=np.longdouble),
    "void": lambda x: np.zeros(x.shape, dtype="V3"),
    "float16": lambda x: x.real.astype("f2"),
    "float64": lambda x: x.real.astype("f8"),
    "uint8": lambda x: x.real.astype("u1"),
    "int64": lambda x: x.real.astype("i8"),
    "uint64": lambda x: x.real.astype("u8") + np.uint64(2**63),
    "least": lambda x: np.full(x.shape, -(2**63)),
    "bools": lambda x: x.astype(bool),
    "complex": lambda x: x.astype("c16"),
    "NaN": lambda x: with_values(x, math.nan),
    "infinite": lambda x: with_values(x, math.inf),
    "huge": lambda x: with_values(x, 6e4 if x.dtype == np.float16 else 3e38),
    "0-d": lambda x: x.reshape(-1)[:1].sum(),
    "0-d array": lambda x: np.asarray(x.reshape(-1)[:1].sum()),
    "flat": lambda x: x.reshape(-1),
    "one axis more": lambda x: x[None],
    "one axis less": lambda x: x.reshape(x.shape[1:]) if x.shape[0] == 1 else x[0] if len(x) else x,
    "empty first axis": lambda x: x[:0],
    "empty last axis": lambda x: x[..., :0],
    "empty second axis": lambda x: x[:, :0] if x.ndim > 1 else x[:0],
    "nothing": lambda _: np.zeros(0),
    "many axes": lambda x: x.reshape((1,) * (32 - x.ndim) + x.shape),
    "strict": strict,
    "scalar": lambda _: 2.0,
    "None": lambda _: None,
    "arrayish": lambda _: Arrayish(),
    "unprintable": lambda _: Unprintable(),
}
ARRAYS = ("input", "x", "X", "indices", "indexes", "weight", "W", "bias", "b")


@st.composite
def calls(draw: st.DrawFn, name: str, parameters: tuple[str, ...]) -> Call:
    """A small call, some of its arguments changed, left away or added."""
    call = Call(maker(name)(draw, name))
    for _ in range(draw(st.integers(0, 3))):
        target = draw(st.sampled_from(parameters))
        if target in ARRAYS and isinstance(call.get(target), np.ndarray):
            change = CHANGED[draw(st.sampled_from(tuple(CHANGED)))]
            with suppress(TypeError, ValueError, IndexError), warnings.catch_warnings():  # it was changed before
                warnings.simplefilter("ignore")
                call[target] = change(call[target])
        else:
            call[target] = draw(st.sampled_from(EDGES) | st.sampled_from(NUMBERS) | st.sampled_from(OTHERS))
    unusual = draw(st.integers(0, 30))
    if unusual == 0 and call:
        del call[draw(st.sampled_from(sorted(call)))]
    elif unusual == 1:
        call["unknown"] = 1
    return call


# -------------------------------------------------------------------------------------------- one call


@contextmanager
def limits() -> Iterator[None]:
    """Raise TimeoutError or MemoryError within the block: a call that hangs or hoards is to fail, not to be killed."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    def late(*_: Any) -> None:
        raise TimeoutError(f"not done in {SECONDS} s")

    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def snapshot(value: Any) -> Any:
    """What must not change of an argument."""
    if isinstance(value, np.ndarray) and value is not np.ma.masked:
        return value.shape, value.strides, value.dtype, value.flags.writeable, value.tobytes()
    if isinstance(value, (list, tuple)):
        return type(value), [snapshot(item) for item in value]
    return id(value)


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or type(value).__module__.startswith("array_api_strict")


def largest(value: Any) -> float:
    """The largest number anywhere in an argument."""
    if isinstance(value, (list, tuple)):
        return max((largest(item) for item in value), default=0)
    if isinstance(value, (int, float, np.number)) and not isinstance(value, complex):
        return abs(value) if value == value else 0
    return 0


def asks_for_much(name: str, call: Call) -> bool:
    """Whether the result would pass 1 GB."""
    growing = {"size", "scale_factor", "shape", "scale", "output_size", "output_shape", "outsize"}
    if re.search("unpool|upsampling|conv", name):
        growing |= {"kernel_size", "ksize", "stride", "dilation", "dilate", "output_padding"}
    if "max_pooling" in name:
        growing |= {"pad"}  # Chainer's windows may lie in the padding altogether
    first = next(iter(call.values()), None)
    if is_array(first) and 0 in first.shape:
        return False
    return any(largest(call[key]) >= min(ABSURD) / 10 for key in growing & call.keys())


def attempt(function: Callable[..., Any], name: str, call: dict[str, Any]) -> Any:
    """Call within the limits, warnings being errors; return the result or the exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if name in DEPRECATED:
            warnings.filterwarnings("ignore", f"^{name} is deprecated", DeprecationWarning)
        try:
            with limits():
                return function(**call)
        except Exception as error:
            return error


def run(function: Callable[..., Any], name: str, call: Call) -> Any:
    """Call, check all that is promised, and return the result or the exception."""
    before = {key: snapshot(value) for key, value in call.items() if key != "out"}
    result = attempt(function, name, call)
    if isinstance(result, Exception):
        check_error(name, call, result)
    else:
        check_result(name, call, result)
    after = {key: snapshot(value) for key, value in call.items() if key != "out"}
    assert before == after, f"{name}({call}) changed its input"
    return result


def check_error(name: str, call: Call, error: Exception) -> None:
    said = f"{name}({call}) raised {type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        assert asks_for_much(name, call), said
        return
    assert type(error) in (TypeError, ValueError, IndexError), said
    if type(error) is TypeError and PYTHONS_OWN.match(str(error)):
        return
    assert str(error).startswith(f"{name}: "), said
    assert FORM.match(str(error)), said


def check_result(name: str, call: Call, result: Any) -> None:
    each = result if isinstance(result, tuple) else (result,)
    assert len(each) <= 2
    assert all(is_array(item) for item in each), f"{name}({call}) returned {type(result)}"
    first = next(iter(call.values()))
    assert each[0].dtype == first.dtype, f"{name}({call}) returned {each[0].dtype}"
    for item in each:
        for value in call.values():
            if isinstance(value, np.ndarray) and isinstance(item, np.ndarray) and call.get("out") is not value:
                assert not np.may_share_memory(item, value), f"{name}({call}) returned a view of its input"


PARAMETERS = {
    name: tuple(
        parameter
        for parameter in function.__code__.co_varnames[
            : function.__code__.co_argcount + function.__code__.co_kwonlyargcount
        ]
    )
    for name, function in FUNCTIONS.items()
}


@pytest.fixture(autouse=True, scope="module")
def _warm() -> None:
    """What libraries load and allocate once is none of a call's memory."""
    np.ones((64, 64)) @ np.ones((64, 64))
    for function in (upsample.interpolate, chainer.resize_images):
        function(np.ones((1, 1, 2, 2), dtype="f4"), (3, 3))
    try:
        import array_api_strict
    except ImportError:
        return
    upsample.interpolate(array_api_strict.ones((1, 1, 2, 2)), (3, 3))


@pytest.mark.parametrize("path", FUNCTIONS, ids=str)
@hostile
@given(data=st.data())
def test_hostile_arguments(path: str, data: st.DataObject) -> None:
    function, name = FUNCTIONS[path], path.split(".")[1]
    call = data.draw(calls(name, PARAMETERS[path]))
    note(f"{name}({call})")
    result = run(function, name, call)
    if not isinstance(result, Exception) and "out" not in call:
        again(function, name, call, result, data)


def again(function: Callable[..., Any], name: str, call: Call, result: Any, data: st.DataObject) -> None:
    """The same call with an `out=` that suits, or all but suits."""
    first = next(iter(call.values()))
    if not isinstance(first, np.ndarray):
        return
    pair = isinstance(result, tuple)
    model = result[0] if pair else result
    kind = data.draw(
        st.sampled_from(
            ("good", "input", "overlap", "read-only", "strided", "self", "dtype", "swapped", "shape", "matrix", "half")
        )
    )
    if kind == "good":
        out = np.empty_like(model)
    elif kind == "input":
        out = first
    elif kind == "overlap":
        out = overlapping(first, model)
    elif kind == "read-only":
        out = read_only(np.asarray(model))
    elif kind == "strided":
        out = np.zeros((*model.shape, 2), dtype=model.dtype)[..., 1]
    elif kind == "self":
        out = np.lib.stride_tricks.as_strided(np.zeros(1, dtype=model.dtype), model.shape, (0,) * model.ndim)
    elif kind == "dtype":
        out = np.zeros(model.shape, dtype="i2" if model.dtype != np.int16 else "f4")
    elif kind == "swapped":
        out = np.zeros(model.shape, dtype=model.dtype.newbyteorder())
    elif kind == "shape":
        out = np.zeros((*model.shape, 1), dtype=model.dtype)
    elif kind == "matrix":
        out = np.ma.zeros(model.shape, dtype=model.dtype)
    else:
        out = np.empty_like(model)
    given: Any = out
    if pair and kind != "half":
        given = (out, np.empty(model.shape, dtype=np.int64))
    note(f"out= is {kind}")
    before = snapshot(out)
    got = run(function, name, Call(call, out=given))
    if kind in ("good", "strided"):
        assert not isinstance(got, Exception), f"{name}({call}, out={kind}): {got}"
        np.testing.assert_array_equal(out, model)
        assert (got[0] if pair else got) is out
    elif isinstance(got, Exception):
        assert snapshot(out) == before, f"{name}({call}, out={kind}) was refused and written to"


def overlapping(x: np.ndarray, model: np.ndarray) -> np.ndarray:
    """An array of the result's shape that begins in the memory of the input."""
    if not x.flags.c_contiguous or not x.flags.writeable or model.nbytes > x.nbytes or x.dtype != model.dtype:
        return x
    return x.reshape(-1)[x.size - model.size :].reshape(model.shape)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype="f4")


LEVELS = np.full(4, 200, dtype="u1")
PLACES = np.zeros((1, 1, 4), dtype=int)
PAIRS: tuple[tuple[str, dict[str, Any]], ...] = (
    # arguments that fit one another, so that no check of a single one refuses them
    ("upsample.max_pool1d", dict(input=ones(1, 1, 4), kernel_size=2**40, stride=1, padding=2**39)),
    (
        "upsample.max_pool1d_with_indices",
        dict(input=ones(1, 1, 4), kernel_size=3, stride=1, padding=2**62, dilation=2**62),
    ),
    ("chainer.max_pooling_1d", dict(x=ones(1, 1, 4), ksize=2**40)),
    ("chainer.max_pooling_2d", dict(x=ones(1, 1, 2, 2), ksize=(1, 2**62), return_indices=True)),
    ("chainer.max_pooling_2d", dict(x=ones(1, 1, 2, 2), ksize=2, pad=2**62)),
    ("chainer.max_pooling_nd", dict(x=ones(1, 1, 2, 2), ksize=2, pad=2**40)),
    (
        "upsample.max_unpool1d",
        dict(input=ones(1, 1, 4), indices=PLACES, kernel_size=2**40, stride=1, padding=2**39),
    ),
    (
        "upsample.max_unpool1d",
        dict(input=ones(1, 1, 4), indices=PLACES, kernel_size=3, stride=1, padding=2**62, dilation=2**62),
    ),
    (
        "chainer.upsampling_2d",
        dict(x=ones(1, 1, 4, 4), indexes=np.zeros((1, 1, 4, 4), dtype=int), ksize=2**40, stride=1, pad=2**39),
    ),
    (
        "chainer.upsampling_2d",
        dict(x=ones(1, 1, 4, 4), indexes=np.zeros((1, 1, 4, 4), dtype=int), ksize=2**16, stride=1, pad=2**15),
    ),
    ("chainer.unpooling_2d", dict(x=ones(1, 1, 4, 4), ksize=2**40, stride=1, pad=2**39)),
    ("chainer.unpooling_2d", dict(x=ones(1, 1, 4, 4), ksize=2**14, stride=1, pad=2**13)),
    ("chainer.unpooling_2d", dict(x=ones(1, 1, 4, 4), ksize=2**62)),
    ("chainer.unpooling_2d", dict(x=ones(0, 1, 4, 4), ksize=2**31)),
    ("chainer.unpooling_1d", dict(x=ones(0, 1, 4), ksize=2**31)),
    ("upsample.conv_transpose1d", dict(input=ones(1, 1, 4), weight=ones(1, 1, 3), padding=2**62, dilation=2**62)),
    ("upsample.conv_transpose1d", dict(input=ones(1, 1, 3), weight=ones(1, 1, 3), stride=2**62, padding=2**62)),
    ("upsample.adaptive_max_pool1d", dict(input=ones(0, 1, 4), output_size=2**40)),
    ("upsample.interpolate", dict(input=ones(0, 1, 4), size=2**40, mode="linear")),
    ("upsample.resize", dict(x=LEVELS, shape=7, mode="cubic", cubic_coeff=1e9)),
    ("upsample.resize", dict(x=LEVELS, shape=7, mode="cubic", cubic_coeff=1e308)),
    ("upsample.resize", dict(x=LEVELS, shape=3, mode="cubic", cubic_coeff=-1e308, antialias=True)),
    ("upsample.resize", dict(x=ones(4), shape=7, mode="cubic", cubic_coeff=1e308)),
    ("upsample.resize", dict(x=ones(4), scale=np.complex64(2))),
    ("upsample.resize", dict(x=ones(4), scale=np.ma.masked)),
    ("upsample.pixel_unshuffle", dict(input=ones(1, 0, 0), downscale_factor=2**31)),
    ("upsample.pixel_shuffle", dict(input=ones(0, 1, 1), upscale_factor=2**40)),
    ("chainer.depth2space", dict(X=ones(1, 0, 1, 1), r=2**40)),
    ("chainer.space2depth", dict(X=ones(1, 1, 0, 0), r=2**40)),
)


@pytest.mark.parametrize(("path", "call"), PAIRS, ids=[f"{path}-{n}" for n, (path, _) in enumerate(PAIRS)])
def test_arguments_that_are_absurd_together(path: str, call: dict[str, Any]) -> None:
    result = run(FUNCTIONS[path], path.split(".")[1], Call(call))
    assert not isinstance(result, MemoryError), f"{path}({Call(call)}): {result}"


@pytest.mark.parametrize("path", FUNCTIONS, ids=str)
@settings(hostile, max_examples=(EXAMPLES or 80) // 4)
@given(data=st.data())
def test_explaining_hostile_arguments(path: str, data: st.DataObject) -> None:
    """`explain` runs nothing, and says of a call what the call itself would say."""
    function, name = FUNCTIONS[path], path.split(".")[1]
    call = data.draw(calls(name, PARAMETERS[path]))
    note(f"{name}({call})")
    result = run(function, name, call)
    choice = attempt(upsample.explain, name, {"function": function, **call})
    if isinstance(choice, Exception):
        assert (type(choice), str(choice)) == (type(result), str(result))
    else:
        assert choice.op == name
        assert {choice.engine, *choice.reasons} == {"cuda", "cpu", "portable"}


@pytest.fixture(scope="module")
def _compiled() -> None:
    """Kernels that compile in seconds when they are first used; that is no call's time."""
    for dtype in ("f2", "f4", "f8", "c8", "c16"):
        x, weight = np.ones((1, 2, 4, 4), dtype=dtype), np.ones((2, 2, 2, 2), dtype=dtype)
        indices = np.zeros((1, 2, 4, 4), dtype=np.int64)
        named: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
            (upsample.interpolate, (x,), dict(scale_factor=s, mode=m))
            for s in (0.5, 1.5, 2)
            for m in ("nearest", "bilinear")
        ]
        named += [(upsample.max_unpool2d, (x, indices, 2), dict(check_indices=c)) for c in (True, False)]
        if dtype[0] == "f":
            named += [(upsample.max_pool2d, (x, 2), {}), (chainer.max_pooling_2d, (x, 2), {})]
            named += [(chainer.upsampling_2d, (x, indices, 2), {}), (upsample.conv_transpose2d, (x, weight), {})]
            named += [
                (
                    upsample.conv_transpose2d,
                    (np.ones((1, 8, 4, 4), dtype=dtype), np.ones((8, 2, 2, 2), dtype=dtype)),
                    {},
                )
            ]
        for function, inputs, options in named:
            output, pullback = upsample.vjp(function, *inputs, **options)
            pullback(output)


@pytest.mark.usefixtures("_compiled")
@pytest.mark.parametrize("path", FUNCTIONS, ids=str)
@settings(hostile, max_examples=(EXAMPLES or 80) // 4)
@given(data=st.data())
def test_gradients_of_hostile_arguments(path: str, data: st.DataObject) -> None:
    """`vjp` takes what the function takes, integers aside, and its gradients are like the arguments."""
    function, name = FUNCTIONS[path], path.split(".")[1]
    call = data.draw(calls(name, PARAMETERS[path]))
    call.pop("out", None)
    note(f"vjp({name}, {call})")
    result = attempt(function, name, call)
    before = {key: snapshot(value) for key, value in call.items()}
    taken = attempt(lambda **given: upsample.vjp(function, **given), name, call)
    if isinstance(taken, Exception):
        assert isinstance(result, Exception) or FORM.match(str(taken)), f"{type(taken).__name__}: {taken}"
        return
    assert not isinstance(result, Exception), f"the call raises {result!r}"
    output, pullback = taken
    output = output[0] if isinstance(output, tuple) else output
    grads = attempt(lambda: pullback(output), name, {})
    assert isinstance(grads, tuple), repr(grads)
    inputs = [value for key, value in call.items() if key in ARRAYS and is_array(value)]
    assert sorted(g.shape for g in grads if g is not None) == sorted(x.shape for x in inputs if is_float(x))
    assert len(grads) == len(inputs)
    assert before == {key: snapshot(value) for key, value in call.items()}


def is_float(x: Any) -> bool:
    return getattr(x.dtype, "kind", "-") in "fc" or any(kind in str(x.dtype) for kind in ("float", "complex"))
