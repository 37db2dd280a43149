"""Gradients of every function of this package, for any array library."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, Concatenate, Protocol, TypeVar, overload

from upsample import arrays
from upsample.arrays import Array, ArrayT
from upsample.autograd.tape import DIFFERENTIABLE, Tape, not_differentiable, recording
from upsample.dask_arrays import beside
from upsample.errors import Raw, bad_type, bad_value
from upsample.float_errors import quiet

__all__ = ["Pullback", "vjp"]


Result = TypeVar("Result")
GradT = TypeVar("GradT", bound=Array, covariant=True)


class Pullback(Protocol[GradT]):
    """Takes the gradient of a result back to the arguments; see `vjp`.

    A missing gradient is None; its type is Any, so that callers need no check of a gradient that exists.
    """

    def __call__(self, grad_output: Any, /) -> tuple[GradT | Any, ...]: ...


@overload
def vjp(
    function: Callable[Concatenate[ArrayT, ...], ArrayT],
    x: ArrayT,
    /,
    *args: Any,
    wrt: str | Iterable[str] | None = None,
    **kwargs: Any,
) -> tuple[ArrayT, Pullback[ArrayT]]: ...
@overload
def vjp(
    function: Callable[..., Result], /, *args: Any, wrt: str | Iterable[str] | None = None, **kwargs: Any
) -> tuple[Result, Pullback[Any]]: ...
def vjp(
    function: Callable[..., Any], /, *args: Any, wrt: str | Iterable[str] | None = None, **kwargs: Any
) -> tuple[Any, Pullback[Any]]:
    """Call a function of this package, and return its result and the function that takes gradients back.

    Parameters
    ----------
    function : callable
        A function or layer of this package, of any dialect, or a function that calls only such ones.
    *args : object
        What it is called with.
    wrt : str or iterable of str, optional
        Names of the arguments whose gradients are wanted; None is all of them.
    **kwargs : object
        Arguments by name, except ``out=``, which has no gradient.

    Returns
    -------
    output : array or tuple of two arrays
        What the function returns.
    pullback : callable
        ``pullback(grad_output)`` returns a tuple with one entry for each array argument, positional or keyword, in the
        order of the function's signature: its gradient, of its shape, dtype and library, or None for indices and for
        what is not in `wrt`. `grad_output` has the shape of the output; where that is a pair of maxima and indices,
        that of the maxima, or it is a pair whose second part does not count.

    Raises
    ------
    TypeError
        An argument of integers or bools other than indices, a `wrt` that is no text, or a function that is not
        callable.
    ValueError
        A name in `wrt` that is no array argument, ``out=``, or a function that does more to its arrays than calling
        functions of this package.
    ValueError, TypeError, IndexError
        What the call itself would raise for its arguments.

    See Also
    --------
    upsample.max_unpool2d : ``duplicate_grad=`` says which of several elements for one position have a gradient.

    Notes
    -----
    A gradient is a gather with the geometry of the function transposed, and sums are made in one fixed order: the same
    arguments give the same bits. It runs on the fastest engine that can; ``engine=`` forces one on the function, and in
    the gradient, which may not be among what that engine does, is a preference. The gradient of a complex function is
    torch's, by conjugated factors. Tensors of torch that require gradients need no `vjp`: torch's own autograd follows
    all functions. Under JAX, ``jax.grad`` and ``jax.vjp`` do as well, by differentiating the function themselves:
    there `duplicate_grad` has no say, and the element that was written has the gradient.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.asarray([[[0.0, 10.0]]])
    >>> y, pullback = upsample.vjp(upsample.interpolate, x, scale_factor=2, mode="linear")
    >>> y
    array([[[ 0. ,  2.5,  7.5, 10. ]]])
    >>> pullback(np.asarray([[[1.0, 1.0, 1.0, 0.0]]]))
    (array([[[2., 1.]]]),)
    """
    op = "vjp"
    bound = _bind(op, function, args, kwargs)
    names = _array_names(op, bound)
    wanted = _wanted(op, wrt, names)
    sources = _apart(op, bound, names)
    tape = Tape(op, sources, wanted)
    with recording(tape):
        output = function(*bound.args, **bound.kwargs)
    result = output[0] if isinstance(output, tuple) else output
    _check_path(op, tape, sources, wanted, result)

    @quiet
    def pullback(grad_output: Any) -> tuple[Any, ...]:
        grad = grad_output[0] if isinstance(grad_output, (tuple, list)) and grad_output else grad_output
        xp = arrays.namespace(op, {"output": result, "grad_output": grad})
        found = tape.gradients(result, _checked(op, xp, grad, result))
        return tuple(_finished(xp, found.get(id(x)), x) if name in wanted else None for name, x in sources.items())

    return output, pullback


def _bind(op: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    if not callable(function):
        raise bad_type(op, "function", function, "it cannot be called", "pass a function or a layer of upsample")
    bound = _signature(getattr(function, "forward", function)).bind(*args, **kwargs)
    if bound.arguments.get("out") is not None:
        raise bad_value(op, "out", Raw("<array>"), "a gradient cannot follow out=", "omit out=")
    return bound


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature; that of a function of this package, which takes a while to read, is kept."""
    module = getattr(function, "__module__", None) or ""
    own = module.partition(".")[0] == __name__.partition(".")[0] and inspect.isfunction(function)
    return _kept_signature(function) if own else inspect.signature(function)


@lru_cache(maxsize=128)
def _kept_signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


_NUMBERS = re.compile(r"(?:int|float|None|Sequence|IntOrInts|NumberOrNumbers|[\[\]|, ])+")
"""Annotations of sizes, factors and axes."""


def _array_names(op: str, bound: inspect.BoundArguments) -> dict[str, tuple[str, Any]]:
    """The array arguments: for each name the parameter, and where in it, for ``*args`` and ``**kwargs``.

    Sizes, factors and axes may be arrays, too; the annotations of this package say that they are numbers.
    """
    names: dict[str, tuple[str, Any]] = {}
    for parameter in bound.signature.parameters.values():
        if parameter.name not in bound.arguments or _NUMBERS.fullmatch(str(parameter.annotation)):
            continue
        value = bound.arguments[parameter.name]
        parts: dict[str, tuple[Any, Any]] = {parameter.name: (None, value)}
        if parameter.kind is parameter.VAR_POSITIONAL:
            parts = {f"{parameter.name}[{place}]": (place, item) for place, item in enumerate(value)}
        elif parameter.kind is parameter.VAR_KEYWORD:
            parts = {name: (name, item) for name, item in value.items()}
        names |= {name: (parameter.name, place) for name, (place, item) in parts.items() if _is_array(item)}
    return names


def _is_array(value: object) -> bool:
    """Whether this is an array, and no number: those of no axes are taken for numbers everywhere."""
    return hasattr(value, "dtype") and len(getattr(value, "shape", ())) > 0


def _wanted(op: str, wrt: object, names: Mapping[str, object]) -> set[str]:
    if wrt is None:
        return set(names)
    given: list[object] = [wrt] if isinstance(wrt, str) or not isinstance(wrt, Iterable) else list(wrt)
    for name in given:
        if not isinstance(name, str):
            raise bad_type(op, "wrt", wrt, "it must be names of arguments", "pass a name or a tuple of names")
        if name not in names:
            remedy = f"pass some of {', '.join(names)}" if names else "pass arrays"
            raise bad_value(op, "wrt", name, "no array argument has that name", remedy)
    return {str(name) for name in given}


def _apart(op: str, bound: inspect.BoundArguments, names: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """Return the arrays by name; one that is given twice is copied, so that each stands for one argument."""
    sources: dict[str, Any] = {}
    for name, (parameter, place) in names.items():
        held = bound.arguments[parameter]
        x = held if place is None else held[place]
        if any(x is other for other in sources.values()):
            x = arrays.copied(arrays.namespace(op, {name: x}), x)
            if place is None:
                bound.arguments[parameter] = x
            elif isinstance(held, tuple):
                bound.arguments[parameter] = (*held[:place], x, *held[place + 1 :])
            else:
                held[place] = x
        sources[name] = x
    return sources


def _check_path(op: str, tape: Tape, sources: dict[str, Any], wanted: set[str], result: Any) -> None:
    """Raise ValueError where something else than functions of this package was done to the arrays.

    TypeError if no array has a gradient, and the function used only others made of them, or its result has none either.
    """
    floating = [name for name in wanted if arrays.dtype_name(sources[name]) in DIFFERENTIABLE]
    others = [name for name in sources if name in wanted and not tape.uses(sources[name])]
    if others and not floating and (len(others) == len(wanted) or arrays.dtype_name(result) not in DIFFERENTIABLE):
        raise not_differentiable(op, others[0], sources[others[0]])
    lost = [name for name in floating if not tape.uses(sources[name])]
    if lost or (floating and not tape.made(result)):
        raise bad_value(
            op,
            "function",
            Raw("<function>"),
            "it does more to its arrays than calling functions of upsample, which a gradient cannot follow",
            "call vjp for each of them",
        )


def _checked(op: str, xp: ModuleType, grad: Any, result: Any) -> Any:
    if tuple(grad.shape) != tuple(result.shape):
        rule = f"the output has the shape {tuple(result.shape)}"
        raise bad_value(op, "grad_output", Raw(f"<shape {tuple(grad.shape)}>"), rule, "pass that shape")
    name, made = arrays.dtype_name(grad), arrays.dtype_name(result)
    if name not in DIFFERENTIABLE or (name in arrays.COMPLEX and made not in arrays.COMPLEX):
        raise bad_type(op, "grad_output", Raw(f"<dtype {name}>"), f"the output is {made}", "pass that dtype")
    return arrays.astype(xp, beside(grad, result), result.dtype)


def _finished(xp: ModuleType, grad: Any, x: Any) -> Any:
    """The gradient in the dtype of its argument; zeros where no value of it went into the result."""
    if arrays.dtype_name(x) not in DIFFERENTIABLE:
        return None
    if grad is None:
        return xp.zeros(x.shape, dtype=x.dtype, device=arrays.device_of(x))
    return arrays.astype(xp, grad, x.dtype)
