"""The kernels' tests once more in processes under the sanitizers, which end a process at the first fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulator import build, preloaded

HERE = Path(__file__).parent


def check(sanitizer: str, files: list[Path], chosen: str) -> None:
    """Run tests in a process of its own; a run without any test that passes fails, too."""
    why = build.missing()
    if why is not None:
        pytest.skip(why)
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *map(str, sorted(files))]
    done = preloaded.run(sanitizer, arguments, seconds=600)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
@pytest.mark.parametrize("files", ["resize*", "pool*", "unpool*", "conv_transpose*", "conv", "conv_weight"])
def test_no_fault_is_found(files: str, sanitizer: str) -> None:
    without = " and not torch" if sanitizer == "thread" else ""  # its threads race, or look as if they did
    check(sanitizer, list(HERE.glob(f"test_{files}.py")), "not fault" + without)


def test_no_fault_is_found_by_the_op_tests() -> None:
    check("address", [HERE.parent / "ops" / name for name in ("test_backends.py", "test_dtypes.py")], "emulated")
