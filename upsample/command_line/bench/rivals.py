"""The same jobs by other libraries, each imported only where it is installed and asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from upsample.command_line import info
from upsample.command_line.bench.cases import Case
from upsample.command_line.bench.devices import Device

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


@dataclass(frozen=True, slots=True)
class Rival:
    """Another library's call.

    Attributes
    ----------
    name : str
        As in `LIBRARIES`.
    call : callable
        Makes a new result.
    same : bool
        Whether the result is the same, but for rounding; else it is another kernel of the same name.
    read : callable
        The arrays in a result, shaped as ours.
    """

    name: str
    call: Callable[[], Any]
    same: bool
    read: Callable[[Any], tuple[Any, ...]]


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
    """Return the installed libraries' calls for a case."""
    makers = {"torch": _torch, "OpenCV": _opencv, "Pillow": _pillow, "skimage": _skimage}
    chosen = [makers.get(name, _zoomed) for name in versions(device.name) if name == "torch" or not case.gradient]
    return [rival for make in chosen for rival in make(case, device, inputs, options)]


def _one(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _torch(case: Case, device: Device, inputs: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Rival]:
    """Its function of the same name; `resize` is its interpolate, seen through a transposed view."""
    torch = import_module("torch")
    given = tuple(map(device.tensor, inputs))
    if case.function == "resize":
        keys = {"scale_factor": options["scale"], "antialias": options.get("antialias", False)}
        keys["mode"] = _TORCH_MODES.get(options["mode"], options["mode"])
        picture = given[0].movedim(-1, 0)[None]
        function = torch.nn.functional.interpolate
        yield Rival("torch", lambda: function(picture, **keys), True, lambda y: (y[0].movedim(0, -1),))
        return
    function = getattr(torch.nn.functional, case.function)
    if not case.gradient:
        yield Rival("torch", lambda: function(*given, **options), True, _one)
        return
    followed = [x.requires_grad_() for x in given if x.is_floating_point()]
    output = _one(function(*given, **options))[0]
    grad = torch.ones_like(output)

    def backward() -> Any:
        return torch.autograd.grad(output, followed, grad, retain_graph=True)

    yield Rival("torch", backward, True, _one)


def _opencv(case: Case, device: Device, inputs: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Rival]:
    if case.function != "resize" or options.get("antialias"):
        return
    cv2 = import_module("cv2")
    how = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[options["mode"]]
    scale, image = options["scale"], inputs[0]
    yield Rival("OpenCV", lambda: cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), True, _one)


def _pillow(case: Case, device: Device, inputs: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Rival]:
    """It has channels in uint8 only, always antialiases, and has another cubic where it enlarges."""
    names = {"linear": "BILINEAR", "cubic": "BICUBIC", "lanczos": "LANCZOS"}
    if case.function != "resize" or case.dtype != "uint8":
        return
    module = import_module("PIL.Image")
    picture, how = module.fromarray(inputs[0]), getattr(module.Resampling, names[options["mode"]])
    size = tuple(int(n * options["scale"]) for n in picture.size)
    same = options["mode"] != "cubic" or options.get("cubic_coeff") == -0.5
    yield Rival("Pillow", lambda: picture.resize(size, how), same, _one)


def _skimage(case: Case, device: Device, inputs: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Rival]:
    """Its cubic is a spline with a prefilter, as scipy's and CuPy's are."""
    order = {"linear": 1, "cubic": 3}.get(options.get("mode", ""))
    if case.function != "resize" or case.dtype != "float32" or order is None:
        return
    resize, image = import_module("skimage.transform").resize, inputs[0]
    size = tuple(int(n * options["scale"]) for n in image.shape[:2])
    keys = {"order": order, "mode": "edge", "anti_aliasing": False, "preserve_range": True}
    yield Rival("skimage", lambda: resize(image, size, **keys), order == 1, _one)


def _zoomed(case: Case, device: Device, inputs: tuple[Any, ...], options: dict[str, Any]) -> Iterator[Rival]:
    """scipy.ndimage, and CuPy's ndimage after it: no antialias."""
    order = {"linear": 1, "bilinear": 1, "trilinear": 1, "cubic": 3, "bicubic": 3}.get(options.get("mode", ""))
    scale = options.get("scale", options.get("scale_factor", 1))
    if case.dtype != "float32" or order is None or scale < 1:
        return
    x, on_gpu = inputs[0], device.name == "cuda"
    if not on_gpu and case.function != "resize":  # it takes seconds: a photo is enough
        return
    zoom = import_module("cupyx.scipy.ndimage" if on_gpu else "scipy.ndimage").zoom
    factors = [scale, scale, 1] if case.function == "resize" else [1, 1, *([scale] * (x.ndim - 2))]
    name = "cupyx" if on_gpu else "scipy"
    yield Rival(name, lambda: zoom(x, factors, order=order, mode="nearest", grid_mode=True), order == 1, _one)
