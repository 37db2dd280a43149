"""What the loader hands to CuPy, and how it words a compiler's complaint; CuPy is played."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from compiler import nvrtc

from upsample.engines.cuda.runtime import loader
from upsample.engines.cuda.runtime.launch import Kernel, kernel


class Complaint(Exception):
    """CuPy's CompileException."""


class Played:
    """The part of CuPy that the loader asks."""

    def __init__(self, complaint: str | Exception | None) -> None:
        self.complaint, self.asked = complaint, list[dict[str, Any]]()
        self.cuda = SimpleNamespace(
            runtime=SimpleNamespace(getDevice=lambda: 0, runtimeGetVersion=lambda: 13020),
            compiler=SimpleNamespace(CompileException=Complaint),
        )

    def RawModule(self, **given: Any) -> Any:
        self.asked.append(given)
        return SimpleNamespace(get_function=self._function)

    def _function(self, entry: str) -> str:
        if self.complaint is not None:
            raise self.complaint if isinstance(self.complaint, Exception) else Complaint(self.complaint)
        return entry


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(loader, "source", lambda file: f'#line 1 "{file}.cu"\n#include "common.cuh"\nint n = A;\n')
    loader.function.cache_clear()
    return kernel("trial", "entry", B="signed char", A=1)


def played(monkeypatch: pytest.MonkeyPatch, complaint: str | Exception | None) -> Played:
    cupy = Played(complaint)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy


def test_options_are_the_same_for_all_kernels(monkeypatch: pytest.MonkeyPatch, trial: Kernel) -> None:
    """For each new set of options CuPy first compiles an empty file."""
    cupy = played(monkeypatch, None)
    for macros in (dict(A=1), dict(A=2), dict(A=1)):
        assert loader.function(kernel("trial", "entry", **macros), 0) == "entry"
    first, second = cupy.asked
    assert first["options"] == second["options"]
    assert all(isinstance(option, str) for option in first["options"])
    assert [given["code"].splitlines()[0] for given in cupy.asked] == ["#define A 1", "#define A 2"]


def test_macros_come_before_the_file(trial: Kernel) -> None:
    assert loader.text(trial).splitlines()[:3] == ["#define A 1", "#define B signed char", '#line 1 "trial.cu"']


def test_headers_are_part_of_the_options(monkeypatch: pytest.MonkeyPatch, trial: Kernel) -> None:
    """CuPy's key for its files on disk knows only the text and the options."""
    cupy = played(monkeypatch, None)
    loader.function(trial, 0)
    monkeypatch.setattr(loader, "_headers", lambda: "others")
    loader.function.cache_clear()
    loader.function(trial, 0)
    first, second = (given["options"] for given in cupy.asked)
    assert set(first) ^ set(second) == {first[-1], "-DHEADERS_others"}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ('cannot open source file "cuda_bf16.h"', True),
        (RuntimeError('Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file'), True),
        (RuntimeError("Failed to find CUDA headers. Please install them"), True),
        ("expected a ;", False),
    ],
    ids=["headers", "compiler", "all headers", "other"],
)
def test_a_complaint_names_the_kernel(monkeypatch: pytest.MonkeyPatch, trial: Kernel, words: Any, hint: bool) -> None:
    played(monkeypatch, words)
    with pytest.raises(RuntimeError, match=r"the kernel trial\.entry\(A=1, B=signed char\) does not compile") as caught:
        loader.function(trial, 0)
    assert str(words) in str(caught.value)
    assert ('missing: pip install "cupy-cuda13x[ctk]"' in str(caught.value)) is hint


def test_an_error_of_another_kind_is_left_alone(monkeypatch: pytest.MonkeyPatch, trial: Kernel) -> None:
    error = RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory")
    played(monkeypatch, error)
    with pytest.raises(RuntimeError) as caught:
        loader.function(trial, 0)
    assert caught.value is error


@pytest.mark.parametrize("version", nvrtc.VERSIONS)
def test_missing_headers_read_so(version: str) -> None:
    """The compiler's own words, for which the hint looks."""
    why = nvrtc.missing(version)
    if why is not None:
        pytest.skip(why)
    with pytest.raises(RuntimeError, match=r"open source file"):
        nvrtc.compiled_text('#include "no_such.h"\n', "trial", version=version, arch="sm_90")
