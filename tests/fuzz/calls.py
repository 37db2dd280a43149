"""Calls as text: an ordinary one of each public function and layer, of which some arguments are then made hostile."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import upsample
from fuzz import values

__all__ = ["ENGINES", "FUNCTIONS", "LAYERS", "PARAMETERS", "Call", "draw_call", "function_of", "parse"]

ENGINES = ("portable", "cpu") if find_spec("numba") is not None else ("portable",)
"""Those that run NumPy arrays here."""

NO_OPERATIONS = (
    "chainer",
    "compare",
    "explain",
    "get_num_threads",
    "nn",
    "num_threads",
    "set_num_threads",
    "synchronize",
    "vjp",
    "warmup",
)
"""Public names that compute nothing of arrays by themselves."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"upsample.{name}": getattr(upsample, name) for name in upsample.__all__ if name not in NO_OPERATIONS},
    **{f"upsample.chainer.{name}": getattr(upsample.chainer, name) for name in upsample.chainer.__all__},
}
LAYERS: dict[str, Callable[..., Any]] = {
    f"upsample.nn.{name}": getattr(upsample.nn, name)
    for name in upsample.nn.__all__
    if name not in ("IncompatibleKeys", "Layer")
}
PARAMETERS = {
    path: tuple(
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    )
    for path, function in {**FUNCTIONS, **LAYERS}.items()
}
ARRAYS = ("input", "x", "X", "indices", "indexes", "weight", "W", "bias", "b")
"""What parameters for arrays are called."""


Choose = Callable[[int], int]


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes
    ----------
    path : str
        Of the function, or of the layer.
    given : dict
        The text of each argument; of a layer, those that it is called with.
    made : dict
        What a layer is made with.
    """

    path: str
    given: dict[str, str]
    made: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def is_layer(self) -> bool:
        return self.path in LAYERS

    def __str__(self) -> str:
        def one(arguments: dict[str, str]) -> str:
            return f"({', '.join(f'{name}={written}' for name, written in arguments.items())})"

        return self.path + (one(self.made) if self.is_layer else "") + one(self.given)


def parse(written: str) -> Call:
    """Read what `str` of a call wrote."""

    def arguments(node: ast.Call) -> dict[str, str]:
        return {str(keyword.arg): ast.unparse(keyword.value) for keyword in node.keywords}

    node = ast.parse(written, mode="eval").body
    assert isinstance(node, ast.Call), written
    if isinstance(node.func, ast.Call):
        return Call(ast.unparse(node.func.func), arguments(node), arguments(node.func))
    return Call(ast.unparse(node.func), arguments(node))


# --------------------------------------------------------------------------------------------- ordinary calls


class Drawer:
    """Draws parts of a call; `choose` picks a number below the one that it is given."""

    def __init__(self, choose: Choose, path: str) -> None:
        self.choose = choose
        found = re.search(r"(\d)_?d", path)
        self.rank = int(found[1]) if found else 0
        self.seed = 0

    def among(self, *options: Any) -> Any:
        return options[self.choose(len(options))]

    def int(self, low: int, high: int) -> int:
        return low + self.choose(high - low + 1)

    def some(self, low: int, high: int) -> str:
        """One small int, or one for each spatial axis."""
        if self.int(0, 1):
            return str(self.int(low, high))
        return repr(tuple(self.int(low, high) for _ in range(self.rank)))

    def shape(self, low: int = 1, high: int = 5, channels: int = 2, batches: Sequence[int] = (1, 1, 2, 0)) -> tuple:
        return (self.among(*batches), channels, *(self.int(low, high) for _ in range(self.rank)))

    def array(self, shape: Sequence[int], *dtypes: str) -> str:
        self.seed += 1
        return f"numbers({self.among(*dtypes)!r}, {', '.join(map(str, shape))}, seed={self.seed})"

    def unbatched(self, shape: tuple) -> tuple:
        return shape[1:] if self.int(0, 5) == 0 else shape


_FLOATS = ("f4", "f4", "f8", "f2")
_REALS = (*_FLOATS, "i8", "i4", "u1", "i1", "?")
_ANY = (*_REALS, "c8", "c16")
_WHOLE = ("u1", "i1", "u2", "i2", "u4", "i4")
_METHODS = {
    1: ("nearest", "nearest-exact", "area", "linear"),
    2: ("nearest", "nearest-exact", "area", "bilinear", "bicubic", "lanczos"),
    3: ("nearest", "nearest-exact", "area", "trilinear"),
}
_WEIGHTED = ("linear", "cubic", "lanczos", "hamming", "mitchell", "spline2", "spline3", "spline4", "spline5")
_WITHOUT_CORNERS = ("lanczos", "hamming", "mitchell")
_RESIZE_MODES = ("nearest", "nearest-exact", "area", "linear", "cubic", *_WEIGHTED)
_FACTORS = ("1", "0.5", "1.5", "2.0", "2.6", "3", "0.77")


def _interpolation(d: Drawer, name: str) -> dict[str, str]:
    d.rank = 2 if name == "upsample_bilinear" else d.int(1, 3)
    plain = name in ("interpolate", "upsample")
    methods = _METHODS[d.rank] if name == "interpolate" or d.rank != 2 else _METHODS[2][:-1]  # lanczos needs antialias
    mode = d.among(*methods) if plain else "bilinear" if "bilinear" in name else "nearest"
    dtypes = _ANY if "nearest" in mode else (*_FLOATS, "c8", "c16") if mode == "area" else (*_FLOATS, "c8", "u1", "u1")
    call = {"input": d.array(d.shape(), *(_FLOATS if mode in ("linear", "trilinear") else dtypes))}
    if d.int(0, 1):
        call["size"] = d.some(1, 9)
    else:
        each = ", ".join(d.among(*_FACTORS) for _ in range(d.rank))
        call["scale_factor"] = d.among(d.among(*_FACTORS), f"({each},)")
        if name == "interpolate":
            call["recompute_scale_factor"] = d.among("None", "True", "False")
    if plain:
        call["mode"] = repr(mode)
        if mode.endswith(("linear", "bicubic")):
            call["align_corners"] = d.among("None", "True", "False")
    if mode == "lanczos" or (name == "interpolate" and mode in ("bilinear", "bicubic")):
        call["antialias"] = "True" if mode == "lanczos" else d.among("True", "False")
    return call


def _resizing(d: Drawer, _: str) -> dict[str, str]:
    d.rank = d.int(1, 4)
    shape = tuple(d.int(1, 5) for _ in range(d.rank))
    d.rank = count = d.int(1, d.rank)
    left = list(range(len(shape)))
    axes = [left.pop(d.choose(len(left))) for _ in range(count)]
    modes = [d.among(*_RESIZE_MODES) for _ in range(count)]
    if d.int(0, 3):
        modes = modes[:1] * count
    moves = all(mode.startswith("nearest") for mode in modes)
    call = {
        "x": d.array(shape, *(_ANY if moves else (*_FLOATS, "c8", "c16", "u1", *_WHOLE))),
        "axes": repr(tuple(axes)),
    }
    if d.int(0, 1):
        call["shape"] = d.some(1, 9)
    else:
        call["scale"] = d.among(d.among(*_FACTORS), f"({', '.join(d.among(*_FACTORS) for _ in range(count))},)")
    call["mode"] = repr(modes[0] if len(set(modes)) == 1 else tuple(modes))
    if all(mode in _WEIGHTED for mode in modes):
        call["antialias"] = d.among("False", "True")
        if set(modes).isdisjoint(_WITHOUT_CORNERS):
            call["align_corners"] = d.among("False", "True")
    call["cubic_coeff"] = d.among("-0.75", "-0.5", "0.0", "1")
    if d.int(0, 3) == 0:
        call |= _borders(d, call, shape, axes)
    elif d.int(0, 3) == 0:
        call |= {"x": f"nans({call['x']})", "nan": "'omit'"}
    for name in ("shape", "scale", "axes", "box", "offset", "cubic_coeff", "cval"):
        if name in call and d.int(0, 3) == 0:
            call[name] = f"{_scalar(d, call[name])}({call[name]})"
    return call


def _scalar(d: Drawer, written: str) -> str:
    """A NumPy type that takes a value: a scalar's for one number, an array for several."""
    if written.startswith("("):
        return "np.asarray"
    whole = written.lstrip("-").isdecimal()
    return d.among("np.asarray", *(("np.int64", "np.int16") if whole else ("np.float64", "np.float32")))


def _borders(d: Drawer, call: dict[str, str], shape: Sequence[int], axes: Sequence[int]) -> dict[str, str]:
    """Draw the kind of border, and the part of each axis that is resampled."""
    made = {"boundary": repr(d.among("edge", "reflect", "mirror", "wrap", "constant"))}
    if "constant" in made["boundary"]:
        made["cval"] = d.among("0.0", "1", "0.25", "-3", "300")
    if "scale" not in call and d.int(0, 1):
        boxes = tuple((d.among(-1.5, 0, 0.25), shape[a] + d.among(-0.5, 0, 2)) for a in axes)
        made["box"] = repr(boxes if all(low < high for low, high in boxes) else tuple((0, shape[a]) for a in axes))
    if d.int(0, 1):
        made["offset"] = d.among("0", "0.5", "-1.25", "7")
    return made


def _pooling(d: Drawer, name: str) -> dict[str, str]:
    d.rank = d.rank or d.int(1, 3)
    chainer = "pooling" in name
    first, size = ("x", "ksize") if chainer else ("input", "kernel_size")
    shape = d.shape(low=2) if not chainer else d.shape(low=2, batches=(1, 2))
    dtypes = _FLOATS if chainer else _REALS
    call = {first: d.array(shape if chainer else d.unbatched(shape), *dtypes)}
    if "adaptive" in name:
        return {**call, "output_size": d.some(0, 6), "return_indices": d.among("True", "False")}
    call |= {size: d.some(2, 3), "return_indices": d.among("True", "False")}
    if d.int(0, 1):
        call["stride"] = d.some(1, 3)
        call["pad" if chainer else "padding"] = d.some(0, 1)
        call["cover_all" if chainer else "ceil_mode"] = d.among("True", "False")
        if not chainer and d.int(0, 2) == 0:
            call["dilation"] = d.some(1, 2)
    return call


def _unpooling(d: Drawer, name: str) -> dict[str, str]:
    d.rank = d.rank or d.int(1, 3)
    if name.startswith("unpooling"):
        call = {"x": d.array(d.shape(high=3, channels=d.int(0, 2)), *_FLOATS), "ksize": d.some(2, 3)}
        if d.int(0, 1):
            call |= {"stride": d.some(1, 3), "pad": d.some(0, 1)}
        return {**call, "cover_all": d.among("True", "False")}
    index = d.among("i8", "i8", "i4", "u1", "u8", "i2")
    if name == "upsampling_2d":
        shape = d.shape(high=3)
        call = {"x": d.array(shape, *_FLOATS), "indexes": _places(shape, index, 9), "ksize": "3"}
        return {**call, "stride": d.some(1, 3), "pad": d.some(0, 1), "cover_all": d.among("True", "False")}
    rules = {
        "duplicates": repr(d.among("last", "last", "sum", "error")),
        "duplicate_grad": repr(d.among("winner", "all")),
        "check_indices": "True",
        "deterministic": d.among("True", "False"),
    }
    if "error" not in rules["duplicates"]:
        rules["check_indices"] = d.among("True", "True", "False")
    if d.int(0, 1):  # what a pool made
        shape, window = d.unbatched(d.shape(low=3)), (d.int(2, 3), d.int(1, 3), d.int(0, 1))
        made = f"pooled({d.among('f4', 'f8', 'f2', 'i4', 'u1')!r}, {shape}, {d.rank}, {', '.join(map(str, window))})"
        call = {"input": f"{made}[0]", "indices": f"{made}[1].astype({index!r})"}
        call |= dict(zip(("kernel_size", "stride", "padding"), map(str, window), strict=True))
        return {**call, "output_size": repr(shape[-d.rank :]), **rules}
    shape = d.shape(high=3)
    call = {"input": d.array(shape, *_ANY), "indices": _places(shape, index, d.among(3, 5, 9, 27))}
    return {**call, "kernel_size": "3", "stride": d.some(1, 3), **rules}


def _places(shape: Sequence[int], dtype: str, top: int) -> str:
    return f"places({dtype!r}, {', '.join(map(str, shape))}, top={top})"


def _convolution(d: Drawer, name: str) -> dict[str, str]:
    d.rank = d.rank or d.int(1, 3)
    chainer = name.startswith("deconvolution")
    x, w, b = ("x", "W", "b") if chainer else ("input", "weight", "bias")
    groups, inputs, outputs = d.among((1, 2, 2), (1, 1, 3), (2, 2, 1), (2, 4, 2), (1, 9, 5))
    dtype = d.among(*(_FLOATS if chainer else ("f4", "f4", "f8", "f2", "c8", "c16", "i8")))
    shape = d.shape(high=3, channels=inputs)
    call = {
        x: d.array(shape if chainer else d.unbatched(shape), dtype),
        w: d.array((inputs, outputs, *(d.int(1, 3) for _ in range(d.rank))), *(_FLOATS if chainer else (dtype,))),
    }
    if d.int(0, 1):
        call[b] = d.array((groups * outputs,), dtype)
    call |= {"stride": d.some(1, 3), "groups": str(groups)}
    if d.int(0, 1):
        call["dilate" if chainer else "dilation"] = d.some(1, 2)
    if d.int(0, 2) == 0:
        call["pad" if chainer else "padding"] = d.some(0, 1)
    if not chainer and d.int(0, 2) == 0:
        call["output_padding"] = "0"
    return call


def _shuffling(d: Drawer, name: str) -> dict[str, str]:
    x = d.array(d.among((1, 4, 2, 4), (2, 8, 2, 2), (0, 4, 2, 2)), *(_FLOATS if "2" in name else _ANY))
    factor = {"pixel_shuffle": "upscale_factor", "pixel_unshuffle": "downscale_factor"}.get(name, "r")
    return {"input" if name.startswith("pixel") else "X": x, factor: str(d.int(1, 2))}


def _images(d: Drawer, _: str) -> dict[str, str]:
    d.rank = 2
    call = {"x": d.array(d.shape(), "f4"), "output_shape": repr((d.int(1, 7), d.int(1, 7)))}
    return {**call, "mode": repr(d.among("bilinear", "nearest")), "align_corners": d.among("True", "False")}


_MAKERS: tuple[tuple[str, Callable[[Drawer, str], dict[str, str]]], ...] = (
    (r"interpolate|^upsample(_nearest|_bilinear)?$", _interpolation),
    (r"^resize$", _resizing),
    (r"^resize_images$", _images),
    (r"shuffle|depth|space", _shuffling),
    (r"conv", _convolution),
    (r"unpool|upsampling", _unpooling),
    (r"pool", _pooling),
)


def _maker(name: str) -> Callable[[Drawer, str], dict[str, str]]:
    for pattern, make in _MAKERS:
        if re.search(pattern, name):
            return make
    raise AssertionError(f"no call is known of {name}: add one")


def function_of(layer: str) -> str:
    """The function that a layer keeps the arguments of."""
    if layer.startswith("Upsampl"):
        return {"Upsample": "upsample", "UpsamplingNearest2d": "upsample_nearest"}.get(layer, "upsample_bilinear")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", layer).lower()


def _layer(d: Drawer, path: str) -> Call:
    """A function's call, its arguments dealt out between a layer and what it is called with."""
    name = path.rpartition(".")[2]
    call = _maker(function_of(name))(d, function_of(name))
    parameters = PARAMETERS[path]
    if name.startswith("Conv"):
        groups, inputs, outputs = d.among((1, 2, 2), (2, 2, 4), (1, 3, 1))
        call |= {"in_channels": str(inputs), "out_channels": str(outputs), "groups": str(groups), "rng": "0"}
        shape, dtype = d.shape(high=3, channels=inputs), d.among(*_FLOATS)
        call |= {"input": d.array(shape, dtype), "dtype": repr(dtype), "kernel_size": d.some(1, 3)}
        call["bias"] = d.among("True", "False")
    made = {key: text for key, text in call.items() if key in parameters and key != "input"}
    rest = ("input", "indices") if "Unpool" in name else ("input",)
    given = {key: call[key] for key in (*rest, *(["output_size"] if "Unpool" in name else [])) if key in call}
    return Call(path, given, made)


# ---------------------------------------------------------------------------------------------- hostile calls


def draw_call(choose: Choose, path: str) -> tuple[Call, bool]:
    """Draw an ordinary call, some of its arguments changed, left away or added.

    Parameters
    ----------
    choose : callable
        ``choose(n)`` picks a number below `n`.
    path : str
        Of the function or layer.

    Returns
    -------
    call : Call
        The call.
    ordinary : bool
        Whether it is as it was before anything was changed.
    """
    d = Drawer(choose, path)
    call = (
        _layer(d, path) if path in LAYERS else Call(path, _maker(path.rpartition(".")[2])(d, path.rpartition(".")[2]))
    )
    changes = d.among(0, 0, 0, 1, 1, 1, 2, 3)
    for _ in range(changes):
        target = d.among(*PARAMETERS[path], *(call.given if call.is_layer else ()))
        arguments = call.given if target in call.given or not call.is_layer else call.made
        _make_hostile(d, arguments, target)
    unusual = d.int(0, 30)
    if unusual == 0 and call.given:
        del call.given[d.among(*sorted(call.given))]
    elif unusual == 1:
        (call.made if call.is_layer else call.given)["unknown"] = "1"
    return call, not changes and unusual > 1


def _make_hostile(d: Drawer, arguments: dict[str, str], target: str) -> None:
    if target in ARRAYS and ("numbers" in arguments.get(target, "") or "places" in arguments.get(target, "")):
        if d.int(0, 9):
            arguments[target] = f"{d.among(*values.CHANGES)}({arguments[target]})"
        else:
            arguments[target] = d.among(*values.OTHERS)
    else:
        arguments[target] = d.among(*d.among(values.EDGES, values.NUMBERS, values.OTHERS))
