"""What the compiled engine knows of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest
from backends import needs_numba

needs_numba()


def caches(folder: Path, *stated: tuple[str, str, str]) -> Path:
    for number, texts in enumerate(stated):
        cache = folder / f"index{number}"
        cache.mkdir()
        for name, text in zip(("level", "type", "size"), texts, strict=True):
            (cache / name).write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        ("48K", 48 << 10),
        ("1M", 128 << 10),  # no first-level cache is so large
        ("1K", 8 << 10),
        ("", 32 << 10),
        ("many", 32 << 10),
    ],
)
def test_the_size_of_a_cache(tmp_path: Path, stated: str, size: int) -> None:
    from upsample.engines.cpu.runtime.machine import cache_bytes

    folder = caches(tmp_path, ("1", "Instruction", "64K"), ("1", "Data", stated), ("2", "Unified", "2048K"))
    assert cache_bytes(1, 32 << 10, folder) == size
    assert cache_bytes(2, 1 << 20, folder) == 2 << 20


def test_a_system_that_states_no_cache(tmp_path: Path) -> None:
    from upsample.engines.cpu.runtime.machine import cache_bytes

    (tmp_path / "index0").mkdir()
    assert cache_bytes(2, 1 << 20, tmp_path) == 1 << 20
    assert cache_bytes(2, 1 << 20, tmp_path / "absent") == 1 << 20
