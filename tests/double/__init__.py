"""A double of CuPy and of torch CUDA tensors, so that the engine's Python for a GPU runs where there is none.

``python -m double tests/gpu -m gpu`` is pytest in a process in which ``import cupy`` is the double: `CupyDevice`, the
loader, DLPack views, streams and nested devices run as on a GPU, and launches run on the emulator (`emulator`).

- `arrays`: ``cupy.ndarray`` on NumPy memory. It is no NumPy array and refuses what CuPy refuses.
- `cuda`: ``cupy.cuda``: two devices, streams, allocators, modules of kernels. `record` has an `Event` for each
  allocation, copy, launch and wait, with the device, the stream and the allocator that were current.
- `memory`: which stream wrote memory last, and whether anything waited for it since. A launch raises `Misuse` where a
  GPU would read too early, from another device, or from a pool that does not know the stream.
- `torch_cuda`: torch tensors on the CPU say that they are on ``cuda:0``, and torch has streams and an allocator.
- `contract` compares each signature with the installed CuPy's; ``test_contract.py`` runs it in an ordinary process.

It cannot see asynchrony itself, a driver's errors, graph capture, or time.
"""
