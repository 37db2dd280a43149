"""One call and all that is promised of it, on every engine, with ``out=``, explained, and with its gradients.

A call agrees with the reference, or raises TypeError, ValueError or IndexError with a message of this package's form.
It never warns, hangs, changes its input, or takes memory that was not asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import upsample
from fuzz import expected, gradients, outs
from fuzz.agreement import assert_agrees
from fuzz.calls import ENGINES, FUNCTIONS, LAYERS, Call, function_of
from fuzz.errors import is_pythons_own, reads_well
from fuzz.limits import TALLY, Setting, attempt, under
from fuzz.values import ABSURD, evaluate
from upsample.engines import dispatch

__all__ = ["Prepared", "check", "prepare"]


STATES = ("warn", "raise", "ignore")
THREADS = ("1", "2", "3", "5")


@dataclass
class Prepared:
    """A call whose texts have become values.

    Attributes
    ----------
    call : Call
        As it is written.
    function : callable
        A function, or a layer that was made.
    given : dict
        The arguments.
    says : tuple of str
        How its errors may begin.
    """

    call: Call
    function: Callable[..., Any]
    given: dict[str, Any]
    says: tuple[str, ...]
    layer: dict[str, Any] = field(default_factory=dict)

    def with_engine(self, engine: str | None) -> Prepared:
        """The same call, forced to an engine."""
        if not self.layer:
            return Prepared(self.call, self.function, {**self.given, "engine": engine}, self.says)
        return Prepared(
            self.call, type(self.function)(**{**self.layer, "engine": engine}), self.given, self.says, self.layer
        )

    @property
    def engine(self) -> Any:
        return self.layer.get("engine") if self.layer else self.given.get("engine")

    @property
    def reads(self) -> tuple[str, dict[str, Any]]:
        """The function, and its arguments, that the reference is asked of."""
        arguments = {key: v for key, v in {**self.layer, **self.given}.items() if key not in ("out", "engine")}
        name = function_of(self.call.name) if self.layer else self.call.name
        if name.startswith("conv") and self.layer:
            arguments |= {"weight": self.function.weight, "bias": self.function.bias}
        return name, arguments


def prepare(call: Call) -> Prepared | Exception:
    """Return the values of a call, or what the making of its layer raised."""
    given = {name: evaluate(written) for name, written in call.given.items()}
    if not call.is_layer:
        return Prepared(call, FUNCTIONS[call.path], given, (f"{call.name}: ",))
    made = {name: evaluate(written) for name, written in call.made.items()}
    layer = attempt(lambda: LAYERS[call.path](**made))
    if isinstance(layer, Exception):
        _check_error(call, layer, (f"{call.name}: ",), made)
        return layer
    inner = "interpolate" if call.name.startswith("Upsampl") else function_of(call.name)
    return Prepared(call, layer, given, (f"{call.name}: ", f"{inner}: "), {"engine": None, **made})


# --------------------------------------------------------------------------------------------------- promises


def _snapshot(value: Any) -> Any:
    """What must not change of an argument."""
    if isinstance(value, np.ndarray) and value is not np.ma.masked:
        return value.shape, value.strides, value.dtype, value.flags.writeable, value.tobytes()
    if isinstance(value, (list, tuple)):
        return type(value), [_snapshot(item) for item in value]
    return id(value)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or type(value).__module__.startswith("array_api_strict")


def _largest(value: Any) -> float:
    """The largest number anywhere in an argument."""
    if isinstance(value, (list, tuple)):
        return max((_largest(item) for item in value), default=0)
    if isinstance(value, (int, float, np.number)) and not isinstance(value, (complex, np.complexfloating)):
        try:
            return 0 if value != value else abs(float(value))
        except (OverflowError, ArithmeticError):
            return math.inf
    return 0


_GROWING = {"size", "scale_factor", "shape", "scale", "output_size", "output_shape", "outsize", "box", "offset"}
_WINDOWS = {"kernel_size", "ksize", "stride", "dilation", "dilate", "output_padding"}


def _asks_for_much(name: str, arguments: dict[str, Any]) -> bool:
    """Whether the result would pass what a call may take."""
    growing = set(_GROWING)
    if re.search("unpool|upsampling|conv|Unpool|Conv", name):
        growing |= _WINDOWS | {"in_channels", "out_channels"}
    if "max_pooling" in name:
        growing |= {"pad"}  # Chainer's windows may lie in the padding altogether
    first = next(iter(arguments.values()), None)
    if _is_array(first) and 0 in first.shape:
        return False
    return any(_largest(arguments[key]) >= min(ABSURD) / 10 for key in growing & arguments.keys())


def _check_error(call: Call, error: Exception, says: tuple[str, ...], arguments: dict[str, Any]) -> None:
    said = f"{call}\n    raised {type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        assert _asks_for_much(call.name, arguments), said
        return
    assert reads_well(error), said
    assert is_pythons_own(error) or str(error).startswith(says), said


def _check_result(p: Prepared, result: Any) -> tuple[Any, ...]:
    each = result if isinstance(result, tuple) else (result,)
    assert len(each) <= 2
    assert all(_is_array(item) for item in each), f"{p.call}\n    returned {type(result)}"
    first = next(v for v in p.given.values() if _is_array(v))
    assert each[0].dtype == first.dtype, f"{p.call}\n    returned {each[0].dtype}"
    for item in each:
        assert type(item) in (np.ndarray, type(first)), f"{p.call}\n    returned {type(item)}"
        for value in p.given.values():
            if isinstance(value, np.ndarray) and isinstance(item, np.ndarray) and p.given.get("out") is not value:
                assert not np.may_share_memory(item, value), f"{p.call}\n    returned a view of its input"
    return each


def run(p: Prepared) -> Any:
    """Call, check all that is promised of the call alone, and return the result or the exception."""
    before = {key: _snapshot(value) for key, value in p.given.items() if key != "out"}
    result = attempt(lambda: p.function(**p.given))
    if isinstance(result, Exception):
        _check_error(p.call, result, p.says, {**p.layer, **p.given})
        TALLY["refused"] += 1
    else:
        _check_result(p, result)
    after = {key: _snapshot(value) for key, value in p.given.items() if key != "out"}
    assert before == after, f"{p.call}\n    changed its input"
    return result


def _agree(p: Prepared, result: Any) -> bool:
    """Compare with the reference; False where it cannot say."""
    name, arguments = p.reads
    try:
        wanted = expected.want(name, arguments)
    except expected.Unsure:
        return False

    def without() -> expected.Want:
        keeps = arguments.get("nan") == "omit"
        clean = {
            key: np.where(np.isfinite(v) | (np.isnan(v) & keeps), v, v.dtype.type(0))
            if isinstance(v, np.ndarray) and v.dtype.kind in "fc"
            else v
            for key, v in arguments.items()
        }
        return expected.want(name, clean)

    rounds = re.match("interpolate|upsample|resize", name) is not None
    try:
        assert_agrees(result if isinstance(result, tuple) else (result,), wanted, without if rounds else None)
    except AssertionError as error:
        raise AssertionError(f"{p.call}\n    on {p.engine}: {error}") from None
    TALLY["agreed"] += 1
    return True


def _same(one: Any, other: Any) -> bool:
    """Whether two outcomes are equal: bits, or type and words of an exception."""
    if isinstance(one, Exception) or isinstance(other, Exception):
        return type(one) is type(other) and str(one) == str(other)
    pairs = zip(*(item if isinstance(item, tuple) else (item,) for item in (one, other)), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


# ---------------------------------------------------------------------------------------------------- everything


def check(call: Call, ordinary: bool, pick: Callable[[tuple[str, ...]], str]) -> None:
    """Check a call in every way.

    Parameters
    ----------
    call : Call
        The call.
    ordinary : bool
        Whether nothing about it is hostile, so that it has to work.
    pick : callable
        Chooses one of some words: which ``out=`` to pass, which gradient to pull back.
    """
    p = prepare(call)
    if isinstance(p, Exception):
        assert not ordinary, f"{call}\n    raised {p}"
        return
    result = run(p)
    _check_ordinary(p, result, ordinary)
    if not isinstance(result, Exception):
        _agree(p, result)
    with under(Setting(pick(STATES), int(pick(THREADS)))):
        _check_everywhere(p, result, pick)


def _check_everywhere(p: Prepared, result: Any, pick: Callable[[tuple[str, ...]], str]) -> None:
    """Check the call again, on each engine, with `out=`, explained and with its gradients."""
    call = p.call
    again = run(p)
    assert _same(result, again), f"{call}\n    came to something else the second time: {again}"
    if p.engine is None:
        for engine in ENGINES:
            _check_engine(p.with_engine(engine), result)
    _check_explained(p, result)
    if not isinstance(result, Exception) and not p.layer and "out" not in p.given:
        outs.check(p, result, pick, run)
    if p.given.get("out") is None:
        gradients.check(p, result, pick, _asks_for_much(p.call.name, {**p.layer, **p.given}))


def _check_ordinary(p: Prepared, result: Any, ordinary: bool) -> None:
    """An ordinary call works, unless the reference refuses it too, or an index lies outside."""
    if not ordinary or not isinstance(result, Exception):
        return
    if isinstance(result, IndexError) or "duplicate" in str(result):
        return
    name, arguments = p.reads
    try:
        wanted = expected.want(name, arguments)
    except expected.Unsure:
        return
    if 0 in wanted.arrays[0].shape[1:]:  # no window fits: the reference makes nothing of it, and the call says so
        return
    raise AssertionError(f"{p.call}\n    raised {type(result).__name__}: {result}")


def _check_engine(p: Prepared, result: Any) -> None:
    """An engine comes to what the first one did, or says that it cannot run the call."""
    other = run(p)
    if isinstance(other, Exception):
        cannot = "engine=" in str(other)
        if isinstance(result, Exception):
            assert cannot or type(result) is type(other), f"{p.call}\n    on {p.engine}: {other!r}, not {result!r}"
        else:
            assert cannot or isinstance(other, MemoryError), f"{p.call}\n    on {p.engine}: {other!r}"
        return
    assert not isinstance(result, Exception), f"{p.call}\n    works on {p.engine}, not without it: {result!r}"
    _agree(p, other)


def _check_explained(p: Prepared, result: Any) -> None:
    """`explain` runs nothing, and says of a call what the call itself would say."""
    choice = attempt(lambda: upsample.explain(p.function, **p.given))
    if isinstance(choice, Exception):
        assert _same(choice, result), f"explain, {p.call}: {choice!r}, not {result!r}"
    else:
        assert choice.op in {word[:-2] for word in p.says}
        assert {choice.engine, *choice.reasons} == {engine.name for engine in dispatch.ENGINES}
