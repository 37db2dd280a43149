"""Cache the machine code of kernels on disk; without a writable folder, compile in memory.

Each compiled signature is one file: a header, a digest, and Numba's own serialized form. Folders are tried in order, as
`folders` says. A folder that cannot be written, a full disk, or a file that is cut short, damaged or written by other
code never raises: the kernel is compiled anew, and `problems` says why. Nothing is kept in site-packages, because pip
would leave it there, and a folder that it leaves can still be imported.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numba
from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from upsample import environment
from upsample.engines import cpu

__all__ = ["SUFFIX", "KernelCache", "compiled", "contents", "folders", "has_room", "problems"]

SUFFIX = ".kernel"
_MAGIC = b"upsample kernel\n"
_HEADER = len(_MAGIC) + 64
"""Bytes before the index: the magic text, the digest of the sources, and the digest of the index."""
_VARIABLE = "UPSAMPLE_CACHE_DIR"
_LARGE = 1 << 18
"""Bytes of a large kernel."""

_LOG = logging.getLogger("upsample")
_problems: dict[str, None] = {}
_compiled: list[str] = []


def compiled() -> int:
    """Return how many kernels this process has compiled itself, because no folder had them."""
    return len(_compiled)


def problems() -> tuple[str, ...]:
    """Return in words what went wrong with kernels on disk in this process, each thing once."""
    return tuple(_problems)


def _note(problem: str) -> None:
    if problem not in _problems:
        _problems[problem] = None
        _LOG.info("%s", problem)


def _candidates() -> list[Path]:
    """The folders that may hold kernels, in the order of preference; relative ones are not taken."""
    user = str(AppDirs(appname="upsample", appauthor=False).user_cache_dir)
    told = (os.environ.get(_VARIABLE, ""), str(numba.config.CACHE_DIR or ""), user)
    own = _folder_name()
    paths = [Path(os.path.expanduser(path)) / own for path in told if path]
    if told[0] and not paths[0].is_absolute():
        environment.ignore(_VARIABLE, told[0], "it must be an absolute path of a folder")
    return [path for path in paths if path.is_absolute()]


def _folder_name() -> str:
    """One folder for each installation, so that two versions never overwrite each other's kernels."""
    place = sys.executable if getattr(sys, "frozen", False) else str(Path(cpu.__file__).parent)
    return f"kernels-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def folders() -> tuple[Path, ...]:
    """Return where kernels are looked for: all folders up to the first that can be written.

    UPSAMPLE_CACHE_DIR comes first, then NUMBA_CACHE_DIR, then the user's cache folder. One that can only be read, such
    as one filled while a container image was built, still serves.
    """
    found = []
    for folder in _candidates():
        found.append(folder)
        if _is_writable(folder):
            break
    return tuple(found)


def has_room() -> bool:
    """Return whether a kernel could be written now; why not is a problem noted."""
    return bool(folders()) and _is_writable(folders()[-1], bytes(_LARGE))


def _is_writable(folder: Path, data: bytes = b"") -> bool:
    """Whether files can be written in a folder, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(data)
    except OSError as error:
        _note(f"kernels are not kept in {folder}: {error.strerror or error}")
        return False
    return True


@lru_cache(maxsize=1)
def stamp() -> bytes:
    """Return a digest of all that this engine's machine code is made of.

    It covers every source file, because a kernel contains functions of other files too. Contents are compared, not
    times: an image of a container keeps no fractions of a second. A frozen program has no sources; then it is the
    program that is compared.
    """
    root = Path(cpu.__file__).parent
    digest = hashlib.sha256(repr((numba.__version__, sys.version)).encode())
    sources = sorted(root.rglob("*.py"))
    for path in sources:
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    if not sources:
        about = os.stat(sys.executable)
        digest.update(repr((about.st_size, about.st_mtime)).encode())
    return digest.digest()


def contents(folder: Path) -> tuple[int, int]:
    """Return how many files of a folder this installation can load, and how many are damaged."""
    usable = damaged = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        data = _read(path)
        if data is not None and _is_whole(data):
            usable += data[len(_MAGIC) : len(_MAGIC) + 32] == stamp()
        else:
            damaged += 1
    return usable, damaged


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _is_whole(data: bytes) -> bool:
    return data.startswith(_MAGIC) and hashlib.sha256(data[_HEADER:]).digest() == data[_HEADER - 32 : _HEADER]


class KernelCache(FunctionCache):  # type: ignore[misc]
    """What Numba asks for a kernel's machine code before it compiles, and hands the machine code to afterwards."""

    def __init__(self, py_func: Callable[..., Any]) -> None:  # not Numba's: that one raises where it finds no folder
        self._py_func = py_func
        self._name = repr(py_func)
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        """Where the next kernel is written, if anywhere."""
        return str(folders()[-1]) if folders() else None

    def flush(self) -> None:
        """Forget nothing: files that are out of date are overwritten."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return a kernel from disk, or None for one that must be compiled."""
        if not self._enabled:
            return None
        rtsys.initialize(target_context)  # not `refresh`: it imports 0.3 s of modules that only compiling needs
        name = self._file(sig, target_context.codegen())
        for folder in folders():
            data = _read(folder / name)
            if data is None:
                continue
            if not _is_whole(data):
                _note(f"{folder / name} is damaged: compiled anew")
            elif data[len(_MAGIC) : len(_MAGIC) + 32] == stamp():
                try:
                    return CompileResult._rebuild(target_context, *pickle.loads(data[_HEADER:]))
                except Exception as error:  # whatever unpickling raises, the kernel can be compiled
                    _note(f"{folder / name} cannot be loaded ({type(error).__name__}: {error}): compiled anew")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a kernel to disk, if there is a folder for it and room."""
        _compiled.append(self._name)
        if not self._enabled or not folders() or data.library.has_dynamic_globals:
            return
        path = folders()[-1] / self._file(sig, data.codegen)
        body = dumps(data._reduce())
        try:
            _write(path, _MAGIC + stamp() + hashlib.sha256(body).digest() + body)
        except OSError as error:
            _note(f"kernels are not kept in {path.parent}: {error.strerror or error}")

    def _file(self, sig: Any, codegen: Any) -> str:
        """A name of its own for each kernel, signature, target and Python."""
        function = self._py_func
        place = (function.__module__, function.__qualname__, function.__code__.co_firstlineno)
        key = repr((sys.implementation.cache_tag, numba.__version__, place, self._index_key(sig, codegen)))
        kernel = ".".join([*function.__module__.split(".")[3:], function.__code__.co_name])
        return f"{kernel}-{hashlib.sha256(key.encode()).hexdigest()[:16]}{SUFFIX}"


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: others may read it meanwhile, or write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{uuid4().hex}.part")  # not `mkstemp`: only its owner may read its files
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
