"""The command line: ``upsample demo``, ``compare``, ``pyramid``, ``bench``, ``warmup`` and ``info``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import upsample
from upsample.command_line import pyramid
from upsample.engines.dispatch import ENGINES
from upsample.plans.filters import FILTERS
from upsample.precompile import DTYPES, OPS

__all__ = ["main"]

_EXTRA = {
    "rich": ("rich", "demo"),
    "PIL": ("Pillow", "demo"),
    "matplotlib": ("matplotlib", "demo"),
    "dask": ("Dask", "zarr"),
    "zarr": ("Zarr", "zarr"),
}
"""Modules of single commands, each with its package and the extra that installs the package."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; None is those of the process.

    Returns
    -------
    int
        The exit status: 0; 1 if a result is wrong; 2 for a wrong argument or a missing package; 130 for an interrupt.
    """
    parser = _parser()
    try:
        given = parser.parse_args(argv)
    except SystemExit as stop:  # from argparse: 0 after --help and --version, 2 after an error
        return stop.code if isinstance(stop.code, int) else 2
    if given.command is None:
        parser.print_help(sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal whose encoding lacks the multiplication sign
    if given.command == "info":
        from upsample.command_line.info import info

        return info()
    if given.command == "bench":
        return _bench(given)
    if given.command == "compare":
        return _compare(given)
    if given.command == "pyramid":
        return _pyramid(given)
    if given.command == "resize":
        return _resize(given)
    if given.command == "warmup":
        from upsample.command_line.warmup import warmup

        return warmup(given.op, given.dtype, not given.no_gradients)
    if given.image is not None and os.path.realpath(given.image) == os.path.realpath(given.output):
        print(f"upsample demo: --output {given.output} would overwrite the image", file=sys.stderr)
        return 2
    return _demo(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="upsample", description="Upsampling and its inverses on NumPy, CuPy and others."
    )
    parser.add_argument("--version", action="version", version=f"upsample {upsample.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    about = "run every operation on a photograph, compare it with the float64 reference, and draw a gallery"
    demo = commands.add_parser("demo", help=about, description=about[0].upper() + about[1:] + ".")
    demo.add_argument(
        "image", nargs="?", metavar="IMAGE", help="an image file (default: a photograph that comes with it)"
    )
    demo.add_argument("--output", default="gallery.png", metavar="PNG", help="where the gallery goes (%(default)s)")
    engines = [engine.name for engine in ENGINES]
    demo.add_argument("--engine", choices=engines, help="force an engine (default: the best)")
    about = "resize an image as two libraries do it, and say where the results differ"
    compare = commands.add_parser("compare", help=about, description=about[0].upper() + about[1:] + ".")
    compare.add_argument("a", metavar="A", help="a library and its method, such as pillow:bicubic or torch:area")
    compare.add_argument("b", metavar="B", help="another; any unknown name prints all that there are")
    compare.add_argument(
        "image", nargs="?", metavar="IMAGE", help="an image file (default: a photograph that comes with it)"
    )
    compare.add_argument("--size", type=_size, default=(224, 224), metavar="WxH", help="of the result (224x224)")
    compare.add_argument("--output", metavar="PNG", help="draw both results and their difference there")
    _add_resize(commands)
    about = "measure this machine, CPU or GPU, beside the libraries that are installed"
    bench = commands.add_parser("bench", help=about, description=about[0].upper() + about[1:] + ".")
    bench.add_argument("-k", metavar="WORDS", help='only the cases with all these words, such as "resize uint8"')
    bench.add_argument(
        "--device", choices=["cpu", "cuda"], help="what to measure (default: the GPU where there is one)"
    )
    bench.add_argument("--engine", choices=engines, help="force an engine (default: the best)")
    bench.add_argument("--threads", type=_count, metavar="N", help="CPU threads of everyone (default: all cores)")
    bench.add_argument("--quick", action="store_true", help="one call of next to no data, to see that all works")
    bench.add_argument("--json", metavar="FILE", help="write the figures there, too")
    bench.add_argument("--plot", metavar="FILE", help="draw them there: .png, .svg or .pdf (needs matplotlib)")
    about = "compile kernels now, so that no later call waits for a compiler"
    warm = commands.add_parser("warmup", help=about, description=about[0].upper() + about[1:] + ".")
    warm.add_argument("op", nargs="*", metavar="OP", help=f"some of {', '.join(OPS)} (default: all)")
    warm.add_argument(
        "--dtype", action="append", metavar="DTYPE", help=f"can be given again (default: {' and '.join(DTYPES)})"
    )
    warm.add_argument("--no-gradients", action="store_true", help="leave the kernels of gradients out")
    pyramid.add_parser(commands)
    about = "print versions, devices and engines"
    commands.add_parser("info", help=about, description=about[0].upper() + about[1:] + ".")
    return parser


def _add_resize(commands: Any) -> None:
    """Add the command ``resize``."""
    about = "resize a picture file: PNG, JPEG, TIFF and what else Pillow knows"
    resize = commands.add_parser("resize", help=about, description=about[0].upper() + about[1:] + ".")
    resize.add_argument("input", metavar="IN", help="the picture")
    resize.add_argument("output", metavar="OUT", help="where the result goes; the suffix says the format")
    size = resize.add_mutually_exclusive_group(required=True)
    size.add_argument(
        "--size", type=_target, metavar="WxH", help="width and height; 800x and x600 keep the proportions"
    )
    size.add_argument("--scale", type=_factor, metavar="FACTOR", help="instead of a size")
    resize.add_argument("--mode", choices=list(FILTERS), default="cubic", help="the method (%(default)s)")
    resize.add_argument(
        "--antialias",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="widen the filter of linear, cubic and lanczos where the picture shrinks (default: yes)",
    )


def _count(text: str) -> int:
    """Parse a number of threads."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads: pass 1 or more")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    """Parse a width and a height."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: pass width and height, such as 224x224")
    return int(width), int(height)


def _target(text: str) -> tuple[int | None, int | None]:
    """Parse a width and a height, one of which may follow from the proportions."""
    width, cross, height = text.partition("x")
    if not cross or not all(side == "" or (side.isdecimal() and int(side)) for side in (width, height)) or text == "x":
        raise argparse.ArgumentTypeError(f"{text!r} is no size: pass width and height, such as 800x600, 800x or x600")
    return int(width) if width else None, int(height) if height else None


def _factor(text: str) -> float:
    """Parse a positive number."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no factor: pass a positive number, such as 0.5")
    return value


def _resize(given: argparse.Namespace) -> int:
    try:
        from upsample.command_line.resize import Wish, resize
    except ModuleNotFoundError as error:
        return _missing("resize", error, "image")
    width, height = given.size or (None, None)
    return resize(given.input, given.output, Wish(width, height, given.scale, given.mode, given.antialias))


def _bench(given: argparse.Namespace) -> int:
    from upsample.command_line.bench.command import Wish, bench

    return bench(Wish(given.k, given.device, given.engine, given.threads, given.quick, given.json, given.plot))


def _compare(given: argparse.Namespace) -> int:
    try:
        from upsample.command_line.compare import run

        return run(given.a, given.b, given.image, given.size, given.output)
    except ModuleNotFoundError as error:
        return _missing("compare", error)


def _pyramid(given: argparse.Namespace) -> int:
    try:
        return pyramid.pyramid(given)
    except ModuleNotFoundError as error:
        return _missing("pyramid", error)


def _demo(given: argparse.Namespace) -> int:
    if sys.stderr.isatty():
        print("upsample demo: loading …", end="\r", file=sys.stderr, flush=True)
    try:
        from upsample.command_line.demo import demo

        return demo(given.image, given.output, given.engine)
    except ModuleNotFoundError as error:
        return _missing("demo", error)


def _missing(command: str, error: ModuleNotFoundError, extra: str = "") -> int:
    """Name the package that a command lacks; any other missing module is an error of this package."""
    name = (error.name or "").partition(".")[0]
    if name not in _EXTRA:
        raise error
    package, its_extra = _EXTRA[name]
    print(f'upsample {command} needs {package}: pip install "upsample[{extra or its_extra}]"', file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
