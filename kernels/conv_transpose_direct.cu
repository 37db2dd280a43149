// Transposed convolution of few channels, sum by sum: bound by memory.
#include "conv_transpose.cuh"

#ifndef SCALAR
#define SCALAR float
#endif
#ifndef INDEX
#define INDEX int
#endif
// of the last axis that a thread makes: 2 where the stride is, for results that lie side by side; else 1
#ifndef PHASES
#define PHASES 2
#endif
// whether along the last axis all taps reach the cell before, of the same number or behind
#ifndef NEAR
#define NEAR 1
#endif

using Acc = AccOf<SCALAR>::type;

constexpr int TAPS = 64;
constexpr int RUN = 4;                    // positions of a thread
constexpr int PACK = 16 / sizeof(SCALAR);  // values in 16 bytes
constexpr int LOADED = PACK < RUN ? PACK : RUN, STORED = PACK < RUN * PHASES ? PACK : RUN * PHASES;  // moved as one

struct Geometry {
  INDEX planes;                    // of the result
  INDEX items;                     // pieces of a plane, each a thread's
  INDEX runs;                      // of a row and phase
  INDEX small[AXES], large[AXES], stride[AXES];
  int phases[AXES];                // of the other axes; of the last, those that lie in different threads
  int groups, channels, outputs;   // channels and outputs of a group
  int taps;                        // of the kernel
  int window, first;               // along the last axis: taps reach cells from `first` on, so many of them
  int loads_wide, stores_wide;     // whether rows of x and y start at multiples of LOADED and STORED values
  int tap[TAPS];                   // [phase, place in the window]: the tap of the last axis; -1 is none
};

// For each phase of the other axes: the kernel's row of taps, its first one, and the row of cells that it reaches.
struct __align__(16) Row {
  INDEX tap, depth, height, unused;
};

// A piece of a plane: RUN positions from `position` on of PHASES phases from `phase` on, of one row.
struct Piece {
  INDEX position, depth, height, place;  // place: of its first value in the plane of y
  int phase, first_row, last_row;
};

DEVICE Piece piece_of(INDEX item, const int* starts, const Geometry& g) {
  Piece p;
  p.phase = int(item % g.phases[2]);
  item /= g.phases[2];
  p.position = item % g.runs * RUN;
  item /= g.runs;
  const INDEX y = item % g.large[1], z = item / g.large[1];
  p.height = y / g.stride[1];
  p.depth = z / g.stride[0];
  const int corner = int(z % g.stride[0]) * g.phases[1] + int(y % g.stride[1]);
  p.first_row = starts[corner];
  p.last_row = starts[corner + 1];
  p.place = item * g.large[2] + p.position * g.stride[2] + p.phase;
  return p;
}

// Adds what reaches the piece. Without Strict, a tap that reaches no cell adds 0 times its weight: NaN if that is not
// finite.
template <bool Strict>
DEVICE void add(Acc (&sum)[PHASES][RUN], const SCALAR* x, const SCALAR* weight, const Piece& piece, const Row* rows,
                bool aligned, const Geometry& g) {
  const INDEX width = g.small[2];
  for (int c = 0; c < g.channels; ++c) {
    for (int r = piece.first_row; r < piece.last_row; ++r) {
      const Row entry = rows[r];
      const INDEX z = piece.depth + entry.depth, y = piece.height + entry.height;
      if (z < 0 || z >= g.small[0] || y < 0 || y >= g.small[1]) continue;
      const SCALAR* const row = x + (z * g.small[1] + y) * width;
      const SCALAR* const taps = weight + entry.tap;
      const auto cell = [&](INDEX at) { return at >= 0 && at < width ? widened<Acc>(__ldg(row + at)) : Acc(0); };
      const auto add_tap = [&](const Acc* cells, int p, int place) {
        const int tap = g.tap[(piece.phase + p) * g.window + place];
        if (tap < 0) return;
        const Acc w = widened<Acc>(__ldg(taps + tap));
#pragma unroll
        for (int i = 0; i < RUN; ++i) {
          const INDEX at = piece.position + g.first + place + i;
          if (!Strict || (at >= 0 && at < width)) sum[p][i] += w * cells[i];
        }
      };
#if NEAR
      Acc cells[RUN + 2];
      cells[0] = cell(piece.position - 1);
      cells[RUN + 1] = cell(piece.position + RUN);
      if (aligned) {
#pragma unroll
        for (int i = 0; i < RUN; i += LOADED) {
          Pack<SCALAR, LOADED> some = {};
          if (piece.position + i < width)
            some = *reinterpret_cast<const Pack<SCALAR, LOADED>*>(row + piece.position + i);
#pragma unroll
          for (int k = 0; k < LOADED; ++k) cells[1 + i + k] = widened<Acc>(some.at[k]);
        }
      } else {
#pragma unroll
        for (int i = 0; i < RUN; ++i) cells[1 + i] = cell(piece.position + i);
      }
#pragma unroll
      for (int place = 0; place < 3; ++place)
#pragma unroll
        for (int p = 0; p < PHASES; ++p) add_tap(cells + place, p, place);
#else
      Acc cells[RUN];
#pragma unroll
      for (int i = 1; i < RUN; ++i) cells[i] = cell(piece.position + g.first + i - 1);
      for (int place = 0; place < g.window; ++place) {
#pragma unroll
        for (int i = 1; i < RUN; ++i) cells[i - 1] = cells[i];
        cells[RUN - 1] = cell(piece.position + g.first + place + RUN - 1);
#pragma unroll
        for (int p = 0; p < PHASES; ++p) add_tap(cells, p, place);
      }
#endif
    }
    x += g.small[0] * g.small[1] * width;
    weight += int64(g.outputs) * g.taps;
  }
}

// x [images, groups * channels, *small], weight [groups * channels, outputs, *kernel], bias [groups * outputs] or null
// -> y [images, groups * outputs, *large]; the sums of conv_transpose.cu's kernel. `rows` and `starts` are the taps of
// the other axes, Geometry's `tap` those of the last one.
//
// Thread x: a piece of a plane; y steps over planes. A row of x is read once for all taps of the piece, as one vector
// and its neighbours; weights are the same for all threads of a plane and come from the cache.
// Accumulator: float32, or float64. Each sum is in the order of channels, rows of taps, taps, in one thread, so results
// are the same each time. A sum that is not finite is made again from the cells alone that there are.
KERNEL(256, 2)
spread(const SCALAR* __restrict__ x, const SCALAR* __restrict__ weight, const SCALAR* __restrict__ bias,
       const Row* __restrict__ rows, const int* __restrict__ starts, SCALAR* __restrict__ y, const Geometry g) {
  const bool aligned = g.loads_wide && reinterpret_cast<uint64>(x) % 16 == 0;
  const bool wide = g.stores_wide && reinterpret_cast<uint64>(y) % 16 == 0;
  const INDEX large_plane = g.large[0] * g.large[1] * g.large[2];
  const int64 small_plane = int64(g.small[0]) * g.small[1] * g.small[2];
  for (INDEX item = blockIdx.x * INDEX(blockDim.x) + threadIdx.x; item < g.items;
       item += gridDim.x * INDEX(blockDim.x)) {
    const Piece piece = piece_of(item, starts, g);
    const INDEX left = g.large[2] - (piece.position * g.stride[2] + piece.phase);
    for (INDEX plane = blockIdx.y * INDEX(blockDim.y) + threadIdx.y; plane < g.planes;
         plane += gridDim.y * INDEX(blockDim.y)) {
      const INDEX set = g.outputs == 1 ? plane : plane / g.outputs;  // images times groups
      const int output = int(plane - set * g.outputs), group = int(set % g.groups);
      const SCALAR* const from = x + int64(set) * g.channels * small_plane;
      const SCALAR* const taps = weight + (int64(group) * g.channels * g.outputs + output) * g.taps;
      Acc sum[PHASES][RUN] = {};
      add<false>(sum, from, taps, piece, rows, aligned, g);
      Acc check = 0;
#pragma unroll
      for (int n = 0; n < PHASES * RUN; ++n) check += sum[n % PHASES][n / PHASES] - sum[n % PHASES][n / PHASES];
      if (!(check == Acc(0))) {
        Acc again[PHASES][RUN] = {};
        add<true>(again, from, taps, piece, rows, aligned, g);
#pragma unroll
        for (int n = 0; n < PHASES * RUN; ++n) sum[n % PHASES][n / PHASES] = again[n % PHASES][n / PHASES];
      }
      const Acc added = bias != nullptr ? widened<Acc>(bias[group * g.outputs + output]) : Acc(0);
      SCALAR* const to = y + int64(plane) * large_plane + piece.place;
      if (wide) {
#pragma unroll
        for (int n = 0; n < PHASES * RUN; n += STORED) {
          Pack<SCALAR, STORED> made;
#pragma unroll
          for (int k = 0; k < STORED; ++k)
            made.at[k] = narrowed<SCALAR>(sum[(n + k) % PHASES][(n + k) / PHASES] + added);
          if (n < left) *reinterpret_cast<Pack<SCALAR, STORED>*>(to + n) = made;
        }
      } else {
#pragma unroll
        for (int i = 0; i < RUN; ++i)
#pragma unroll
          for (int p = 0; p < PHASES; ++p)
            if (i * g.stride[2] + p < left) to[i * g.stride[2] + p] = narrowed<SCALAR>(sum[p][i] + added);
      }
    }
  }
}
