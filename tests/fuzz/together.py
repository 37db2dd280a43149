"""The same calls from several threads at once, and what each comes to: run as a program, in a process that is fresh.

``python -m fuzz.together`` makes every first call (imports, compiling, tables, layouts) on eight threads together, and
then each call once more on one thread; it fails where bits differ.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import upsample
from fuzz.calls import ENGINES, FUNCTIONS, LAYERS, draw_call, parse
from fuzz.values import evaluate

__all__ = ["Job", "at_once", "jobs"]

THREADS = 8
DEPRECATED = ("upsample.upsample", "upsample.upsample_nearest", "upsample.upsample_bilinear")
"""They warn, and what becomes of a warning is one thing for all threads."""


LARGE = (
    "upsample.interpolate(input=numbers('f4', 2, 3, 200, 240), scale_factor=2, mode='bilinear')",
    "upsample.interpolate(input=numbers('f4', 2, 3, 200, 240), size=(333, 111), mode='bicubic', antialias=True)",
    "upsample.interpolate(input=numbers('f4', 2, 3, 200, 240), scale_factor=3)",
    "upsample.resize(x=numbers('f4', 200, 240, 3), scale=2, axes=(0, 1), mode='cubic')",
    "upsample.max_pool2d(input=numbers('f4', 2, 8, 200, 240), kernel_size=3, stride=2, return_indices=True)",
    "upsample.max_unpool2d(input=numbers('f4', 4, 8, 100, 120), indices=places('i8', 4, 8, 100, 120, top=48000), "
    "kernel_size=2)",
    "upsample.conv_transpose2d(input=numbers('f4', 2, 16, 60, 70), weight=numbers('f4', 16, 8, 4, 4), stride=2)",
    "upsample.chainer.unpooling_2d(x=numbers('f4', 2, 8, 100, 120), ksize=2)",
    "upsample.pixel_shuffle(input=numbers('f4', 2, 16, 100, 120), upscale_factor=2)",
)
"""Calls of several blocks, which the threads of the pool share."""


@dataclass
class Job:
    """A call, its arrays shared by all who make it.

    Attributes
    ----------
    name : str
        The call's text and its engine.
    function : callable
        A function, or a layer.
    given : dict
        The arguments.
    """

    name: str
    function: Any
    given: dict[str, Any]

    def __call__(self) -> tuple[bytes, ...] | str:
        """Return the bits of the results and of the gradients, or the words of the error."""
        try:
            results = self.function(**self.given)
            results = results if isinstance(results, tuple) else (results,)
            taken = self._gradients(results[0])
        except (TypeError, ValueError, IndexError) as error:
            return f"{type(error).__name__}: {error}"
        return tuple(x.tobytes() for x in (*results, *taken))

    def _gradients(self, like: np.ndarray) -> list[np.ndarray]:
        if like.dtype.kind not in "fc":
            return []
        _, pullback = upsample.vjp(self.function, **self.given)
        return [grad for grad in pullback(np.full_like(like, 0.75)) if grad is not None]


def jobs(each: int, dtypes: Sequence[str]) -> list[Job]:
    """Draw so many ordinary calls of every function and layer, on every engine, with arrays of some dtypes."""
    found = []
    for written in LARGE:
        call = parse(written)
        given = {key: evaluate(text) for key, text in call.given.items()}
        found += [Job(f"{call} on {engine}", FUNCTIONS[call.path], {**given, "engine": engine}) for engine in ENGINES]
    for path in (*FUNCTIONS, *LAYERS):
        if path in DEPRECATED:
            continue
        drawn = (draw_call(random.Random(f"{path} {seed}").randrange, path) for seed in range(1000))
        fitting = (call for call, ordinary in drawn if ordinary and _dtypes(str(call)) <= set(dtypes))
        for call in [next(fitting) for _ in range(each)]:
            given = {key: evaluate(text) for key, text in call.given.items()}
            made = {key: evaluate(text) for key, text in call.made.items()}
            for engine in ENGINES:
                if call.is_layer:
                    found.append(Job(f"{call} on {engine}", LAYERS[path](**made, engine=engine), given))
                else:
                    found.append(Job(f"{call} on {engine}", FUNCTIONS[path], {**given, "engine": engine}))
    return found


def _dtypes(written: str) -> set[str]:
    return {
        word
        for word in ("f2", "f4", "f8", "c8", "c16", "i8", "i4", "u1", "i1", "i2", "u8", "?")
        if f"'{word}'" in written
    }


def at_once(work: Sequence[Job]) -> list[list[Any]]:
    """Do all the work on each of eight threads, each from another place on, and return what each came to."""
    results: list[list[Any]] = [[None] * len(work) for _ in range(THREADS)]
    barrier = threading.Barrier(THREADS)

    def run(thread: int) -> None:
        barrier.wait()
        first = 0 if thread % 2 else thread * len(work) // THREADS  # half of them make the very same calls together
        for place in range(len(work)):
            place = (first + place) % len(work)
            try:
                results[thread][place] = work[place]()
            except BaseException as error:
                results[thread][place] = repr(error)

    threads = [threading.Thread(target=run, args=(thread,)) for thread in range(THREADS)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return results


def main() -> None:
    work = jobs(1, ("f4", "i8"))
    together = at_once(work)
    alone = [job() for job in work]
    for place, job in enumerate(work):
        for results in together:
            assert results[place] == alone[place], f"{job.name}: {results[place]!r:.300}, not {alone[place]!r:.300}"
    refused = sum(isinstance(result, str) for result in alone)
    print(f"{len(work)} calls, {refused} refused")


if __name__ == "__main__":
    main()
