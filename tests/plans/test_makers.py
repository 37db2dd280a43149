"""A table made by a registered maker works on every engine, turned round for the gradient, in any order of axes."""

from __future__ import annotations

import sys
from types import MappingProxyType

import numpy as np
import pytest

from upsample import arrays
from upsample.engines.dispatch import ENGINES, choose
from upsample.plans import makers
from upsample.plans import taps as module
from upsample.plans.makers import Maker
from upsample.plans.resize import AxisRule, ResizePlan, tabled
from upsample.plans.tap_table import Taps, folded
from upsample.plans.taps import fixed_point, taps, taps_between

USABLE = [engine.name for engine in ENGINES if engine.name not in ("cuda", "dask", "jax") and engine.unusable() is None]
BOUNDARIES = ["edge", "reflect", "mirror", "drop"]
SIZES = [(1, 4), (2, 9), (9, 2), (11, 23), (23, 11), (40, 40)]


def spread(n: int, o: int, output: np.ndarray, reach: int, boundary: str) -> Taps:
    """Weigh each sample by a number that depends on the output and the tap."""
    centre = ((output + 0.5) * n / o).astype(np.int64)
    tap = np.arange(-reach, reach + 1)
    weight = np.sin(1.0 + output[:, None] * 3 + tap) + 0.2
    return folded(centre[:, None] + tap, weight / np.abs(weight).sum(axis=1, keepdims=True), n, boundary)


def by_hand(n: int, o: int, reach: int, boundary: str) -> np.ndarray:
    """Let NumPy lay out the border."""
    pads = {"edge": "edge", "reflect": "symmetric", "mirror": "reflect", "drop": "constant"}
    matrix, eye = np.zeros((o, n)), np.eye(n)
    padded = np.pad(eye, ((reach, reach), (0, 0)), mode=pads[boundary])
    for i in range(o):
        weight = np.sin(1.0 + i * 3 + np.arange(-reach, reach + 1)) + 0.2
        centre = int((i + 0.5) * n / o)
        matrix[i] = (weight / np.abs(weight).sum()) @ padded[centre : centre + 2 * reach + 1]
    return matrix


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    table = MappingProxyType({**makers.MAKERS, "spread": Maker(spread, moves=False)})
    for name in [n for n, m in sys.modules.items() if n.startswith("upsample") and hasattr(m, "MAKERS")]:
        monkeypatch.setattr(sys.modules[name], "MAKERS", table)


def rule(n: int, o: int, boundary: str, bits: int = 0) -> AxisRule:
    return tabled(n, o, "spread", 3, boundary, bits=bits)


def run(plan: ResizePlan, x: np.ndarray, engine: str) -> np.ndarray:
    return choose("resize", "resize", plan, x, engine)(arrays.namespace("resize", {"x": x}), plan, x, None)


def dense(table: Taps, inputs: int) -> np.ndarray:
    matrix = np.zeros((len(table.first), inputs))
    for row, (first, count) in enumerate(zip(table.first, table.count, strict=True)):
        assert 0 <= first < inputs
        matrix[row, first : first + count] = table.weight[row, :count]
        assert not table.weight[row, count:].any()
    return matrix


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("n", "o"), SIZES)
def test_taps_are_folded(n: int, o: int, boundary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = by_hand(n, o, 3, boundary)
    np.testing.assert_allclose(dense(taps(rule(n, o, boundary)), n), wanted, rtol=0, atol=1e-15)
    back = rule(n, o, boundary).transpose()
    np.testing.assert_allclose(dense(taps(back), o), wanted.T, rtol=0, atol=1e-15)
    monkeypatch.setattr(module, "_KEPT", 2)  # as of an axis that is too long to be kept
    for begin in range(n):
        np.testing.assert_allclose(
            dense(taps_between(back, begin, begin + 1), o), wanted.T[begin : begin + 1], rtol=0, atol=1e-15
        )


@pytest.mark.parametrize("engine", USABLE)
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("n", "o"), SIZES)
def test_every_engine_weighs_by_the_table(n: int, o: int, boundary: str, engine: str) -> None:
    x = np.random.default_rng(0).random((3, n, 17, 2))
    wanted = np.einsum("oi,aijc->aojc", by_hand(n, o, 3, boundary), x)
    wanted = np.einsum("oj,aijc->aioc", by_hand(17, 20, 3, "reflect"), wanted)
    plan = ResizePlan((1, 2), (rule(n, o, boundary), rule(17, 20, "reflect")))
    np.testing.assert_allclose(run(plan, x, engine), wanted, rtol=0, atol=1e-13)
    grad = np.random.default_rng(1).random(wanted.shape)
    back = run(plan.transpose(), grad, engine)
    np.testing.assert_allclose((wanted * grad).sum(), (x * back).sum(), rtol=1e-12)


def bytes_by_hand(x: np.ndarray, rules: dict[int, AxisRule], order: tuple[int, ...]) -> np.ndarray:
    for axis in order:
        wide = np.rint(dense(fixed_point(rules[axis]).table, rules[axis].in_size) * 2.0 ** rules[axis].bits)
        moved = np.moveaxis(x, axis, -1).astype(np.int64) @ wide.T.astype(np.int64)
        one = 1 << rules[axis].bits
        x = np.moveaxis(np.clip((moved + one // 2) // one, 0, 255), -1, axis)
    return x.astype(np.uint8)


@pytest.mark.parametrize("engine", USABLE)
@pytest.mark.parametrize("order", [(), (1, 2), (2, 1)])
@pytest.mark.parametrize("bits", [8, 14, 22])
@pytest.mark.parametrize("sizes", [((31, 50), (17, 29)), ((40, 80), (60, 90)), ((90, 40), (20, 33))])
def test_bytes_have_so_many_binary_places(
    sizes: tuple[tuple[int, int], ...], bits: int, order: tuple[int, ...], engine: str
) -> None:
    x = np.random.default_rng(2).integers(0, 256, (2, sizes[0][0], sizes[1][0], 3), dtype=np.uint8)
    rules = {1: rule(*sizes[0], "drop", bits), 2: rule(*sizes[1], "mirror", bits)}
    plan = ResizePlan((1, 2), tuple(rules.values()), order)
    wanted = bytes_by_hand(x, rules, order or (2, 1))
    np.testing.assert_array_equal(run(plan, x, engine), wanted)
    assert order != (1, 2) or (bytes_by_hand(x, rules, (2, 1)) != wanted).any()  # the order shows


def test_jax_without_float64_adds_bytes_as_integers() -> None:
    jax = pytest.importorskip("jax")
    x = np.random.default_rng(3).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    rules = {0: rule(30, 17, "edge", 22), 1: rule(40, 55, "reflect", 22)}
    plan = ResizePlan((0, 1), tuple(rules.values()))
    with jax.enable_x64(False):
        got = run(plan, jax.numpy.asarray(x), "portable")
    np.testing.assert_array_equal(np.asarray(got), bytes_by_hand(x, rules, (1, 0)))
