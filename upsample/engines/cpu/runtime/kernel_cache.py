"""Cache the machine code of kernels on disk; without a writable folder, compile in memory.

Each compiled signature is one file: a header, a digest, and Numba's own serialized form. `folders` says in which order
folders are tried. A folder that cannot be written, a full disk, or a file that is truncated, damaged or written by
other code never raises: Numba compiles the kernel again, and `problems` says why. No file is written to site-packages,
because pip would not delete it, and Python can still import the folder that remains.
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
    """Return how many kernels this process has compiled because no folder contained them."""
    return len(_compiled)


def problems() -> tuple[str, ...]:
    """Return the problems of this process with kernels on disk, each described once."""
    return tuple(_problems)


def _note(problem: str) -> None:
    if problem not in _problems:
        _problems[problem] = None
        _LOG.info("%s", problem)


def _candidates() -> list[Path]:
    """Return the folders that may contain kernels, in order of preference, without relative ones."""
    user = str(AppDirs(appname="upsample", appauthor=False).user_cache_dir)
    roots = (os.environ.get(_VARIABLE, ""), str(numba.config.CACHE_DIR or ""), user)
    name = _folder_name()
    paths = [Path(os.path.expanduser(path)) / name for path in roots if path]
    if roots[0] and not paths[0].is_absolute():
        environment.ignore(_VARIABLE, roots[0], "it must be an absolute path of a folder")
    return [path for path in paths if path.is_absolute()]


def _folder_name() -> str:
    """Return a name for each installation, so that two versions never overwrite each other's kernels."""
    place = sys.executable if getattr(sys, "frozen", False) else str(Path(cpu.__file__).parent)
    return f"kernels-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=1)
def folders() -> tuple[Path, ...]:
    """Return the folders in which kernels are searched: all candidates up to the first that can be written.

    UPSAMPLE_CACHE_DIR comes first, then NUMBA_CACHE_DIR, then the user's cache folder. A folder that can only be read
    is useful too: a container image may contain one that its build has filled.
    """
    searched = []
    for folder in _candidates():
        searched.append(folder)
        if _is_writable(folder):
            break
    return tuple(searched)


def has_room() -> bool:
    """Return whether a large kernel could be written now; if not, `problems` says why."""
    return bool(folders()) and _is_writable(folders()[-1], bytes(_LARGE))


def _is_writable(folder: Path, data: bytes = b"") -> bool:
    """Tell whether files can be written in a folder; create the folder if it does not exist."""
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
    """Return a digest of the sources of this engine's machine code.

    It covers every source file, because a kernel contains functions of other files too. It covers their contents, not
    their times, because a container image stores no fractions of a second. A frozen program has no sources; then the
    digest covers the size and the time of the program.
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
        if data is not None and _is_intact(data):
            usable += data[len(_MAGIC) : len(_MAGIC) + 32] == stamp()
        else:
            damaged += 1
    return usable, damaged


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _is_intact(data: bytes) -> bool:
    return data.startswith(_MAGIC) and hashlib.sha256(data[_HEADER:]).digest() == data[_HEADER - 32 : _HEADER]


class KernelCache(FunctionCache):  # type: ignore[misc]
    """The disk cache of one kernel: Numba loads machine code from it before it compiles, and saves it afterwards."""

    def __init__(self, py_func: Callable[..., Any]) -> None:  # does not call Numba's, which raises without a folder
        self._py_func = py_func
        self._name = repr(py_func)
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        """The folder to which the next kernel is written, or None."""
        return str(folders()[-1]) if folders() else None

    def flush(self) -> None:
        """Do nothing: `save_overload` overwrites outdated files."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return a kernel from disk, or None if Numba must compile it."""
        if not self._enabled:
            return None
        rtsys.initialize(target_context)  # not `refresh`: it imports 0.3 s of modules that only compiling needs
        name = self._file(sig, target_context.codegen())
        for folder in folders():
            data = _read(folder / name)
            if data is None:
                continue
            if not _is_intact(data):
                _note(f"{folder / name} is damaged: compiled anew")
            elif data[len(_MAGIC) : len(_MAGIC) + 32] == stamp():
                try:
                    return CompileResult._rebuild(target_context, *pickle.loads(data[_HEADER:]))
                except Exception as error:  # unpickling may raise anything; the kernel can be compiled
                    _note(f"{folder / name} cannot be loaded ({type(error).__name__}: {error}): compiled anew")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a kernel to disk, if a folder can be written and has room."""
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
        """Return a file name that is unique for each kernel, signature, target and Python."""
        function = self._py_func
        place = (function.__module__, function.__qualname__, function.__code__.co_firstlineno)
        key = repr((sys.implementation.cache_tag, numba.__version__, place, self._index_key(sig, codegen)))
        kernel = ".".join([*function.__module__.split(".")[3:], function.__code__.co_name])
        return f"{kernel}-{hashlib.sha256(key.encode()).hexdigest()[:16]}{SUFFIX}"


def _write(path: Path, data: bytes) -> None:
    """Write a file atomically, because other processes may read it meanwhile, or write the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{uuid4().hex}.part")  # not `mkstemp`: only its owner may read its files
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
