"""What limited the cases below their goals when they were last measured; ``results/README.md`` shows it.

Measured on 2026-11-21 on two cores of an Intel Xeon at 2.1 GHz, if the text names no other machine. A figure here is a
measurement of that day, not a property of the code: measure again before you rely on one.
"""

from __future__ import annotations

__all__ = ["LIMITS", "PORTABLE_LIMITS"]

_PRODUCTS = (
    "Half of the arithmetic is the input's gradient, half the weight's. A tile of sums in registers adds at 130 to 147 "
    "GF/s a core where all lies in the first-level cache, the most that this processor gives, and at 90 to 125 over a "
    "product; oneDNN's whole backward takes 70 to 110 a core. The input's gradient deals its source out by the stride, "
    "once, and reads the taps there: a fifth of its time, and a third where taps are few. The weight's turns the cells "
    "and reads what the taps meet where it lies, one value at a time; to lay that out for each tap first took up to "
    "three times as long. With few output channels (64→3, 3-D) little is multiplied for each value that is dealt out, "
    "turned and stored."
)
_UNPOOLED = (
    "Every position asks the cells whose windows cover it, eight cells for sixteen positions by one comparison of "
    "vectors: A and B take 1.3 to 1.6 times as long as a copy of as many bytes. Storing past the caches was tried for "
    "out=, by lines and by blocks of 32 and 128 KiB: 1.2 to 1.5 times as long as plain stores, as was scattering. C: "
    "1.2 MB of input and 1.6 MB of result do not fit in one core's second-level cache; one thread copies as much in 85 "
    "to 105 µs, and its half, in the cache, takes 36; a second thread wakes after 40 to 60 µs and was slower, torch's "
    "spin. Asking was tried there and gave nothing, so in results of up to 2 MB cells write where they point. "
    "To load ahead (prefetches, by 256 bytes to 4 KiB, into the first level or past the second) was slower."
)
_PULLED = (
    "Of C one thread reads 2.4 MB out of the third-level cache in 90 to 130 µs; a second one wakes too late to help; "
    "20 µs are Python: pullback, tape, choice of the engine, one Numba call. max_unpool's A and B read every index and "
    "the whole gradient once, at six to seven tenths of a copy's rate."
)
_WRITES = (
    "A result of 100 to 134 MB is written at the speed of memory. Where its pages are new they are cleared first, in 6 "
    "to 20 ms more; to make pages ahead (MADV_POPULATE_WRITE) gained nothing, to keep them did."
)
_WAKES = "C: 6.4 MB at half of a copy's rate; a second thread, which has to wake for it, comes late."
_DOUBLED = (
    "One kernel doubles both axes, rows by way of a ring in the first-level cache: 0.2 to 0.3 ns an output, where only "
    "filling cached memory takes 0.06. B: four rows of 15 KiB are more than it holds; pieces of 8 KiB were 0 to "
    "8 % faster, too little for the code."
)
_STACKED = (
    "The last two axes are one pass, the first another, through the second-level cache. All takes no longer than as "
    "many outputs of bilinear do, so one pass for all three was not made."
)
_BORDERS = "C: two passes by permutations, 0.19 ns (bicubic: 0.3) an output each, and a second thread that has to wake."
_SHORT = "Rows of 14 are shorter than a few vectors, so much of the time goes into starting and ending them."
_ROWS = (
    "Two passes through the second-level cache, rows by permutations of vectors (0.16 ns an output for two taps, 0.22 "
    "for four; gathers took 0.38 and 0.75), columns 0.12 and 0.17. Results of A and B are stored past the caches."
)
_BYTES = "C: rows go eight as one, a column is a vector: 0.3 ns an output; then a second thread has to wake."
_LAST = (
    "Two passes over large results, stretches cut to 8 KiB, stored past the caches. Tried for 64 channels: a ring of "
    "rows, and two outputs of a column at once; neither was faster."
)
_TILES = (
    "A core's peak is 100 to 135 GFLOP/s, as busy as its host is. In one thread tiles, with storing of the result, "
    "reach 110, whole calls 90 to 115: at 256→128 a ratio of 1.3 would take more than two cores have. Weights are laid "
    "out once a call (at 512→256 a tenth of it), cells take a twentieth. OpenBLAS was tried: two products in two "
    "threads reach 140 GFLOP/s before anything is laid out, small ones with shares added up behind them 110. "
    "Winograd's way was not tried, for its rounding."
)
_STORES = (
    "A third is arithmetic; the rest writes the result, every second position at a time. torch's 3-D result takes 9 "
    "ms in one run and 23 in another, ours 4.3 in both."
)
_TINY = (
    "What is left is the look-up of the call (0.6 µs, max_unpool 1), 0.3 µs for each new array, 0.4 µs to see that one "
    "for out= will do, and the kernels' calls, with 0.03 µs for each array that they take."
)
_QUEUE = (
    "NumPy makes a pass over memory for each operation, and between two of them threads queue for the interpreter (one "
    "that had to wait sleeps some 50 µs), so tiles are 4 MiB and two threads give 1.2 to 1.6 times one's speed."
)
_TWICE = f"Samples are repeated by strided copies, two for each axis. {_QUEUE}"
_MATRICES = f"Each axis is a product with small dense blocks, most of whose factors are zeros. {_QUEUE}"
_COMPARED = (
    f"2/2 of A and B: some six passes for each tap. {_QUEUE} Elsewhere values and places are made numbers of 64 bits, "
    "a pass for each tap, and taken apart again; 2/2 of A and B took as long that way, with negative values a fifth "
    "longer. C is made by one thread, in parts that stay in its second-level cache."
)
_SCATTERED = (
    "An assignment by places takes 1.6 to 2 ns a cell, part of it with the interpreter's lock, beside the zeroing, the "
    "check of the indices and, where planes are small, a pass that makes places of them. numpy.put took 3.5 ns; "
    "writing a window's row as one number, shifted by the index, took twice as long as all this. C is made by one "
    "thread, in pieces that stay in its second-level cache; two took half as long again."
)
_SHARES = (
    "BLAS makes the products on all cores, one thread adds the overlaps and writes each phase at its stride. At k4s2 "
    "256→128 the products alone take as long as torch's whole call, the rest nearly as long again, beside BLAS's "
    "threads that spin (alone, 4 ms). Tried: adding on two threads (slower for that), shares with their channels last "
    "(no faster), products over gathered cells instead of added shares (as slow as the product of shares)."
)
LIMITS: dict[str, str] = {
    **{f"{mode} ×2": f"{_WRITES} {_WAKES}" for mode in ("nearest", "nearest-exact")},
    "bilinear ×2": f"{_WRITES} {_DOUBLED} {_BORDERS}",
    "bicubic ×2": f"{_WRITES} {_DOUBLED} {_BORDERS}",
    "bilinear ×1.37": _ROWS,
    "bicubic ×1.37": _ROWS,
    "trilinear ×2": f"{_WRITES} {_STACKED}",
    "area ×1/2": f"C: {_SHORT}",
    "area ×1/4": "Little is left but reading 25 MB: in the cache one thread takes 0.8 ms.",
    **{f"{mode} ×2, channels last C={c}": _LAST for mode in ("nearest", "bilinear", "bicubic") for c in (3, 64)},
    **{f"uint8 {mode} ×2": _BYTES for mode in ("bilinear", "bicubic")},
    "max_pool with indices 2/2": "Indices are two thirds of what is written.",
    "max_pool with indices 3/2/1": (
        "Indices are two thirds of what is written; nine comparisons a cell. C: two rows of 7 are pooled as one "
        "vector, their taps permuted out of two others, by one thread: 230 µs, where gathering them one by one took "
        "400 to 450. Where half of the lanes have no cells (rows of 4), gathering was quicker."
    ),
    "max_unpool 2/2": _UNPOOLED,
    "max_unpool 3/2/1": "As for 2/2.",
    **{
        f"{op} {window}, backward": _PULLED
        for op in ("max_pool with indices", "max_unpool")
        for window in ("2/2", "3/2/1")
    },
    "conv_transpose k2s2 64→64": _STORES,
    "conv_transpose 3-D k2s2 32→16": _STORES,
    "conv_transpose k4s2": _TILES,
    "conv_transpose k3s2": _TILES,
    "conv_transpose depthwise k4s2": "Memory is read once and written once; rows are not shared between outputs.",
    "tiny interpolate": (
        f"{_TINY} To hand tables over together was tried: 0.1 µs less. One kernel for both axes, as for longer rows, "
        "would save bilinear 0.7 µs, but is slower where planes are many, and few must not differ from many in the "
        "last bit."
    ),
    "tiny others": f"{_TINY} max_unpool looks at two arrays and ten arguments, and counts indices that are no good.",
    **{f"conv_transpose {line}, backward": _PRODUCTS for line in ("k2s2 64→64", "3-D k2s2 32→16", "k4s2", "k3s2")},
    **{f"{mode}, backward": f"C: {_SHORT}" for mode in ("nearest ×2", "bilinear ×1.37")},
    "conv_transpose depthwise k4s2, backward": (
        "Loops of our own, no product: the weight's gradient lays out sixteen taps to add up each once."
    ),
}
"""For a line under its goal: what limits it, and what was tried. Written by hand; the report shows it."""

_QUEUE = (
    "NumPy makes a pass over memory for each operation, and between two of them threads queue for the interpreter (one "
    "that had to wait sleeps some 50 µs), so tiles are 4 MiB and two threads give 1.2 to 1.6 times one's speed."
)
_TWICE = f"Samples are repeated by strided copies, two for each axis. {_QUEUE}"
_MATRICES = f"Each axis is a product with small dense blocks, most of whose factors are zeros. {_QUEUE}"
_COMPARED = (
    f"2/2 of A and B: some six passes for each tap. {_QUEUE} Elsewhere values and places are made numbers of 64 bits, "
    "a pass for each tap, and taken apart again; 2/2 of A and B took as long that way, with negative values a fifth "
    "longer. C is made by one thread, in parts that stay in its second-level cache."
)
_SCATTERED = (
    "An assignment by places takes 1.6 to 2 ns a cell, part of it with the interpreter's lock, beside the zeroing, the "
    "check of the indices and, where planes are small, a pass that makes places of them. numpy.put took 3.5 ns; "
    "writing a window's row as one number, shifted by the index, took twice as long as all this. C is made by one "
    "thread, in pieces that stay in its second-level cache; two took half as long again."
)
_SHARES = (
    "BLAS makes the products on all cores, one thread adds the overlaps and writes each phase at its stride. At k4s2 "
    "256→128 the products alone take as long as torch's whole call, the rest nearly as long again, beside BLAS's "
    "threads that spin (alone, 4 ms). Tried: adding on two threads (slower for that), shares with their channels last "
    "(no faster), products over gathered cells instead of added shares (as slow as the product of shares)."
)
PORTABLE_LIMITS: dict[str, str] = {
    **{f"{mode} ×2": _TWICE for mode in ("nearest", "nearest-exact")},
    **{f"{mode} {by}": _MATRICES for mode in ("bilinear", "bicubic") for by in ("×2", "×1.37")},
    **{f"{mode} ×2, channels last C={c}": _MATRICES for mode in ("bilinear", "bicubic") for c in (3, 64)},
    "trilinear ×2": _MATRICES,
    **{
        f"uint8 {mode} ×2": f"Bytes become float32 and back, rounded after each axis. {_QUEUE}"
        for mode in ("bilinear", "bicubic")
    },
    "max_pool with indices 2/2": _COMPARED,
    "max_pool with indices 3/2/1": _COMPARED,
    "max_unpool 2/2": _SCATTERED,
    "max_unpool 3/2/1": _SCATTERED,
    **{f"conv_transpose {line}": _SHARES for line in ("k2s2 64→64", "3-D k2s2 32→16", "k4s2", "k3s2")},
    "conv_transpose depthwise k4s2": f"Sixteen products and sums a cell, each a pass. {_QUEUE}",
}
"""What limits the portable engine, for each of its lines under a goal."""
