"""Runs the CUDA engine on NumPy arrays, where there is no GPU: the very same .cu files, compiled by g++, on the CPU.

- `build` compiles all specialisations of a .cu file into one shared library, each in a namespace of its own, with
  ``include/cuda_on_cpu.h``, which emulates the device: every CUDA thread of a block is a fiber, and a barrier or
  a warp function switches to the next one. half and bfloat16 are NVIDIA's own headers; tensor-core instructions are
  played in the same fragment layout (``include/mma_on_cpu.h``).
- `device.EmulatedDevice` is the engine's device (`engines.cuda.runtime.device.Device`) on that library: from plan to
  launch everything is what runs on a GPU. It checks what cuLaunchKernel does not (how many arguments, their sizes and
  kinds, arrays without gaps, read-only ones), and fills memory with NaN before a kernel writes it.
- `preloaded.run` starts a process under a sanitizer; `listing` knows the specialisations; `faults` are kernels with
  one fault each, by which ``tests/kernels/test_emulator.py`` shows that every line of the table is true.
- `trials` is what the kernels' tests share; `spreads`, what those of transposed convolution do.

    with emulating(EmulatedDevice(order=1)):
        upsample.interpolate(numpy_array, scale_factor=2)

=============================================  ==================================================
Fault                                          Found by
=============================================  ==================================================
access outside an array or of shared memory    address: AddressSanitizer, with the line
misaligned wide access, signed overflow,       address: UBSan, with the line
a float that fits no integer
barrier that not all threads reach, barriers   the scheduler, always, with each thread's line
in two places, a lane outside its mask or gone
launch that no GPU takes                       the launcher, always
missing barrier                                thread: ThreadSanitizer; plain: wrong numbers in
                                               another order of the threads
shared memory that was not written             NaN in the result
blocks that write one place                    thread: ThreadSanitizer alone
=============================================  ==================================================

Switches: ``EmulatedDevice(order=...)`` 0 runs threads and blocks forward, 1 backward, any other number shuffles them;
``index_limit=`` takes the 64-bit kernels on small arrays; ``processors=`` sizes the launches that ask for it;
``fault=(old, new)`` compiles the .cu with one text replaced. ``UPSAMPLE_EMULATOR`` (plain, address, thread) is the
sanitizer of the process, set by `preloaded.run`; ``UPSAMPLE_EMULATOR_CACHE`` is the folder of the libraries, by a
digest of all that goes into one; ``CXX`` is the compiler.

What it cannot see: a read that lands in the wrong place of the right array (hence odd sizes, and numbers that all
differ), locals that are read before they are set, PTX assembly (hence a plain version of each such function, of the
same fragment layout, under ``#ifdef EMULATED``), the order of memory accesses between blocks, and time. The GPU's
own rounding of division, exp and the like is not imitated; sums and products are as IEEE has them, without fused
multiply-adds, with small numbers flushed to zero as CuPy compiles it.
"""
