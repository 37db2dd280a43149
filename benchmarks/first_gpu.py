"""The first ten minutes on a GPU, as one command: ``python -m benchmarks first-gpu FOLDER``.

Six stages, each with a limit of time, 525 seconds at most; each writes its output to ``FOLDER/STAGE.txt``:

- compile: every specialisation, in parallel; registers and stack compared with tests/kernels/resources.json
- smoke: a call of every op by CuPy and torch, in float32 and float16, beside the portable engine
- engine: tests of the engine, of ops and of gradients
- streams: tests of streams, graphs, determinism and arrays past 2^31 elements
- bench: some twenty cases beside torch, cupyx and a copy (bench.json)
- memcheck: every op under compute-sanitizer

It stops after the smoke test if more than twelve calls fail; ``--go-on`` does not. ``--double`` is a dry run on the
double of CuPy (tests/double), of a few kernels, calls and tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

__all__ = ["main", "stages"]

ROOT = Path(__file__).resolve().parents[1]
WRONG = 12
"""Calls of the smoke test that may fail: then the rest still says something."""
SLACK = 8
"""Registers by which a driver's figure may pass the recorded one."""
GRACE = 5.0
"""Seconds of a stage's limit that it has to write its results, once it is interrupted."""
CASES = (
    "nearest-x2-images-float32 or bilinear-x2-images or bicubic-x2-images or bicubic-antialiased-x1/2-photos-float32"
    " or with-indices-2/2-images-float16 or max_unpool-2/2-images-float32 or unchecked"
    " or checked-later or tiny-max_unpool or 3/2/1-backward-images-float32 or conv_transpose-k4s2-512-to-256 or tf32"
    " or conv_transpose-k2s2-32-to-16-float16 or by-its-weight-128-to-64-float16"
    " or conv_transpose-depthwise-k4s2-64-float32 or tiny-bilinear or uncached"
)
"""Benchmarks by parts of their names; ``tests/test_cuda_benchmarks.py`` checks that each part selects one."""


@dataclass(frozen=True)
class Stage:
    """A command, and the seconds it may take."""

    name: str
    seconds: int
    command: tuple[str, ...]


def stages(folder: Path, *, double: bool) -> list[Stage]:
    """Return what runs, in order."""
    python, own = sys.executable, (sys.executable, "-m", "benchmarks.first_gpu")
    tests = [python, "-m", *(["double"] if double else ["pytest", "-q", "-p", "no:cacheprovider"]), "-m", "gpu"]
    parallel = [] if double or not _installed("xdist") else ["-n", "8", "-p", "no:benchmark"]
    some = ["-k", "bicubic-antialias or conv-k4s2"] if double else []
    wide = [] if double else ["tests/ops/test_backends.py", "tests/gradients/test_vjp.py"]
    streams = ["tests/gpu/test_streams.py", *([] if double else [f"tests/gpu/test_{n}.py" for n in OTHERS])]
    bench = [python, "-m", "benchmarks", "run", str(folder / "bench.json"), "--emulated" if double else "--cuda"]
    sanitizer = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    memcheck = [] if double else [sanitizer, "--tool", "memcheck", "--error-exitcode", "9"]
    calls = [python, "-c", "from double.installed import install; install(); from gpu.calls import main; main()"]
    return [
        Stage("compile", 60, (*own, "compile", *(["--double"] if double else []))),
        Stage("smoke", 75, (*own, "smoke", *(["--double"] if double else []))),
        Stage("engine", 100, (*tests, *parallel, "tests/gpu/test_engine.py", *wide, *some)),
        Stage("streams", 90, (*tests, *streams, *(some or ["-k", "not first_calls"]))),
        Stage("bench", 140, (*bench, "-k", CASES)),
        Stage("memcheck", 60, tuple(calls if double else [*memcheck, python, "-m", "gpu.calls"])),
    ]


OTHERS = ("graphs", "determinism", "large")


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def main(folder: Path, *, double: bool, go_on: bool) -> int:
    """Run the stages; return how many failed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = dict(os.environ, PYTHONPATH=path, PYTHONUNBUFFERED="1")
    failed = 0
    for stage in stages(folder, double=double):
        begin, output = time.perf_counter(), folder / f"{stage.name}.txt"
        with output.open("w") as file:
            limit = stage.seconds * (5 if double else 1)
            given: dict[str, Any] = dict(stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
            try:
                status = _finished(subprocess.Popen(stage.command, start_new_session=True, **given), limit)
            except OSError as error:
                status = str(error)
        failed += status != 0
        print(f"== {stage.name}: {status or 'passed'}, {time.perf_counter() - begin:.0f} s", flush=True)
        print("\n".join(output.read_text(errors="replace").splitlines()[-8:]), flush=True)
        if stage.name == "smoke" and status != 0 and not go_on:
            print("the smoke test failed: the other stages are left out (--go-on runs them)")
            break
    return failed


def _finished(process: subprocess.Popen[bytes], seconds: float) -> int | str:
    """Wait so long at most; shortly before, interrupt the process: pytest then writes what it has measured."""
    try:
        return process.wait(seconds - GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return "out of time"
    finally:
        with suppress(ProcessLookupError):  # the processes that it began, too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _prepare(double: bool) -> None:
    if double:
        from double.installed import install

        install()
        from double import torch_cuda

        torch_cuda.install()


def _built(kernel: Any) -> tuple[str, float, int | None, int | None, str | None]:
    """Compile one kernel, in a process of the pool; return its registers and bytes of local memory."""
    from upsample.engines.cuda.runtime.loader import function

    begin = time.perf_counter()
    try:
        import cupy

        cupy.zeros(1)
        attributes = getattr(function(kernel, 0), "attributes", {})
        found = attributes.get("num_regs"), attributes.get("local_size_bytes")
        return str(kernel), time.perf_counter() - begin, *found, None
    except Exception as error:
        return str(kernel), time.perf_counter() - begin, None, None, f"{type(error).__name__}: {str(error)[-300:]}"


def compile_all(*, double: bool) -> int:
    """Compile every specialisation and compare what the driver says of it with what is recorded."""
    from compiler import resources
    from emulator.listing import every

    kernels, recorded, bad, slowest = list(every()), resources.read(), 0, 0.0
    begin = time.perf_counter()
    with get_context("spawn").Pool(1 if double else max(1, (os.cpu_count() or 2) - 2)) as pool:
        made = map(_built, kernels[::40]) if double else pool.imap_unordered(_built, kernels, chunksize=4)
        for name, took, registers, local, error in made:
            slowest = max(slowest, took)
            known = recorded.get(f"CUDA 13, sm_90: {name}")
            more = registers and known and (registers > known.registers + SLACK or (local or 0) > known.stack)
            if error or more:
                bad += 1
                print("COMPILE", name, registers, local, known, error, flush=True)
    print(f"compile: {bad} bad, slowest {slowest:.1f} s, {time.perf_counter() - begin:.0f} s in all", flush=True)
    return bad


def smoke(*, double: bool) -> int:
    """Make each call by itself and compare it with the portable engine; return how many were wrong."""
    import backends
    import tolerances
    from gpu.calls import CALLS
    from gpu.test_engine import as_dtype

    wrong = 0
    for name in ("cupy", "torch-cuda"):
        made = backends.get(name)
        for dtype in ("float32", "float16"):
            begin, bad, calls = time.perf_counter(), 0, CALLS[::7] if double else CALLS
            for call in calls:
                given = tuple(as_dtype(a, dtype) for a in call.arrays)
                try:
                    got = call.on(tuple(map(made.make, given)), "cuda")
                    for g, w in zip(got, call.on(given, "portable"), strict=True):
                        tolerances.assert_close(made.back(g), w, call.exact, margin=4.0)
                except Exception as error:
                    bad += 1
                    print("SMOKE", name, dtype, call.id, type(error).__name__, str(error)[:300], flush=True)
                    if bad == 1:
                        traceback.print_exc()
            wrong += bad
            took = time.perf_counter() - begin
            print(f"smoke {name} {dtype}: {len(calls) - bad} right, {bad} wrong, {took:.0f} s", flush=True)
    return wrong


def _stage(arguments: Sequence[str]) -> int:
    double = "--double" in arguments
    _prepare(double)
    if arguments[0] == "compile":
        return int(compile_all(double=double) > 0)
    return int(smoke(double=double) > (0 if double else WRONG))


if __name__ == "__main__":
    sys.exit(_stage(sys.argv[1:]))
