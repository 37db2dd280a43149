"""Repeated calls with CuPy arrays and torch tensors: their cache keys, and the replay of their launches.

A call's checks, plan and launches depend on what `key_of` returns and on the other arguments. A repeated call allocates
its results, fills in the addresses and launches. That takes 4 to 8 µs of the host's time for CuPy arrays, 9 to 16 µs
for torch tensors, measured with launches, allocations and waits stubbed (2.6 GHz Zen 4).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from upsample.engines.cuda.runtime.device import CupyDevice, emulating, of
from upsample.engines.cuda.runtime.replay import Program, Recorder, Slot
from upsample.tensors import are_plain_tensors, layout_of

__all__ = ["Repeated", "RepeatedInLayout", "is_apart", "key_of"]

_OUT = {"resize": 1, "pool": 1, "unpool": 2, "conv_transpose": 3}
"""Number of the argument `out` of each op's `run`, after the namespace and the plan."""


def key_of(given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return a key of arrays on a GPU, such that calls with equal keys have equal launches; None if there is none.

    Contiguous arrays have a key, and tensors whose channels are last in memory. A tensor has none if autograd, forward
    mode, a transform, a tracer or autocast is involved, or if its storage was released or is shorter than the tensor.
    """
    kind: Any = type(given[0])
    cupy = sys.modules.get("cupy")
    if cupy is not None and kind is cupy.ndarray:
        return _cupy_key(given, kind)
    torch: Any = sys.modules.get("torch")
    if torch is not None and kind in (torch.Tensor, torch.nn.Parameter):
        return _torch_key(given, torch)
    return None


def _cupy_key(given: tuple[Any, ...], kind: Any) -> tuple[Any, ...] | None:
    parts: list[Any] = [kind]

    for array in given:
        if type(array) is not kind or not array.flags.c_contiguous:
            return None
        data = array.data
        parts += array.shape, array.dtype, data.ptr & 15, data.device_id
    return tuple(parts)


def _torch_key(given: tuple[Any, ...], torch: Any) -> tuple[Any, ...] | None:
    if not given[0].is_cuda or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return None
    if torch.is_autocast_enabled("cuda") or not are_plain_tensors(given):
        return None
    follows = torch.is_grad_enabled()
    parts: list[Any] = [torch.Tensor]
    for x in given:
        if not x.is_cuda or (follows and x.requires_grad):
            return None
        if x.is_conj() or x.is_neg():
            return None
        pointer, storage = x.data_ptr(), x.untyped_storage()
        if pointer + x.nbytes > storage.data_ptr() + storage.nbytes():
            return None
        place = pointer & 15
        if x.is_contiguous():
            parts += x.shape, x.dtype, place, x.device.index
            continue
        layout = layout_of(x)
        if layout is None:
            return None
        parts += x.shape, x.dtype, (layout, place), x.device.index
    return tuple(parts)


def is_apart(out: Any, shape: tuple[int, ...], dtype: Any, given: tuple[Any, ...]) -> bool:
    """Tell whether kernels can certainly write directly to `out`; if False, the caller must check."""
    found = key_of((out,))
    if found is None or found[1:4] != (shape, dtype, 0) or getattr(out, "requires_grad", False):
        return False
    begin, end = _extent(out)
    for x in given:
        first, last = _extent(x)
        if _device(x) != found[4] or (first < end and begin < last):
            return False
    return True


def _address(x: Any) -> int:
    return int(x.data_ptr() if hasattr(x, "data_ptr") else x.data.ptr)


def _extent(x: Any) -> tuple[int, int]:
    """Return the addresses at which a contiguous array begins and ends."""
    begin = _address(x)
    return begin, begin + int(x.nbytes)


def _device(x: Any) -> int:
    return int(x.device.index if hasattr(x, "data_ptr") else x.data.device_id)


class Repeated:
    """An op's `run` for arrays of one key, which records its launches in the first call and replays them later.

    Parameters
    ----------
    task, run : str, callable
        The op's name, and its `run`.
    xp, plan : module, plan
        The first arguments of `run`; the others are those of a call.

    Attributes
    ----------
    recorded : callable or None
        Called once with the tables and scalars of the recorded launches, so that a cache counts their memory.
    """

    def __init__(self, task: str, run: Callable[..., Any], xp: ModuleType, plan: object) -> None:
        self._run, self._xp, self._plan, self.out_place = run, xp, plan, _OUT[task]
        self._play: Callable[..., Any] | None = None
        self.recorded: Callable[[tuple[Any, ...]], None] | None = None

    def __call__(self, *given: Any) -> Any:
        """Run the op; the first call records its launches."""
        if self._play is None:
            self._play = self._recorded(given) or self.plainly
            recorded, self.recorded = self.recorded, None
            play: Any = getattr(self._play, "__self__", None)
            if recorded is not None and isinstance(play, _Replay):
                recorded(play.constants)
        return self._play(*given)

    def plainly(self, *given: Any) -> Any:
        """Run the op without the recording."""
        return self._run(self._xp, self._plan, *given)

    def _recorded(self, given: tuple[Any, ...]) -> Callable[..., Any] | None:
        """Record a call and return a function that replays its launches; None if the call does more than launch."""
        place = self.out_place
        inputs = tuple(x for x in given[:place] if x is not None)
        blank = (None, None) if type(given[place]) is tuple else None
        with of(inputs[0]) as gpu:
            assert isinstance(gpu, CupyDevice)
            recorder = Recorder(gpu, inputs, lambda x: _address(x) & 15)
            try:
                with emulating(recorder):
                    made = self._run(self._xp, self._plan, *given[:place], blank, *given[place + 1 :])
            except Exception:  # the caller then calls `plainly`, which raises the error of the call itself
                return None
            returned = made if isinstance(made, tuple) else (made,)
            if not all(x is None or isinstance(x, Slot) for x in returned):
                return None
            results = [x.place for x in returned if x is not None]
            return _Replay(gpu, recorder.program, len(inputs), results, isinstance(made, tuple), self).play


class RepeatedInLayout(Repeated):
    """`Repeated` for torch tensors, if the channels of at least one are last in memory.

    Parameters
    ----------
    task, run, xp, plan : object
        See `Repeated`; for contiguous tensors.
    moves : bool
        Whether the launches read contiguous views with the channels as last axis; otherwise they read contiguous
        copies.
    whole : callable
        The op's `run` with the namespace and the plan, for tensors of any layout.
    """

    def __init__(
        self, task: str, run: Callable[..., Any], xp: ModuleType, plan: object, moves: bool, whole: Callable[..., Any]
    ) -> None:
        super().__init__(task, run, xp, plan)
        self._moves, self._whole = moves, whole

    def __call__(self, *given: Any) -> Any:
        """Run the op on contiguous tensors; the first call records its launches."""
        place = self.out_place
        out, count, layout = given[place], given[0].ndim, layout_of(given[0])
        if any(x is not None for x in (out if type(out) is tuple else (out,))):
            return self._whole(*given)
        if self._moves:
            made = super().__call__(given[0].permute(0, *range(2, count), 1), *given[1:])
            back = 0, count - 1, *range(1, count - 1)
            if isinstance(made, tuple):
                return tuple(y if y is None else y.permute(back) for y in made)
            return made.permute(back)
        rows = (x if x is None else x.contiguous() for x in given[:place])
        made = super().__call__(*rows, *given[place:])
        several = made if isinstance(made, tuple) else (made,)
        if layout is not None:
            keeps = (y is None or y.ndim != count for y in several)
            several = tuple(
                y if kept else y.contiguous(memory_format=layout) for y, kept in zip(several, keeps, strict=True)
            )
        return several if isinstance(made, tuple) else several[0]


class _Replay:
    """A recorded call on a device."""

    def __init__(
        self, gpu: CupyDevice, program: Program, inputs: int, results: list[int], pair: bool, call: Repeated
    ) -> None:
        self._gpu, self._program, self._call, self._pair = gpu, program, call, pair
        self._results, self._place = results, call.out_place
        self._made = [
            (results.index(number) if number in results else -1, shape, dtype)
            for number, (_, shape, dtype) in enumerate(program.made, inputs)
        ]
        self.constants = tuple(x for step in program.steps for x in step.arguments if x is not None)
        launches = [(gpu.prepared(step.launch), step) for step in program.steps]
        steps = [(run, s.launch.grid, s.launch.block, s.launch.shared, [*s.arguments], s.holes) for run, s in launches]
        waits = program.waits or 0
        self._looks, self._steps = steps[:waits], steps[waits:]

    def play(self, *given: Any) -> Any:
        """Allocate the results and launch, on the arrays' device and stream."""
        return self._gpu.within(self._play, given)

    def _play(self, given: tuple[Any, ...]) -> Any:
        gpu, place, program = self._gpu, self._place, self._program
        if program.raises_found and program.flags is None:
            gpu.flags.raise_found()
        out = given[place]
        outs = out if type(out) is tuple else (out, None)
        memory = [x for x in given[:place] if x is not None]
        for result, shape, dtype in self._made:
            if len(memory) == program.flags:
                memory.append(memory[0])  # `_is_checked` replaces it
            elif result < 0:
                memory.append(gpu.scratch(shape, dtype))
            else:
                own = outs[result]
                memory.append(gpu.fresh(shape, dtype) if own is None else own)
        if program.flags is None:
            self._launch(self._steps, gpu.addresses(memory))
        elif not self._is_checked(program.flags, gpu.addresses(memory)):
            return self._call.plainly(*given)
        made = [memory[number] for number in self._results]
        return (made[0], made[1] if len(made) > 1 else None) if self._pair else made[0]

    def _is_checked(self, flags: int, memory: list[Any]) -> bool:
        """Launch the kernels that check values, wait, and launch the others if no flag is set; tell whether."""
        gpu = self._gpu
        slot = gpu.flags.take()
        memory[flags], found = slot
        try:
            found[0] = found[1] = 0
            self._launch(self._looks, memory)
            gpu.wait()
            if found[0] or found[1]:
                return False
        finally:
            gpu.flags.release(slot)
        gpu.flags.raise_found()
        self._launch(self._steps, memory)
        return True

    @staticmethod
    def _launch(steps: list[Any], memory: list[Any]) -> None:
        for run, grid, block, shared, arguments, holes in steps:
            filled = arguments.copy()
            for place, slot in holes:
                filled[place] = memory[slot]
            run(grid, block, tuple(filled), shared_mem=shared)
