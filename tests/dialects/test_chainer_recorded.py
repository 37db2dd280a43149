"""upsample.chainer gives what Chainer 7.8.1 gave, and rejects what it rejected: its recorded calls."""

import functools
import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import upsample
from upsample import chainer

FOLDER = Path(__file__).parents[1] / "conformance"
RECORDED = str(FOLDER / "chainer_open")

# op: calls whose gradients were recorded, quirks not counted
GRADIENTS = {
    "deconvolution_1d": 49,
    "deconvolution_2d": 270,
    "deconvolution_3d": 32,
    "deconvolution_nd": 146,
    "depth2space": 49,
    "max_pooling_1d": 47,
    "max_pooling_2d": 317,
    "max_pooling_3d": 38,
    "max_pooling_nd": 165,
    "resize_images": 239,
    "space2depth": 53,
    "unpooling_1d": 38,
    "unpooling_2d": 213,
    "unpooling_3d": 32,
    "unpooling_nd": 156,
    "upsampling_2d": 464,
}

# op: (calls that Chainer carried out, calls that it rejected), quirks not counted
COUNTS = {
    "deconvolution_1d": (49, 17),
    "deconvolution_2d": (289, 69),
    "deconvolution_3d": (37, 31),
    "deconvolution_nd": (154, 51),
    "depth2space": (49, 6),
    "max_pooling_1d": (47, 13),
    "max_pooling_2d": (317, 60),
    "max_pooling_3d": (38, 20),
    "max_pooling_nd": (165, 22),
    "resize_images": (239, 13),
    "space2depth": (53, 6),
    "unpooling_1d": (38, 8),
    "unpooling_2d": (215, 23),
    "unpooling_3d": (32, 8),
    "unpooling_nd": (156, 7),
    "upsampling_2d": (464, 80),
}


@functools.cache
def golden_io() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_io", FOLDER / "golden_io.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def recorded() -> list:
    return golden_io().load(RECORDED)


@functools.cache
def rejected() -> list:
    return golden_io().load_errors(RECORDED)


def difference(got: np.ndarray, want: np.ndarray, tolerance: float) -> str | None:
    if type(got) is not np.ndarray or got.shape != want.shape or got.dtype != want.dtype:
        return f"is {type(got).__name__} {got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        return None if np.array_equal(got, want) else "differs"
    got, want = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= tolerance
    same = near | (got == want) | (np.isnan(got) & np.isnan(want))
    if same.all():
        return None
    place = np.unravel_index(np.argmin(same), same.shape)
    return f"differs at {place}: {got[place]}, not {want[place]} ± {tolerance}"


def complaints(case) -> list[str]:
    """What is wrong with our result of a call that Chainer carried out."""
    before = [a.tobytes() for a in case.args]
    try:
        result = getattr(chainer, case.op)(*case.args, **case.kwargs)
    except Exception as error:
        return [f"{case}: raised {error!r}"]
    got = dict(zip(("y", "indexes"), result, strict=True)) if isinstance(result, tuple) else {"y": result}
    if got.keys() != case.outputs.keys():
        return [f"{case}: returned {sorted(got)}, not {sorted(case.outputs)}"]
    wrong = {name: difference(got[name], want, case.tolerance(name)) for name, want in case.outputs.items()}
    found = [f"{case}: {name} {why}" for name, why in wrong.items() if why]
    if before != [a.tobytes() for a in case.args]:
        found.append(f"{case}: an argument was changed")
    return found


def gradient_complaints(case) -> list[str]:
    """What is wrong with our gradients of a call whose gradients Chainer computed."""
    try:
        _, pullback = upsample.vjp(getattr(chainer, case.op), *case.args, **case.kwargs)
        got = pullback(case.grads["gy"])
    except Exception as error:
        return [f"{case}: raised {error!r}"]
    if len(got) != len(case.inputs):
        return [f"{case}: {len(got)} gradients of {len(case.inputs)} arrays"]
    found = []
    for (name, x), grad in zip(case.inputs.items(), got, strict=True):
        if x.dtype.kind != "f":
            why = None if grad is None else "is there, and is of indices"
        else:
            why = difference(grad, case.grads[f"g{name}"], case.tolerance(f"g{name}"))
        found += [f"{case}: g{name} {why}"] if why else []
    return found


def outcome(call) -> str:
    """``accepted``, ``rejected`` as it should be, or the error."""
    try:
        getattr(chainer, call.op)(*call.args, **call.kwargs)
    except Exception as error:
        proper = type(error) in (ValueError, TypeError, IndexError) and str(error).startswith(call.op)
        return "rejected" if proper else f"raised {error!r}"
    return "accepted"


@pytest.mark.parametrize("op", COUNTS)
def test_results_are_chainers(op: str) -> None:
    cases = [case for case in recorded() if case.op == op and not case.quirk]
    assert len(cases) == COUNTS[op][0]
    found = [complaint for case in cases for complaint in complaints(case)]
    assert not found, f"{len(found)} complaints:\n" + "\n".join(found[:10])


@pytest.mark.parametrize("op", GRADIENTS)
def test_gradients_are_chainers(op: str) -> None:
    cases = [case for case in recorded() if case.op == op and not case.quirk and case.grads]
    assert len(cases) == GRADIENTS[op]
    found = [complaint for case in cases for complaint in gradient_complaints(case)]
    assert not found, f"{len(found)} complaints:\n" + "\n".join(found[:10])


@pytest.mark.parametrize("op", COUNTS)
def test_what_chainer_rejects_is_rejected(op: str) -> None:
    calls = [call for call in rejected() if call.op == op and not call.quirk]
    assert len(calls) == COUNTS[op][1]
    found = [
        f"{call}: {seen}; Chainer: {call.error['type']}" for call in calls if (seen := outcome(call)) != "rejected"
    ]
    assert not found, f"{len(found)} complaints:\n" + "\n".join(found[:10])


def test_every_recorded_op_is_there() -> None:
    assert {case.op for case in recorded()} == set(COUNTS) == set(chainer.__all__)


def test_quirks() -> None:
    """Not compared: Chainer's oddities, which we may do otherwise, but never with another kind of error."""
    quirks = [case for case in [*recorded(), *rejected()] if case.quirk]
    outcomes = Counter(outcome(case) for case in quirks)
    assert set(outcomes) <= {"accepted", "rejected"}
    pytest.skip(f"{len(quirks)} quirks of Chainer are not compared; of these, here {dict(outcomes)}")


class TestTheCheckItself:
    """A wrong result would be seen."""

    def test_a_wrong_value(self) -> None:
        want = np.asarray([1.0, np.nan, np.inf])
        assert difference(want.copy(), want, 0.0) is None
        assert difference(np.asarray([1.0, np.nan, -np.inf]), want, 0.0)
        assert difference(np.asarray([1.0, 0.0, np.inf]), want, 0.0)
        assert difference(np.asarray([1.0 + 1e-9, np.nan, np.inf]), want, 0.0)

    def test_a_wrong_shape_or_dtype(self) -> None:
        assert difference(np.zeros((1, 2)), np.zeros(2), 0.0)
        assert difference(np.zeros(2, np.float32), np.zeros(2), 0.0)
        assert difference(np.zeros(2, np.int32), np.zeros(2, np.int64), 0.0)
