"""The kernels' tests once more in processes under the sanitizers, which end a process at the first fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulator import build, preloaded

HERE = Path(__file__).parent


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
@pytest.mark.parametrize("op", ["resize", "pool", "unpool", "conv_transpose"])
def test_no_fault_is_found(op: str, sanitizer: str) -> None:
    why = build.missing()
    if why is not None:
        pytest.skip(why)
    files = sorted(str(path) for path in HERE.glob(f"test_{op}*.py"))
    done = preloaded.run(
        sanitizer, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not fault", *files], seconds=600
    )
    assert done.returncode == 0, done.stdout[-4000:]
