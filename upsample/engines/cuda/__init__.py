"""The CUDA engine: CuPy arrays and torch CUDA tensors, by the hand-written kernels of ``kernels/``.

One module an op, with `run` and with `kernels`, which lists every specialisation that it can launch; `runtime.launch`
says what a launch is, `runtime.device` where it goes, `runtime.loader` compiles.
"""
