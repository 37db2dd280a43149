// Resampling of one axis by its tap table: any filter, any number of taps.
#include "resize.cuh"

#ifndef IN
#define IN float
#endif
#ifndef OUT
#define OUT float
#endif
#ifndef ACC
#define ACC float
#endif

constexpr int THREADS = 256, WARP = 32;
constexpr int ROWS = 4;     // rows that a thread of along_rows sums at once: a weight is read once for all of them
constexpr int COLUMNS = 4;  // likewise the columns of along_columns, a warp apart from one another

struct Rows {
  int64 rows, in_size, out_size;
  int across_log;               // outputs side by side: a power of two
  int chunk, shift;             // of bytes, see `settled`
};

// One place in 32 is left free, so that neighbours two, four … 32 samples apart lie in different banks.
DEVICE int spread(int i) { return i + (i >> 5); }

// x: [rows, in_size] -> y: [rows, out_size]; first, count, base, reach: [out_size]; weight: [taps, out_size].
//
// y[r, o] = sum over t < count[o] of weight[t, o] * x[r, first[o] + t], t ascending.
// A block makes `across` outputs of some rows. It reads the samples that they need, from base[the first] up to
// reach[the last], into shared memory, widened, a chunk at a time: any length of run takes the same memory.
KERNEL(THREADS)
along_rows(const IN* __restrict__ x, OUT* __restrict__ y, const int64* __restrict__ first,
           const int* __restrict__ count, const int64* __restrict__ base, const int64* __restrict__ reach,
           const ACC* __restrict__ weight, const Rows g) {
  DYN_SHARED(ACC, samples);
  const int thread = static_cast<int>(threadIdx.x), across = 1 << g.across_log, column = thread & (across - 1);
  const int group = thread >> g.across_log, held = (THREADS >> g.across_log) * ROWS;
  const int row_step = spread(g.chunk) + 1;
  const int64 row = static_cast<int64>(blockIdx.x) * held;
  const int filled = static_cast<int>(lesser<int64>(held, g.rows - row));
  for (int64 tile = blockIdx.y; tile << g.across_log < g.out_size; tile += gridDim.y) {
    const int64 begin = tile << g.across_log, end = lesser<int64>(begin + across, g.out_size), o = begin + column;
    const int64 low = base[begin], high = reach[end - 1];
    const int64 start = o < end ? first[o] : high;
    const int flags = o < end ? count[o] : 0, taps = flags & TAP_COUNT;
    const ACC* const weights = weight + o;
    ACC total[ROWS] = {};
    for (int64 from = low; from < high; from += g.chunk) {
      const int size = static_cast<int>(lesser<int64>(g.chunk, high - from));
      __syncthreads();  // the chunk before has been summed
      for (int r = thread / WARP; r < filled; r += THREADS / WARP) {
        const IN* const line = x + (row + r) * g.in_size + from;
#pragma unroll 4
        for (int i = thread % WARP; i < size; i += WARP) samples[r * row_step + spread(i)] = widened<ACC>(line[i]);
      }
      __syncthreads();
      const int64 offset = start - from;
      const int upto = static_cast<int>(greater<int64>(lesser<int64>(taps, size - offset), 0));
      const int least = static_cast<int>(lesser<int64>(greater<int64>(-offset, 0), upto));
      const ACC* const mine = samples + group * ROWS * row_step;
      int place = static_cast<int>(offset + least);
      const ACC* w = weights + least * g.out_size;
#pragma unroll 2
      for (int t = least; t < upto; ++t, ++place, w += g.out_size) {
        const ACC* const sample = mine + spread(place);
#pragma unroll
        for (int r = 0; r < ROWS; ++r) total[r] = fused(*w, sample[r * row_step], total[r]);
      }
      if (flags > TAP_COUNT && least < upto) {
        const int places[2] = {static_cast<int>(offset + least), static_cast<int>(offset + upto - 1)};
        const bool again[2] = {(flags & MIXED_FIRST) && least == 0, (flags & MIXED_LAST) && upto == taps};
        for (int side = 0; side < 2; ++side)
          for (int r = 0; r < ROWS; ++r)
            if (again[side]) total[r] = fused(static_cast<ACC>(0), mine[r * row_step + spread(places[side])], total[r]);
      }
    }
    if (o < end)
#pragma unroll
      for (int r = 0; r < ROWS; ++r)
        if (group * ROWS + r < filled)
          y[(row + group * ROWS + r) * g.out_size + o] = narrowed<OUT>(settled(total[r], g.shift));
  }
}

struct Columns {
  int64 outer, in_size, out_size, inner;
  int64 longest;  // weights an output
  int flat, shift;
};

// The sums of N columns, a warp apart, that begin at x.
template <int N>
DEVICE void sum_columns(const IN* __restrict__ x, OUT* __restrict__ y, const ACC* __restrict__ weight, int flags,
                        const Columns& g) {
  const int taps = flags & TAP_COUNT;
  ACC total[N] = {};
#pragma unroll 4
  for (int t = 0; t < taps; ++t) {
    const ACC w = weight[t];
#pragma unroll
    for (int k = 0; k < N; ++k) total[k] = fused(w, widened<ACC>(x[t * g.inner + k * WARP]), total[k]);
  }
  if (flags > TAP_COUNT)
    for (int k = 0; k < N; ++k) {
      const ACC first = widened<ACC>(x[k * WARP]), last = widened<ACC>(x[(taps - 1) * g.inner + k * WARP]);
      if (flags & MIXED_FIRST) total[k] = fused(static_cast<ACC>(0), first, total[k]);
      if (flags & MIXED_LAST) total[k] = fused(static_cast<ACC>(0), last, total[k]);
    }
#pragma unroll
  for (int k = 0; k < N; ++k) y[k * WARP] = narrowed<OUT>(settled(total[k], g.shift));
}

// x: [outer, in_size, inner] -> y: [outer, out_size, inner]; weight: [out_size, longest].
//
// y[a, o, i] = sum over t < count[o] of weight[t, o] * x[a, first[o] + t, i], t ascending: deterministic.
// A warp takes 32 * COLUMNS neighbours of one output and a block eight outputs, whose runs overlap: the first-level
// cache holds them. Where `inner` is less than that (flat), threads lie along [out_size, inner] instead.
KERNEL(THREADS)
along_columns(const IN* __restrict__ x, OUT* __restrict__ y, const int64* __restrict__ first,
              const int* __restrict__ count, const ACC* __restrict__ weight, const Columns g) {
  const int thread = static_cast<int>(threadIdx.x);
  if (g.flat) {
    const int64 e = static_cast<int64>(blockIdx.x) * THREADS + thread;
    if (e >= g.out_size * g.inner) return;
    const int64 o = e >> 32 ? e / g.inner : static_cast<uint32>(e) / static_cast<uint32>(g.inner);
    const int64 from = first[o] * g.inner + (e - o * g.inner);
    for (int64 a = blockIdx.z; a < g.outer; a += gridDim.z)
      sum_columns<1>(x + a * g.in_size * g.inner + from, y + a * g.out_size * g.inner + e,
                     weight + o * g.longest, count[o], g);
    return;
  }
  const int64 i = static_cast<int64>(blockIdx.x) * (WARP * COLUMNS) + thread % WARP;
  for (int64 a = blockIdx.z; a < g.outer; a += gridDim.z)
    for (int64 o = static_cast<int64>(blockIdx.y) * (THREADS / WARP) + thread / WARP; o < g.out_size;
         o += static_cast<int64>(gridDim.y) * (THREADS / WARP)) {
      const IN* const from = x + (a * g.in_size + first[o]) * g.inner + i;
      OUT* const to = y + (a * g.out_size + o) * g.inner + i;
      const ACC* const weights = weight + o * g.longest;
      if (i + (COLUMNS - 1) * WARP < g.inner) {
        sum_columns<COLUMNS>(from, to, weights, count[o], g);
      } else {
        for (int k = 0; k < COLUMNS && i + k * WARP < g.inner; ++k)
          sum_columns<1>(from + k * WARP, to + k * WARP, weights, count[o], g);
      }
    }
}
