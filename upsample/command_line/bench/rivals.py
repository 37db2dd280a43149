"""Other libraries' calls for the cases; each library is imported only if it is installed and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from upsample.command_line import info
from upsample.command_line.bench.cases import Case
from upsample.command_line.bench.devices import Device
from upsample.command_line.bench.difference import Likeness
from upsample.command_line.bench.pictures import Resizing, opencv, pillow, scikit_image, zoomed

__all__ = ["LIBRARIES", "Rival", "rivals", "taking_part", "versions"]

LIBRARIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "torch": ("torch", ("torch",)),
    "OpenCV": ("cv2", ("opencv-python-headless", "opencv-python", "opencv-contrib-python")),
    "Pillow": ("PIL", ("pillow",)),
    "skimage": ("skimage", ("scikit-image",)),
    "scipy": ("scipy", ("scipy",)),
    "cupyx": ("cupyx", ("cupy-cuda13x", "cupy-cuda12x", "cupy")),
}
"""By the name in the table: the module, and its packages."""

_TORCH_MODES = {"linear": "bilinear", "cubic": "bicubic"}
_OUR_MODES = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


@dataclass(frozen=True, slots=True)
class Rival:
    """The call of another library that does the job of a case.

    Attributes
    ----------
    name : str
        As in `LIBRARIES`.
    call : callable
        Makes a new result.
    likeness : {"exact", "close", "family"}
        How alike its result should be to ours.
    read : callable
        Returns the arrays of a result, in the shapes of ours.
    into : callable, optional
        Writes the result into an array that exists; None if the library cannot.
    """

    name: str
    call: Callable[[], Any]
    likeness: Likeness
    read: Callable[[Any], tuple[Any, ...]]
    into: Callable[[], Any] | None = None


def taking_part(device: str) -> list[str]:
    """Return the rivals that run on a device ("cpu", "cuda"), installed or not."""
    return [name for name in LIBRARIES if name == "torch" or (name == "cupyx") == (device == "cuda")]


def versions(device: str) -> dict[str, str]:
    """Return those of them that are installed, and their versions."""
    found = {}
    for name in taking_part(device):
        module, packages = LIBRARIES[name]
        if find_spec(module) is not None:
            found[name] = next(filter(None, map(info.version_of, packages)), "of unknown version")
    return found


def rivals(case: Case, device: Device, inputs: tuple[Any, ...], options: dict[str, Any]) -> list[Rival]:
    """Return the calls of the installed libraries for a case."""
    found: list[Rival | None] = []
    for name in versions(device.name):
        if name == "torch":
            found.append(_torch(case, device, inputs, options))
        elif name in ("scipy", "cupyx") and not case.gradient:
            found.append(_zoomed(name, case, inputs[0], options))
        elif case.function == "resize":
            found.append(_picture(name, case, inputs[0], options))
    return [rival for rival in found if rival is not None]


def _one(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _torch(case: Case, device: Device, inputs: tuple[Any, ...], options: dict[str, Any]) -> Rival:
    """Return torch's function of the case's name; for `resize`, interpolate through a transposed view."""
    torch = import_module("torch")
    given = tuple(map(device.tensor, inputs))
    if case.function == "resize":
        keys = {"scale_factor": options["scale"], "antialias": options.get("antialias", False)}
        keys["mode"] = _TORCH_MODES.get(options["mode"], options["mode"])
        picture = given[0].movedim(-1, 0)[None]
        call = partial(torch.nn.functional.interpolate, picture, **keys)
        return Rival("torch", call, "close", lambda y: (y[0].movedim(0, -1),))
    call = partial(getattr(torch.nn.functional, case.function), *given, **options)
    if not case.gradient:
        return Rival("torch", call, "close", _one)
    followed = [x.requires_grad_() for x in given if x.is_floating_point()]
    output = _one(call())[0]
    backward = partial(torch.autograd.grad, output, followed, torch.ones_like(output), retain_graph=True)
    return Rival("torch", backward, "close", _one)


def _picture(name: str, case: Case, picture: Any, options: Mapping[str, Any]) -> Rival | None:
    """Return an image library's resize of a picture with channels last."""
    if (name == "Pillow" and case.dtype != "uint8") or (name == "skimage" and case.dtype != "float32"):
        return None  # Pillow has channels in uint8 only; scikit-image converts bytes first
    scale, shape = options["scale"], picture.shape[:2]
    size = tuple(int(n * scale) for n in shape)
    coeff = options.get("cubic_coeff", -0.75)
    how = Resizing(options["mode"], scale, shape, size, options.get("antialias", False), coeff)
    found = {"OpenCV": opencv, "Pillow": pillow, "skimage": scikit_image}[name](how)
    if found is None:
        return None
    given = import_module("PIL.Image").fromarray(picture) if name == "Pillow" else picture
    return Rival(name, partial(found[0], given), found[1], _one)


def _zoomed(name: str, case: Case, x: Any, options: Mapping[str, Any]) -> Rival | None:
    """Return zoom of ``scipy.ndimage``, or of CuPy's port."""
    if case.dtype != "float32" or (name == "scipy" and case.function != "resize"):  # seconds: one photo is enough
        return None
    mode = options.get("mode", "")
    scale = options.get("scale", options.get("scale_factor", 1))
    factors = [scale, scale, 1] if case.function == "resize" else [1, 1, *([scale] * (x.ndim - 2))]
    module = "scipy.ndimage" if name == "scipy" else "cupyx.scipy.ndimage"
    found = zoomed(module, _OUR_MODES.get(mode, mode), factors)
    return None if found is None else Rival(name, partial(found[0], x), found[1], _one)
