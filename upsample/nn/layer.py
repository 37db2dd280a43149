"""The base of every layer: a function with its arguments, and the arrays of the layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import numpy as np

from upsample import arrays
from upsample.arguments import as_tuple, check_dtype, flag
from upsample.engines.dispatch import named as check_engine
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import EngineName

__all__ = ["IncompatibleKeys", "Layer"]

Checked = TypeVar("Checked")

_REAL = arrays.FLOATING | arrays.INTEGER


class IncompatibleKeys(NamedTuple):
    """The names that ``load_state_dict(strict=False)`` ignored, in the form of torch.

    Attributes
    ----------
    missing_keys : list of str
        Names that the layer has and the state lacks: they keep their values.
    unexpected_keys : list of str
        Names that the state has and the layer lacks.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Layer(ABC):
    """A function with its arguments and its arrays; a call of the layer calls `forward`.

    Parameters
    ----------
    engine : str, optional
        Forces an engine.

    Examples
    --------
    >>> import upsample
    >>> isinstance(upsample.nn.PixelShuffle(2), upsample.nn.Layer)
    True
    """

    _kept: ClassVar[tuple[str, ...]] = ()
    """Attributes that are arrays, or None, under torch's names."""

    def __init__(self, *, engine: EngineName | None = None) -> None:
        if engine is not None:
            check_engine(type(self).__name__, engine)
        self.engine = engine

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer on its inputs."""

    def extra_repr(self) -> str:
        """Return the text between the brackets of `repr`."""
        return ""

    def __repr__(self) -> str:
        forced = "" if self.engine is None else f"engine={self.engine!r}"
        return f"{type(self).__name__}({', '.join(filter(None, [self.extra_repr(), forced]))})"

    def state_dict(self) -> dict[str, Any]:
        """Return the arrays of the layer, not copied, by the names of torch.

        Returns
        -------
        dict of str to array
            ``weight`` and ``bias`` of a transposed convolution; empty for other layers.

        Examples
        --------
        >>> import upsample
        >>> list(upsample.nn.ConvTranspose1d(1, 1, 2).state_dict())
        ['weight', 'bias']
        """
        return {name: getattr(self, name) for name in self._kept if getattr(self, name) is not None}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Replace the layer's arrays by copies of others, of any library, dtype and device.

        The layer keeps its own library, dtype and device. If anything is wrong, nothing changes.

        Parameters
        ----------
        state_dict : mapping of str to array
            The result of `state_dict`, or of the torch layer of the same name.
        strict : bool
            Whether the names must be exactly those of the layer.

        Returns
        -------
        IncompatibleKeys
            The ignored names; both lists are empty if `strict`.

        Raises
        ------
        ValueError
            Missing or unexpected names (when `strict`) or shapes that differ; names all of them.
        TypeError
            No mapping, a value that is no array, or complex numbers for a real layer.

        Examples
        --------
        >>> import numpy as np, upsample
        >>> layer = upsample.nn.ConvTranspose1d(1, 1, 2)
        >>> layer.load_state_dict({"weight": np.ones((1, 1, 2)), "bias": np.zeros(1)})
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> layer.weight
        array([[[1., 1.]]], dtype=float32)
        """
        op = f"{type(self).__name__}.load_state_dict"
        if not isinstance(cast(object, state_dict), Mapping):
            rule = "it must be a mapping of names to arrays"
            raise bad_type(op, "state_dict", Raw(f"<{type(state_dict).__name__}>"), rule, "pass a dict")
        own = self.state_dict()
        given = {name: state_dict[name] for name in own if name in state_dict}
        missing = [name for name in own if name not in given]
        unexpected = [str(name) for name in state_dict if name not in own]
        for name, value in given.items():
            arrays.namespace(op, {name: value})  # raises TypeError for other objects
        wrong = [
            f"{name} has shape {tuple(value.shape)} and not {tuple(own[name].shape)}"
            for name, value in given.items()
            if tuple(value.shape) != tuple(own[name].shape)
        ]
        if flag(op, "strict", strict):
            wrong = [
                *(f"{name} is missing" for name in missing),
                *(f"{name} is unexpected" for name in unexpected),
                *wrong,
            ]
        if wrong:
            shown = Raw(f"<{', '.join(map(str, state_dict)) or 'empty'}>")
            wanted = ", ".join(f"{name} {tuple(array.shape)}" for name, array in own.items()) or "an empty mapping"
            raise bad_value(op, "state_dict", shown, ", ".join(wrong), f"pass {wanted}")
        converted = {name: _converted(op, name, value, own[name]) for name, value in given.items()}
        for name, array in converted.items():
            setattr(self, name, array)
        return IncompatibleKeys(missing, unexpected)


def one_or_each(
    op: str,
    argument: str,
    value: object,
    counts: Collection[int],
    check: Callable[[str, str, object], Checked],
    hint: str = "",
) -> Checked | tuple[Checked, ...]:
    """Check one value, or a list or tuple of so many; one stays one, so that `repr` shows it as torch does."""
    entries = as_tuple(value)
    if not isinstance(entries, tuple):
        return check(op, argument, value)
    if len(entries) not in counts:
        remedy = f"pass one number, or a sequence of {' or '.join(map(str, counts))}{hint}"
        raise bad_value(op, argument, value, f"it has {len(entries)} entries", remedy)
    return tuple(check(op, f"{argument}[{i}]", item) for i, item in enumerate(entries))


def _converted(op: str, name: str, value: Any, like: Any) -> Any:
    """A copy of `value` in the library, dtype and device of `like`, followed by autograd if `like` is."""
    source, target = arrays.namespace(op, {name: value}), arrays.namespace(op, {name: like})
    allowed = _REAL | arrays.COMPLEX if arrays.dtype_name(like) in arrays.COMPLEX else _REAL
    check_dtype(op, name, value, allowed, "pass numbers that the layer can hold")
    if arrays.requires_grad(value):
        value = value.detach()
    if source is target is not np and arrays.device_of(value) == arrays.device_of(like):
        copy = target.astype(value, like.dtype, copy=True)
    else:
        copy = arrays.from_table(target, _to_numpy(source, value), like, like.dtype)
    return copy.requires_grad_() if arrays.requires_grad(like) else copy


def _to_numpy(xp: ModuleType, x: Any) -> arrays.Table:
    """A contiguous copy in NumPy, in this machine's byte order; bfloat16, which NumPy itself lacks, as float32."""
    if arrays.dtype_name(x) == "bfloat16":
        x = xp.astype(x, xp.float32)
    name = arrays.library(xp)
    if name == "torch":
        x = x.cpu().resolve_conj().resolve_neg().numpy()
    elif name == "cupy":
        x = x.get()
    return arrays.native_order(np.array(np.asarray(x), order="C"))
