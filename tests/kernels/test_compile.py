"""Every specialisation compiles with CUDA 12 and CUDA 13, without a warning, and uses no more than was recorded.

Each compiler does so for one of the architectures that are recorded; ``UPSAMPLE_TEST_ARCHS=sm_75,sm_100`` lets both
compile for these instead, and where nothing is recorded for one, that is all. ``UPSAMPLE_TEST_RECORD=1 pytest
tests/kernels/test_compile.py`` records what is used now: by both compilers for both architectures, or for those named.
"""

from __future__ import annotations

import os
import time
from itertools import product

import pytest
from compiler import nvrtc, resources
from compiler.resources import Used
from emulator.build import FOLDER
from emulator.listing import every, listed

from upsample.engines.cuda.runtime.launch import kernel
from upsample.engines.cuda.runtime.loader import source

RECORDED = ("sm_75", "sm_90")
ASKED = tuple(filter(None, os.environ.get("UPSAMPLE_TEST_ARCHS", "").split(",")))
RECORD = bool(os.environ.get("UPSAMPLE_TEST_RECORD"))
PAIRS = tuple(
    product(nvrtc.VERSIONS, ASKED or RECORDED) if ASKED or RECORD else zip(nvrtc.VERSIONS, RECORDED, strict=True)
)
"""Compilers and architectures: on every run the older for the older, and the newer for the newer."""
FILES = sorted(path.stem for path in FOLDER.glob("*.cu"))

TRIAL = """
extern "C" __global__ void __launch_bounds__(1024) {0}(float* y, int n) {{
  float kept[{1}];
#pragma unroll
  for (int i = 0; i < {1}; ++i) kept[i] = y[i * n + threadIdx.x];
  for (int k = 0; k < n; ++k) {{
#pragma unroll
    for (int i = 0; i < {1}; ++i) kept[i] = kept[(i * 7 + 1) % {1}] * kept[i] + y[k];
  }}
#pragma unroll
  for (int i = 0; i < {1}; ++i) y[i * n + threadIdx.x] = kept[i];
}}
"""
"""1024 threads leave each 64 registers."""


@pytest.fixture(params=nvrtc.VERSIONS, ids=lambda version: f"CUDA {version}")
def version(request: pytest.FixtureRequest) -> str:
    why = nvrtc.missing(request.param)
    if why is not None:
        pytest.skip(why)
    return str(request.param)


@pytest.mark.parametrize(("version", "arch"), PAIRS, indirect=["version"], ids=lambda name: name)
@pytest.mark.parametrize("file", FILES)
def test_every_specialisation_compiles_within_what_was_recorded(file: str, version: str, arch: str) -> None:
    begin = time.perf_counter()
    now = resources.measured(listed(file), version=version, arch=arch)
    print(f"{len(now)} kernels in {time.perf_counter() - begin:.1f} s")
    names = {k: resources.name(k, version=version, arch=arch) for k in now}
    before = resources.read()
    if RECORD:
        known = {str(k) for k in every()}
        kept = {key: used for key, used in before.items() if key.split(": ", 1)[1] in known}
        compilers = {v: nvrtc.release(v) for v in nvrtc.VERSIONS if nvrtc.missing(v) is None}
        resources.write(kept | {names[k]: used for k, used in now.items()}, compilers)
        return
    if arch not in RECORDED and not any(key.startswith(f"CUDA {version}, {arch}: ") for key in before):
        return
    worse = [f"{k}: {why}" for k, used in now.items() if (why := resources.complaint(used, before.get(names[k])))]
    remedy = f"by NVRTC {nvrtc.release(version)}; if it is wanted: UPSAMPLE_TEST_RECORD=1 pytest {__file__}"
    assert not worse, "\n".join([*worse, remedy])


@pytest.mark.parametrize("file", FILES)
def test_compiles_alone_with_default_macros(file: str, version: str) -> None:
    made = nvrtc.compiled(kernel(file, "any"), version=version, arch="sm_90")
    entries = set(resources.used(made.log))  # a macro may choose among the file's
    assert entries
    assert entries <= {k.entry for k in listed(file)}


@pytest.mark.parametrize("file", ["conv_transpose", "conv_weight"])
def test_tensor_core_kernels_compile_for_volta(file: str) -> None:
    """Before sm_75 there is no m16n8k8 for half: the shuffle version is used. CUDA 13 no longer compiles for it."""
    why = nvrtc.missing("12")
    if why is not None:
        pytest.skip(why)
    chosen = [k for k in listed(file) if dict(k.macros)["TENSOR"] == "1"]
    for scalar in ("__half", "__nv_bfloat16", "float"):
        one = next(k for k in chosen if dict(k.macros)["SCALAR"] == scalar)
        assert nvrtc.compiled(one, version="12", arch="sm_70").cubin


def test_nothing_is_recorded_that_is_no_more() -> None:
    assert {key.split(": ", 1)[1] for key in resources.read()} <= {str(k) for k in every()}


def test_registers_stack_and_spills_are_read(version: str) -> None:
    program = TRIAL.format("few", 4) + TRIAL.format("many", 90)
    used = resources.used(nvrtc.compiled_text(program, "trial", version=version, arch="sm_90").log)
    assert set(used) == {"few", "many"}
    assert 8 < used["few"].registers < 64
    assert used["few"][1:] == (0, 0)
    assert used["many"].registers == 64
    assert used["many"].stack > 0
    assert used["many"].spilled > 0


def test_a_warning_fails(version: str) -> None:
    with pytest.raises(RuntimeError, match=r"trial for sm_90.*\n(.*\n)*.*never referenced"):
        nvrtc.compiled_text('extern "C" __global__ void k() { int unused; }', "trial", version=version, arch="sm_90")


def test_an_error_names_the_file_and_the_line(version: str) -> None:
    with pytest.raises(RuntimeError, match=r"trial\.cu\(2\): error"):
        nvrtc.compiled_text('#define A 1\n#line 1 "trial.cu"\n\noops;', "trial", version=version, arch="sm_90")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (Used(32 + resources.ALLOWED, 0, 0), None),
        (Used(16, 0, 0), None),
        (Used(33 + resources.ALLOWED, 0, 0), "37 registers, recorded 32"),
        (Used(32, 8, 0), "8 bytes stack, recorded 0"),
        (Used(32, 8, 4), "8 bytes stack, recorded 0; 4 bytes spilled, recorded 0"),
    ],
    ids=repr,
)
def test_what_counts_as_worse(now: Used, words: str | None) -> None:
    assert resources.complaint(now, Used(32, 0, 0)) == words
    assert resources.complaint(now, None) == "not recorded"


def test_sources_say_their_lines() -> None:
    assert all(source(file).startswith(f'#line 1 "{file}.cu"\n') for file in FILES)
