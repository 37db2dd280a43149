"""The command line: ``upsample demo`` and ``upsample info``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import upsample
from upsample.engines.dispatch import ENGINES

__all__ = ["main"]

_EXTRA = {"rich": "rich", "PIL": "Pillow", "matplotlib": "matplotlib", "skimage": "scikit-image"}
"""What only the demo needs: module and package."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; None is the process's own.

    Returns
    -------
    int
        The exit status: 0; 1 where the demo finds a deviation; 2 for arguments at fault or a package that is missing.
    """
    parser = _parser()
    try:
        given = parser.parse_args(argv)
    except SystemExit as stop:  # argparse's own: 0 after --help and --version, 2 after an error
        return stop.code if isinstance(stop.code, int) else 2
    if given.command is None:
        parser.print_help(sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no multiplication sign
    if given.command == "info":
        from upsample.info import info

        return info()
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
        "image", nargs="?", metavar="IMAGE", help="an image file (default: a photograph of scikit-image's)"
    )
    demo.add_argument("--output", default="gallery.png", metavar="PNG", help="where the gallery goes (%(default)s)")
    demo.add_argument(
        "--engine", choices=[engine.name for engine in ENGINES], help="force an engine (default: the best)"
    )
    about = "print versions, devices and engines"
    commands.add_parser("info", help=about, description=about[0].upper() + about[1:] + ".")
    return parser


def _demo(given: argparse.Namespace) -> int:
    try:
        from upsample.demo import demo

        return demo(given.image, given.output, given.engine)
    except ModuleNotFoundError as error:
        missing = _EXTRA.get((error.name or "").partition(".")[0])
        if missing is None:
            raise
        print(f'upsample demo needs {missing}: pip install "upsample[demo]"', file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
