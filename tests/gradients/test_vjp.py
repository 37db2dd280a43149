"""upsample.vjp: what it takes and returns, what it refuses, and that its results never vary."""

from __future__ import annotations

from functools import partial
from typing import Any

import backends
import numpy as np
import pytest
import tolerances
from cases import CASES, Case, noise
from dtypes import dtype_of

import upsample
from upsample import chainer
from upsample.engines import dispatch
from upsample.ops.steps import Unpool
from upsample.plans.window import UnpoolPlan, WindowAxis

BITWISE = 20

SLOW = ("jax", "dask")
"""Libraries that compile, or plan, every new call: they do one case of each kind."""
FEW = frozenset(
    {
        "resize-image-scale",
        "max_pool-2d-dilated-ceil",
        "max_unpool-2d-overlapping-sum-1",
        "conv_transpose-2d-groups",
        "pixel_shuffle",
    }
)


def gradients(case: Case, make: Any = np.asarray, **options: Any) -> tuple[Any, ...]:
    """Gradients of a case's call, for one gradient by its output."""
    output, pullback = upsample.vjp(case.function, *map(make, case.arrays), **case.options, **options)
    output = output[0] if isinstance(output, tuple) else output
    return pullback(make(noise(*output.shape, seed=5)))


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_every_engine_and_library_agrees(case: Case, backend: backends.Backend) -> None:
    if backend.name in SLOW and case.id not in FEW:
        pytest.skip("JAX and Dask take one case of each kind")
    wanted = gradients(case, engine="portable")
    got = gradients(case, backend.make)
    like = backend.make(case.arrays[0])
    assert len(got) == len(wanted) == len(case.arrays)
    for g, w, x in zip(got, wanted, case.arrays, strict=True):
        assert (g is None) == (w is None) == (x.dtype.kind in "iu")
        if g is not None:
            assert type(g) is type(like)
            assert g.dtype == like.dtype
            assert w.shape == x.shape
            tolerances.assert_close(backend.back(g), w, exact=False)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_same_bits_every_time(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of threads."""
    first = gradients(case)
    for turn in range(BITWISE):
        monkeypatch.setenv("UPSAMPLE_NUM_THREADS", str(1 + turn % 3))
        for g, f in zip(gradients(case), first, strict=True):
            assert g is f is None or g.tobytes() == f.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("engine", [None, "portable"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_half_precision(case: Case, engine: str | None, dtype: str) -> None:
    """The gradient of the rounded arguments, summed in float32 and rounded."""
    kind = dtype_of(dtype)
    inputs = tuple(x if x.dtype.kind in "iu" else (x % 7).astype(kind) for x in case.arrays)
    output, pullback = upsample.vjp(case.function, *inputs, **case.options, engine=engine)
    output = output[0] if isinstance(output, tuple) else output
    grad = noise(*output.shape, seed=5).astype(kind)
    wide = tuple(x if x.dtype.kind in "iu" else x.astype(np.float32) for x in inputs)
    _, exact = upsample.vjp(case.function, *wide, **case.options, engine="portable")
    for g, w in zip(pullback(grad), exact(grad.astype(np.float32)), strict=True):
        if g is not None:
            assert g.dtype == kind
            tolerances.assert_close(g, w, exact=False)


class TestWhatItReturns:
    x = noise(1, 2, 4, 4)
    weight = noise(2, 3, 2, 2)
    bias = noise(3)

    def test_one_entry_an_array_in_the_order_of_the_signature(self) -> None:
        call = dict(bias=self.bias, weight=self.weight, input=self.x, stride=2)
        y, pullback = upsample.vjp(upsample.conv_transpose2d, **call)
        assert [g.shape for g in pullback(np.ones_like(y))] == [self.x.shape, self.weight.shape, self.bias.shape]
        y, pullback = upsample.vjp(upsample.conv_transpose2d, self.x, self.weight)
        assert len(pullback(np.ones_like(y))) == 2

    @pytest.mark.parametrize("wrt", ["weight", ("weight",), ["weight"], {"weight"}])
    def test_wrt(self, wrt: Any) -> None:
        y, pullback = upsample.vjp(upsample.conv_transpose2d, self.x, self.weight, self.bias, wrt=wrt)
        every = upsample.vjp(upsample.conv_transpose2d, self.x, self.weight, self.bias)[1](y)
        x, weight, bias = pullback(y)
        assert x is bias is None
        np.testing.assert_array_equal(weight, every[1])

    def test_wrt_saves_the_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from upsample.ops import conv_steps

        monkeypatch.setattr(conv_steps, "InputGrad", None)
        y, pullback = upsample.vjp(upsample.conv_transpose2d, self.x, self.weight, wrt="weight")
        pullback(y)
        with pytest.raises(TypeError):
            upsample.vjp(upsample.conv_transpose2d, self.x, self.weight)[1](y)

    def test_indices_have_none(self) -> None:
        values, indices = upsample.max_pool2d_with_indices(self.x, 2)
        y, pullback = upsample.vjp(upsample.max_unpool2d, values, indices, 2)
        x, none = pullback(y)
        assert none is None
        np.testing.assert_array_equal(x, values)

    def test_pooling_takes_the_gradient_of_the_values_in_either_form(self) -> None:
        (values, indices), pullback = upsample.vjp(upsample.max_pool2d, self.x, 2, return_indices=True)
        assert indices.dtype == np.int64
        grads = [pullback(given)[0] for given in (values, (values, None), [values, indices], (values,))]
        assert all(np.array_equal(g, grads[0]) for g in grads)
        alone, other = upsample.vjp(upsample.max_pool2d, self.x, 2)
        np.testing.assert_array_equal(alone, values)
        np.testing.assert_array_equal(other(values)[0], grads[0])

    def test_numbers_of_any_kind_are_no_arrays(self) -> None:
        for factor in (2, np.float64(2), np.asarray(2.0)):
            y, pullback = upsample.vjp(upsample.interpolate, self.x, scale_factor=factor)
            assert len(pullback(y)) == 1

    def test_a_layer(self) -> None:
        layer = upsample.nn.ConvTranspose2d(2, 3, 2, stride=2)
        y, pullback = upsample.vjp(layer, self.x)
        wanted = upsample.vjp(upsample.conv_transpose2d, self.x, layer.weight, layer.bias, stride=2)[1](y)
        np.testing.assert_array_equal(pullback(y)[0], wanted[0])

    def test_an_array_given_twice_stands_for_two_arguments(self) -> None:
        square = noise(2, 2, 2, 2)
        y, pullback = upsample.vjp(upsample.conv_transpose2d, square, square)
        both = upsample.vjp(upsample.conv_transpose2d, square, square.copy())[1](y)
        for got, wanted in zip(pullback(y), both, strict=True):
            np.testing.assert_array_equal(got, wanted)

    def test_a_function_of_several_ops(self) -> None:
        def decoder(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
            values, indices = upsample.max_pool2d_with_indices(x, 2)
            back = upsample.max_unpool2d(values, indices, 2)
            return upsample.interpolate(upsample.conv_transpose2d(back, weight), scale_factor=2, mode="bicubic")

        x, weight = self.x.astype(np.float64), self.weight.astype(np.float64)
        y, pullback = upsample.vjp(decoder, x, weight)
        np.testing.assert_array_equal(y, decoder(x, weight))
        grad = noise(*y.shape, dtype="float64")
        step = noise(*weight.shape, seed=3, dtype="float64")
        rise = (decoder(x, weight + 1e-6 * step) - decoder(x, weight - 1e-6 * step)) / 2e-6
        assert np.sum(pullback(grad)[1] * step) == pytest.approx(np.sum(rise * grad), rel=1e-6)

    def test_pullback_may_be_called_again(self) -> None:
        y, pullback = upsample.vjp(upsample.interpolate, self.x, scale_factor=2, mode="bilinear")
        first = pullback(y)[0].copy()
        pullback(np.zeros_like(y))
        np.testing.assert_array_equal(pullback(y)[0], first)

    def test_other_floats_are_taken_for_the_outputs(self) -> None:
        y, pullback = upsample.vjp(upsample.interpolate, self.x, scale_factor=2)
        assert pullback(y.astype(np.float64))[0].dtype == np.float32

    def test_complex_numbers(self) -> None:
        z = self.x + 1j * noise(*self.x.shape, seed=1)
        y, pullback = upsample.vjp(upsample.interpolate, z, scale_factor=2, mode="bilinear")
        real = upsample.vjp(upsample.interpolate, self.x, scale_factor=2, mode="bilinear")[1](y.real.copy())[0]
        np.testing.assert_allclose(pullback(y)[0].real, real, rtol=1e-6)


@pytest.mark.parametrize("engine", [None, "portable"])
def test_nothing_came_of_it(engine: str | None) -> None:
    """No batch, or no cells: gradients of zero, not of whatever the memory held."""
    x = noise(2, 1, 4, 4)
    y, pullback = upsample.vjp(upsample.adaptive_max_pool2d, x, 0, engine=engine)
    assert y.shape == (2, 1, 0, 0)
    assert not pullback(y)[0].any()
    weight, bias = noise(1, 3, 2, 2), noise(3)
    y, pullback = upsample.vjp(upsample.conv_transpose2d, x[:0], weight, bias, engine=engine)
    assert [g.shape for g in pullback(y)] == [(0, 1, 4, 4), weight.shape, bias.shape]
    assert not any(g.any() for g in pullback(y))


class TestDuplicates:
    x = np.asarray([[1.0, 2.0, 3.0, 4.0]])
    indices = np.asarray([[3, 0, 3, 7]])

    @pytest.mark.parametrize("engine", [None, "portable"])
    @pytest.mark.parametrize(
        ("options", "wanted"),
        [
            (dict(), [0, 1, 4, 8]),
            (dict(duplicate_grad="winner"), [0, 1, 4, 8]),
            (dict(duplicate_grad="all"), [4, 1, 4, 8]),
            (dict(duplicates="sum"), [4, 1, 4, 8]),
            (dict(duplicates="sum", duplicate_grad="all"), [4, 1, 4, 8]),
        ],
    )
    def test_who_receives(self, options: dict, wanted: list, engine: str | None) -> None:
        grad = np.asarray([[1.0, 2, 3, 4, 5, 6, 7, 8]])
        pullback = upsample.vjp(upsample.max_unpool1d, self.x, self.indices, 2, **options, engine=engine)[1]
        assert pullback(grad)[0].tolist() == [wanted]

    def test_chainers_duplicates_all_receive(self) -> None:
        x, indexes = np.ones((1, 1, 2, 2)), np.asarray([[[[8, 6], [2, 0]]]])
        y, pullback = upsample.vjp(chainer.upsampling_2d, x, indexes, 3, stride=2, cover_all=False)
        assert pullback(np.arange(25.0).reshape(y.shape))[0].tolist() == [[[[12, 12], [12, 12]]]]

    def test_dropped_values_have_no_gradient(self) -> None:
        x, indexes = np.ones((1, 1, 2, 2)), np.zeros((1, 1, 2, 2), dtype=np.int64)
        y, pullback = upsample.vjp(chainer.upsampling_2d, x, indexes, 2, pad=1, cover_all=False)
        assert pullback(np.full(y.shape, np.nan))[0][0, 0, 0].tolist() == [0, 0]

    @pytest.mark.parametrize("value", ["first", 1])
    def test_another_rule(self, value: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=r"^max_unpool1d: duplicate_grad="):
            upsample.max_unpool1d(self.x, self.indices, 2, duplicate_grad=value)


@pytest.mark.parametrize("engine", [None, "portable"])
@pytest.mark.parametrize("special", [np.nan, np.inf])
def test_what_had_no_part_has_no_gradient(special: float, engine: str | None) -> None:
    """Shrinking without antialias leaves samples out: theirs is 0, whatever the others'."""
    for mode, axes in (("nearest", 1), ("bilinear", 2)):
        x = np.ones((1, 1) + (9,) * axes, dtype=np.float32)
        y, pullback = upsample.vjp(upsample.interpolate, x, size=3 if axes == 1 else (3, 3), mode=mode, engine=engine)
        grad = pullback(np.full_like(y, special))[0]
        assert np.count_nonzero(grad) == y.size
        assert (grad[grad != 0] != grad[grad != 0]).all() if np.isnan(special) else np.isposinf(grad[grad != 0]).all()


class TestWhatItRefuses:
    x = noise(1, 1, 4, 4)

    @pytest.mark.parametrize("dtype", ["uint8", "int64", "int8"])
    @pytest.mark.parametrize(
        "call",
        [
            partial(upsample.vjp, upsample.interpolate, scale_factor=2),
            partial(upsample.vjp, upsample.resize, shape=3, mode="nearest"),
            partial(upsample.vjp, upsample.max_pool2d, kernel_size=2),
            partial(upsample.vjp, upsample.pixel_unshuffle, downscale_factor=2),
            partial(upsample.vjp, upsample.max_unpool2d, indices=np.zeros((1, 1, 4, 4), int), kernel_size=2),
            partial(upsample.vjp, upsample.conv_transpose2d, weight=np.ones((1, 1, 2, 2), int)),
            partial(upsample.vjp, chainer.space2depth, r=2),
        ],
    )
    def test_integers(self, call: Any, dtype: str) -> None:
        name = "X" if call.args[0] is chainer.space2depth else "x" if call.args[0] is upsample.resize else "input"
        with pytest.raises(TypeError, match=rf"^\w+: {name}=<dtype {dtype}>, but"):
            call(**{name: self.x.astype(dtype)})

    @pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
    @pytest.mark.parametrize(
        "function",
        [
            lambda x: upsample.interpolate(x[None], scale_factor=2, mode="nearest"),
            lambda x: upsample.resize(x.astype("f4"), scale=2),
            lambda x: upsample.max_unpool2d(x[None], np.zeros((1, 1, 4, 4), int), 2, duplicates="last"),
            lambda x: x,
        ],
    )
    def test_integers_that_the_function_changes(self, function: Any, dtype: str) -> None:
        with pytest.raises(TypeError, match=rf"^vjp: x=<dtype {dtype}>, but there is no gradient by integers"):
            upsample.vjp(function, self.x[0].astype(dtype))

    @pytest.mark.parametrize("wrt", [1, ("input", 2)])
    def test_wrt_that_is_no_name(self, wrt: Any) -> None:
        with pytest.raises(TypeError, match=r"^vjp: wrt="):
            upsample.vjp(upsample.interpolate, self.x, scale_factor=2, wrt=wrt)

    @pytest.mark.parametrize("wrt", ["x", "scale_factor"])
    def test_wrt_that_is_no_array(self, wrt: str) -> None:
        with pytest.raises(ValueError, match=r"^vjp: wrt=.*input"):
            upsample.vjp(upsample.interpolate, self.x, scale_factor=2, wrt=wrt)

    def test_out(self) -> None:
        with pytest.raises(ValueError, match=r"^vjp: out="):
            upsample.vjp(upsample.interpolate, self.x, scale_factor=2, out=np.empty((1, 1, 8, 8), np.float32))

    def test_no_function(self) -> None:
        with pytest.raises(TypeError, match=r"^vjp: function="):
            upsample.vjp("interpolate", self.x)

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: upsample.interpolate(x, scale_factor=2) * 2,
            lambda x: upsample.interpolate(2 * x, scale_factor=2),
            lambda x: upsample.interpolate(2 * upsample.pixel_unshuffle(x, 2), scale_factor=2),
            lambda x: upsample.conv_transpose2d(upsample.interpolate(x, scale_factor=2) + 1, np.ones((1, 1, 2, 2))),
            lambda x: x,
            lambda x: 2 * x,
        ],
    )
    def test_more_than_our_functions(self, function: Any) -> None:
        with pytest.raises(ValueError, match=r"^vjp: function="):
            upsample.vjp(function, self.x.astype(np.float64))

    @pytest.mark.parametrize("shape", [(1, 1, 8, 7), (8, 8), ()])
    def test_another_shape(self, shape: tuple[int, ...]) -> None:
        pullback = upsample.vjp(upsample.interpolate, self.x, scale_factor=2)[1]
        with pytest.raises(ValueError, match=r"^vjp: grad_output="):
            pullback(np.ones(shape))

    def test_another_kind(self) -> None:
        pullback = upsample.vjp(upsample.interpolate, self.x, scale_factor=2)[1]
        with pytest.raises(TypeError, match=r"^vjp: grad_output="):
            pullback(np.ones((1, 1, 8, 8), dtype=np.int64))
        with pytest.raises(TypeError, match=r"^vjp: grad_output="):
            pullback([[1.0]])

    def test_what_the_function_refuses(self) -> None:
        with pytest.raises(ValueError, match=r"^interpolate: mode="):
            upsample.vjp(upsample.interpolate, self.x, scale_factor=2, mode="no")
        with pytest.raises(IndexError, match=r"^max_unpool2d: indices"):
            upsample.vjp(upsample.max_unpool2d, self.x, np.full(self.x.shape, 99), 2)
        y = upsample.interpolate(self.x, scale_factor=2)  # and nothing is left behind of a call that failed
        assert y.shape == (1, 1, 8, 8)


def test_the_few_cases_are_there() -> None:
    assert {case.id for case in CASES} >= FEW


class TestForcedEngine:
    """It is demanded of the call, and preferred in its gradient."""

    indices = np.broadcast_to(np.arange(80).reshape(8, 10)[::2, 1::2], (2, 3, 4, 5))

    @pytest.fixture
    def ran(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        """Tasks and the engines that they ran on, one after the other."""
        found, choose = [], dispatch.choose

        def noted(op: str, task: str, plan: Any, x: Any, engine: str | None) -> Any:
            run = choose(op, task, plan, x, engine)
            engine_run = run.args[0] if isinstance(run, partial) else run
            found.append((task, engine_run.__module__.split(".")[2]))
            return run

        monkeypatch.setattr(dispatch, "choose", noted)
        return found

    @pytest.fixture(autouse=True)
    def _needs_numba(self) -> None:
        backends.needs_numba()

    def unpooled(self, dtype: str, engine: str) -> Any:
        x = noise(2, 3, 4, 5).astype(dtype)
        y, pullback = upsample.vjp(upsample.max_unpool2d, x, self.indices, 2, engine=engine)
        return pullback(noise(*y.shape, seed=1).astype(dtype))[0]

    @pytest.mark.parametrize(
        ("dtype", "backward"), [("float32", "cpu"), ("complex64", "cpu"), ("complex128", "portable")]
    )
    def test_its_gradient_runs_there_if_it_can(self, dtype: str, backward: str, ran: list[tuple[str, str]]) -> None:
        got = self.unpooled(dtype, "cpu")
        assert ran == [("unpool", "cpu"), ("unpool.backward", backward)]
        np.testing.assert_array_equal(got, self.unpooled(dtype, "portable"))
        assert ran[-2:] == [("unpool", "portable"), ("unpool.backward", "portable")]

    def test_so_does_the_gradients_gradient(self, ran: list[tuple[str, str]]) -> None:
        options = dict(op="max_unpool2d", xp=np, engine="cpu")
        plan = UnpoolPlan((WindowAxis(8, 4, 2, 2, 0, 1), WindowAxis(10, 5, 2, 2, 0, 1)), False, "last", True, True)
        step = Unpool(**options, plan=plan, every_duplicate=False, argument="indices")
        grad = noise(2, 3, 8, 10).astype(np.complex128)
        _, pullback = upsample.vjp(lambda g: step.pull((self.indices,), g, (True, False))[0], grad)
        pullback(noise(2, 3, 4, 5).astype(np.complex128))
        assert ran == [("unpool.backward", "portable"), ("unpool", "cpu")]

    def test_the_call_itself_raises(self) -> None:
        x = noise(1, 1, 4, 4)
        with pytest.raises(ValueError, match=r"engine='cuda'.*it cannot run"):
            upsample.vjp(upsample.interpolate, x, scale_factor=2, engine="cuda")
        with pytest.raises(ValueError, match=r"engine='cpu'.*it cannot run"):
            upsample.vjp(upsample.conv_transpose2d, x * 1j, x * 1j, engine="cpu")
        assert upsample.explain(upsample.vjp, upsample.interpolate, x, scale_factor=2).op == "interpolate"

    def test_demand_and_preference_differ_in_a_graphs_text(self) -> None:
        assert repr(dispatch.Preferred("cpu")) == "Preferred('cpu')"
        assert dispatch.Preferred("cpu") == "cpu"


@pytest.mark.parametrize("scale", [(1.5, 2.0), [1.5, 2.0], np.asarray((1.5, 2.0))], ids=repr)
def test_factors_and_sizes_that_are_arrays_are_numbers(scale: Any) -> None:
    x = np.arange(12.0).reshape(3, 4)
    output, pullback = upsample.vjp(upsample.resize, x=x, scale=scale, axes=np.asarray((0, 1)))
    (grad,) = pullback(np.ones_like(output))
    np.testing.assert_allclose(grad.sum(), output.size)
