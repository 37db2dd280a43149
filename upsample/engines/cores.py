"""Count the cores that this process may use: affinity, and the CPU quota of a container (cgroups v1 and v2)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["affinity", "quota", "usable"]

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def affinity() -> int:
    """Return the number of cores that this process is allowed to run on."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13; it follows -X cpu_count and PYTHON_CPU_COUNT, too
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable() -> int:
    """Return the number of threads that this process can run at once, at least 1.

    A container with ``--cpus=1.5`` may use the time of one and a half cores: two threads.
    """
    limit = quota(_CGROUPS, _OWN)
    return affinity() if limit is None else max(1, min(affinity(), math.ceil(limit)))


def quota(root: Path, own: Path) -> float | None:
    """Return the smallest CPU quota that holds for this process, in cores, or None for none.

    Parameters
    ----------
    root : Path
        Where cgroups are mounted.
    own : Path
        The file that lists this process's groups, a line each: ``number:controllers:path``.
    """
    found = [cores for folder in _folders(root, own) if (cores := _of_folder(folder)) is not None]
    return min(found, default=None)


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's groups and of all groups around them; a container may see its own as the root."""
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            tops = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [root / controllers, root / "cpu"]
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for top in tops:
            yield from (top / part for part in (inside, *inside.parents))


def _of_folder(folder: Path) -> float | None:
    """A group's own quota in cores: version 2 has one file, version 1 has two."""
    try:
        if (folder / "cpu.max").exists():
            time, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            time = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        cores = float(time) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max": no quota
        return None
    return cores if cores > 0 else None  # -1 is version 1's word for no quota
