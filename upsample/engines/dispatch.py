"""Choose the engine that runs a plan on an array, and explain why the others do not.

The engines are asked in the order fastest first, before anything runs; an exception inside one never makes another
run. ``engine="portable"`` forces one, and raises with its reason where it cannot; in the gradients of such a call it is
`Preferred`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.caches import during_call
from upsample.engines import lazy_compile
from upsample.engines.cpu import support as cpu
from upsample.engines.cuda import repeats
from upsample.engines.cuda import support as cuda
from upsample.engines.cuda.runtime.device import emulated
from upsample.engines.dask import support as dask
from upsample.engines.jax import support as jax
from upsample.errors import bad_type, bad_value
from upsample.float_errors import quiet
from upsample.tensors import layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ENGINES", "Choice", "Engine", "Preferred", "bind", "choose", "explain", "is_plain_call"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A way to carry out plans.

    Attributes
    ----------
    name : str
        As in ``engine=``.
    package : str
        Where its modules are: one an op, imported when it first runs.
    supports : callable
        ``supports(task, plan, array)``: None, or in words why it cannot carry out this plan on this array.
    unusable : callable
        ``unusable()``: None, or in words why it can carry out nothing on this machine.
    adapted : callable
        ``adapted(run, array)``: an op's `run` as it is called with arrays of this kind.
    """

    name: str
    package: str
    supports: Callable[[str, object, Array], str | None]
    unusable: Callable[[], str | None]
    adapted: Callable[[Callable[..., Any], Array], Callable[..., Any]]

    def run(self, task: str, x: Array) -> Callable[..., Any]:
        """Return the function that carries out an op on arrays like `x`."""
        run = partial(_run_call, self.adapted(import_module(f"{self.package}.{task}").run, x))
        layout = layout_of(x)
        return run if layout is None else partial(_run_laid_out, run, layout, x.ndim)

    def bind(self, task: str, plan: object, given: tuple[Array | None, ...]) -> Callable[..., Any]:
        """Return `run` for arrays like those given, without its first two arguments.

        A module that has a function `bind` works out what calls with NumPy arrays have in common; launches on a GPU
        are recorded (`upsample.engines.cuda.repeats`).
        """
        module = import_module(f"{self.package}.{task}")
        if self.name == "cuda":
            xp = arrays.namespace(task, {"input": given[0]})
            if all(x is None or layout_of(x) is None for x in given):
                return repeats.Repeated(task, module.run, xp, plan)
            moved = module.moved(plan, given[0]) if hasattr(module, "moved") else None
            inner = plan if moved is None else moved
            return repeats.RepeatedInLayout(
                task, module.run, xp, inner, moved is not None, lambda *all_: self.run(task, all_[0])(xp, plan, *all_)
            )
        make: Callable[..., Callable[..., Any]] | None = getattr(module, "bind", None)
        return partial(module.run, np, plan) if make is None else make(plan, *given)


def _run_call(run: Callable[..., Any], *given: Any) -> Any:
    """Run an op; tables that the caches have no room for are still made once only."""
    with during_call(apart=False):
        return run(*given)


def _run_laid_out(run: Callable[..., Any], layout: object, ndim: int, *given: Any) -> Any:
    """Run an op, and return new tensors in the memory format of its input, as torch does."""
    taken = [*given, *chain.from_iterable(x for x in given if isinstance(x, tuple))]  # `out` may be two arrays

    def laid_out(made: Any) -> Any:
        is_given = made is None or any(made is x for x in taken) or made.ndim != ndim
        return made if is_given else made.contiguous(memory_format=layout)

    made = run(*given)
    return tuple(map(laid_out, made)) if isinstance(made, tuple) else laid_out(made)


def _anything(_task: str, _plan: object, _x: Array) -> None:
    return None


def _always() -> None:
    return None


def _as_it_is(run: Callable[..., Any], _x: Array) -> Callable[..., Any]:
    return run


ENGINES: tuple[Engine, ...] = (
    Engine("cuda", "upsample.engines.cuda", cuda.supports, cuda.unusable, _as_it_is),
    Engine("cpu", "upsample.engines.cpu", cpu.supports, cpu.unusable, cpu.adapted),
    Engine("dask", "upsample.engines.dask", dask.supports, dask.unusable, _as_it_is),
    Engine("jax", "upsample.engines.jax", jax.supports, jax.unusable, _as_it_is),
    Engine("portable", "upsample.engines.portable", _anything, _always, _as_it_is),
)
_BEFORE_LOADING = Engine("portable", "upsample.engines.portable", _anything, _always, lazy_compile.timed)
"""The portable engine, while it is too early to load the compiled one."""
_BY_NAME: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in ENGINES})


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine that would run, and why each other would not.

    Attributes
    ----------
    op : str
        The operation.
    engine : str
        The engine that would run.
    reasons : mapping of str to str
        For each other engine, why it would not.

    Examples
    --------
    >>> import numpy, upsample
    >>> x = numpy.zeros((1, 1, 2, 2))
    >>> print(upsample.explain(upsample.interpolate, x, scale_factor=2, engine="portable"))
    interpolate runs on the portable engine
      its sums of floats agree with the cpu engine's within a few units in the last place
      not cuda: it takes CuPy arrays and torch CUDA tensors only
      not cpu: ...
    """

    op: str
    engine: str
    reasons: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"{self.op} runs on the {self.engine} engine"]
        if self.engine in ("jax", "portable"):
            lines.append("  its sums of floats agree with the cpu engine's within a few units in the last place")
        return "\n".join(lines + [f"  not {name}: {why}" for name, why in self.reasons.items()])


class Preferred(str):
    """The name of an engine that runs if it supports a call; otherwise the first engine that does runs.

    A user who forces an engine means the function that is called, and cannot know what its gradient is made of.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Preferred({super().__repr__()})"


class Explained(BaseException):
    """Carries a choice out of a call that is only to be explained; no ``except Exception`` may stop it."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice


_explaining: ContextVar[bool] = ContextVar("upsample_explaining", default=False)


def is_plain_call() -> bool:
    """Return whether engines run calls as usual: calls are not only explained, and no emulator runs kernels."""
    return not _explaining.get() and emulated() is None


@contextmanager
def _explaining_block() -> Iterator[None]:
    """Within this block, an op raises `Explained` where it would run."""
    token = _explaining.set(True)
    try:
        yield
    finally:
        _explaining.reset(token)


def choose(op: str, task: str, plan: object, x: Array, engine: str | None) -> Any:
    """Return the `run` of the engine that carries out this plan on this array.

    Raises
    ------
    TypeError
        `engine` is not a string.
    ValueError
        `engine` is no engine, or one that cannot do this.
    """
    return _chosen(op, task, plan, x, engine).run(task, x)


@quiet
def bind(op: str, task: str, plan: object, given: tuple[Any, ...], engine: str | None) -> Callable[..., Any] | None:
    """Return `run` bound to a plan, for repeated calls with arrays like `given`; its first array decides the engine.

    The function takes the arguments of `run` after the namespace and the plan. Arrays must be aligned, and kernels must
    be able to write directly to `out`. The result is None if no engine supports repeated calls with such arrays.
    """
    chosen = _chosen(op, task, plan, given[0], engine)
    return chosen.bind(task, plan, given) if chosen.name == "cuda" or type(given[0]) is np.ndarray else None


def _chosen(op: str, task: str, plan: object, x: Array, engine: str | None) -> Engine:
    if isinstance(engine, Preferred) and _BY_NAME[engine].supports(task, plan, x) is not None:
        engine = None
    if engine is not None:
        chosen = named(op, engine)
        why = chosen.supports(task, plan, x)
        if why is not None:
            raise bad_value(op, "engine", engine, f"it cannot run: {why}", "omit engine= to use one that can")
        reasons = {other.name: "another engine was asked for" for other in ENGINES if other is not chosen}
    elif not _explaining.get() and lazy_compile.is_early(task, plan, x):
        return _BEFORE_LOADING
    else:
        chosen, reasons = _first_that_can(task, plan, x)
    if _explaining.get():
        raise Explained(Choice(op, chosen.name, MappingProxyType(_all_reasons(task, plan, x, chosen, reasons))))
    return chosen


def named(op: str, engine: object) -> Engine:
    """Return the engine of a name; TypeError for no text, ValueError for a name that none has."""
    names = ", ".join(repr(e.name) for e in ENGINES)
    if not isinstance(engine, str):
        raise bad_type(op, "engine", engine, "it must be the name of an engine", f"pass None or one of {names}")
    if engine not in _BY_NAME:
        raise bad_value(op, "engine", engine, "this engine is unknown", f"pass None or one of {names}")
    return _BY_NAME[engine]


def _first_that_can(task: str, plan: object, x: Array) -> tuple[Engine, dict[str, str]]:
    reasons: dict[str, str] = {}
    for engine in ENGINES:
        why = engine.supports(task, plan, x)
        if why is None:
            return engine, reasons
        reasons[engine.name] = why
    raise AssertionError("the portable engine takes everything")


def _all_reasons(task: str, plan: object, x: Array, chosen: Engine, reasons: dict[str, str]) -> dict[str, str]:
    """A reason for every engine but the chosen one, those asked after it included."""
    result = {}
    for engine in ENGINES:
        if engine is not chosen:
            own = engine.supports(task, plan, x)
            result[engine.name] = own or reasons.get(engine.name) or f"the {chosen.name} engine comes first"
    return result


def explain(function: Callable[..., object], *args: object, **kwargs: object) -> Choice:
    """Say which engine would run a call, and why each other would not; nothing is computed.

    Parameters
    ----------
    function : callable
        A function or layer of this package.
    *args, **kwargs : object
        What it would be called with.

    Returns
    -------
    Choice
        `engine`, `reasons`; prints as text.

    Raises
    ------
    TypeError
        `function` is none of this package's ops.
    ValueError, TypeError, IndexError
        What the call itself would raise for its arguments.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.explain(upsample.pixel_shuffle, np.zeros((4, 1, 1)), 2).engine
    'portable'
    """
    remedy = "pass a function or a layer of upsample"
    if not callable(function):
        raise bad_type("explain", "function", function, "it cannot be called", remedy)
    try:
        with _explaining_block():
            function(*args, **kwargs)
    except Explained as explained:
        return explained.choice
    name = getattr(function, "__name__", type(function).__name__)
    raise bad_type("explain", "function", name, "it runs no op", remedy)
