"""Decorators of functions that make plans: they cache plans, and accept sizes that torch.compile leaves open.

An open size is a symbol (``torch.SymInt``). Plans of windows need integer arithmetic, which symbols support. Plans of a
resize need rounded floats, which symbols do not support: with symbols the plan is an `OpenResize`, and the `ResizePlan`
is made when the sizes are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from importlib import import_module
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from upsample.caches import cached
from upsample.plans.resize import ResizePlan
from upsample.tensors import has_symbols, is_symbol, is_traced

__all__ = ["OpenResize", "Resized", "planned", "planned_for_sizes", "planned_later"]

P = ParamSpec("P")
PlanT = TypeVar("PlanT")

_MAKERS: dict[str, Callable[..., ResizePlan]] = {}
"""The functions that `planned_later` decorates, by module and name."""


class Resized(NamedTuple):
    """Which axes a resize changes, and their sizes before and after."""

    axes: tuple[int, ...]
    before: tuple[Any, ...]
    after: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class OpenResize:
    """A `ResizePlan` with sizes that are symbols.

    Attributes
    ----------
    maker : str
        Module and name of the function that makes the plan.
    arguments : tuple
        Arguments of that function.
    sizes : tuple
        A `Resized`.
    is_transposed : bool
        Whether the plan is that of the gradient.
    shift : int
        Number of leading axes that the array has in addition to the axes of the maker's plan.
    """

    maker: str
    arguments: tuple[Any, ...]
    sizes: tuple[tuple[Any, ...], ...]
    is_transposed: bool
    shift: int

    def out_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the shape of the result for an array of `shape`."""
        sizes, resized = list(shape), Resized(*self.sizes)
        for axis, size in zip(resized.axes, resized.before if self.is_transposed else resized.after, strict=True):
            sizes[axis + self.shift] = size
        return tuple(sizes)

    def moved(self, by: int) -> OpenResize:
        """Return the same plan for an array with `by` more leading axes."""
        return replace(self, shift=self.shift + by)

    def transpose(self) -> OpenResize:
        """Return the plan of the gradient."""
        return replace(self, is_transposed=not self.is_transposed)

    def closed(self) -> ResizePlan | OpenResize:
        """Return the plan if all sizes are numbers, else itself."""
        if has_symbols(self.arguments):
            return self
        import_module(self.maker.partition(":")[0])
        plan = _MAKERS[self.maker](*self.arguments).moved(self.shift)
        return plan.transpose() if self.is_transposed else plan


def planned(function: Callable[P, PlanT]) -> Callable[P, PlanT]:
    """Cache the plans of a function that accepts symbols as well as numbers."""
    return _cached_plans(function, function)


def planned_for_sizes(function: Callable[P, PlanT]) -> Callable[P, PlanT]:
    """Cache the plans of a function that accepts numbers only: torch.compile compiles again for other sizes."""
    plan: Any = _cached_plans(function, lambda *args: plan(*_fixed(args)))
    return cast(Callable[P, PlanT], plan)


def planned_later(sizes: Callable[..., Resized]) -> Callable[[Callable[P, ResizePlan]], Callable[P, ResizePlan]]:
    """Cache the plans of a function; with symbols the plan is an `OpenResize` with what `sizes` returns."""

    def decorate(function: Callable[P, ResizePlan]) -> Callable[P, ResizePlan]:
        name = f"{function.__module__}:{function.__qualname__}"
        plan = _cached_plans(function, lambda *args: OpenResize(name, args, tuple(sizes(*args)), False, 0))
        _MAKERS[name] = plan
        return plan

    return decorate


def _cached_plans(function: Callable[P, PlanT], with_symbols: Callable[..., Any]) -> Callable[P, PlanT]:
    cached_plan: Any = cached(function)

    @wraps(function)
    def plan(*args: P.args, **kwargs: P.kwargs) -> PlanT:
        try:
            return cast(PlanT, cached_plan(*(_fixed(args) if is_traced() else args), **kwargs))
        except TypeError:  # symbols have no hash
            if not has_symbols(args):
                raise
        return cast(PlanT, with_symbols(*args, **kwargs))

    return plan


def _fixed(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert sizes that are symbols, or tensors of torch.jit.trace, to numbers."""
    fixed: list[Any] = [
        _fixed(v) if isinstance(v, tuple) else _number(v) if is_symbol(v) else v.item() if _is_tensor(v) else v
        for v in values
    ]
    return tuple(fixed) if type(values) is tuple else type(values)(*fixed)  # a NamedTuple


def _number(symbol: Any) -> int | float:
    return float(symbol) if type(symbol).__name__ == "SymFloat" else int(symbol)


def _is_tensor(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"
