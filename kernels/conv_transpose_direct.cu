// Transposed convolution of few channels, and convolution, its gradient, sum by sum: bound by memory.
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
// whether along the last axis all taps reach the cells from the one before position 0's to the one of position 1
#ifndef NEAR
#define NEAR 1
#endif
// cells from a position's to the next one's along the last axis; where not NEAR, Geometry's `jump` says it
#ifndef JUMP
#define JUMP 1
#endif

using Acc = AccOf<SCALAR>::type;

constexpr int TAPS = 64;
constexpr int RUN = 4;                    // positions of a thread
constexpr int PACK = 16 / sizeof(SCALAR);  // values in 16 bytes
constexpr int SPAN = RUN * JUMP;           // cells of them, where NEAR
constexpr int LOADED = PACK < SPAN ? PACK : SPAN, STORED = PACK < RUN * PHASES ? PACK : RUN * PHASES;  // moved as one

struct Geometry {
  INDEX planes;                    // of the result
  INDEX items;                     // pieces of a plane, each a thread's
  INDEX runs;                      // of a row and phase
  INDEX source[AXES], result[AXES], step[AXES], jump[AXES];
  int phases[AXES];                // of the other axes; of the last, those that lie in different threads
  int groups, channels, outputs;   // channels and outputs of a group
  int channel_step, output_step;   // of the weights
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
  const INDEX y = item % g.result[1], z = item / g.result[1];
  p.height = y / g.step[1] * g.jump[1];
  p.depth = z / g.step[0] * g.jump[0];
  const int corner = int(z % g.step[0]) * g.phases[1] + int(y % g.step[1]);
  p.first_row = starts[corner];
  p.last_row = starts[corner + 1];
  p.place = item * g.result[2] + p.position * g.step[2] + p.phase;
  return p;
}

// Adds what reaches the piece. Without Strict, a tap that reaches no cell adds 0 times its weight: NaN if that is not
// finite.
template <bool Strict>
DEVICE void add(Acc (&sum)[PHASES][RUN], const SCALAR* x, const SCALAR* weight, const Piece& piece, const Row* rows,
                bool aligned, const Geometry& g) {
  const INDEX width = g.source[2], jump = NEAR ? INDEX(JUMP) : g.jump[2], begin = piece.position * jump + g.first;
  for (int c = 0; c < g.channels; ++c) {
    for (int r = piece.first_row; r < piece.last_row; ++r) {
      const Row entry = rows[r];
      const INDEX z = piece.depth + entry.depth, y = piece.height + entry.height;
      if (z < 0 || z >= g.source[0] || y < 0 || y >= g.source[1]) continue;
      const SCALAR* const row = x + (z * g.source[1] + y) * width;
      const SCALAR* const taps = weight + entry.tap;
      const auto cell = [&](INDEX at) { return at >= 0 && at < width ? widened<Acc>(__ldg(row + at)) : Acc(0); };
      const auto add_tap = [&](const Acc* cells, int p, int place) {
        const int tap = g.tap[(piece.phase + p) * g.window + place];
        if (tap < 0) return;
        const Acc w = widened<Acc>(__ldg(taps + tap));
#pragma unroll
        for (int i = 0; i < RUN; ++i) {
          const INDEX at = begin + place + i * jump;
          if (!Strict || (at >= 0 && at < width)) sum[p][i] = fused(w, cells[NEAR ? i * JUMP : i], sum[p][i]);
        }
      };
#if NEAR
      Acc cells[SPAN + 2];
      cells[0] = cell(begin);
      cells[SPAN + 1] = cell(begin + 1 + SPAN);
      if (aligned) {
#pragma unroll
        for (int i = 0; i < SPAN; i += LOADED) {
          Pack<SCALAR, LOADED> some = {};
          if (begin + 1 + i < width) some = *reinterpret_cast<const Pack<SCALAR, LOADED>*>(row + begin + 1 + i);
#pragma unroll
          for (int k = 0; k < LOADED; ++k) cells[1 + i + k] = widened<Acc>(some.at[k]);
        }
      } else {
#pragma unroll
        for (int i = 0; i < SPAN; ++i) cells[1 + i] = cell(begin + 1 + i);
      }
#pragma unroll
      for (int place = 0; place < JUMP + 2; ++place)
#pragma unroll
        for (int p = 0; p < PHASES; ++p) add_tap(cells + place, p, place);
#else
      Acc cells[RUN];
#pragma unroll
      for (int i = 1; i < RUN; ++i) cells[i] = cell(begin + i - 1);
      for (int place = 0; place < g.window; ++place) {
        if (jump == 1) {
#pragma unroll
          for (int i = 1; i < RUN; ++i) cells[i - 1] = cells[i];
          cells[RUN - 1] = cell(begin + place + RUN - 1);
        } else {
#pragma unroll
          for (int i = 0; i < RUN; ++i) cells[i] = cell(begin + place + i * jump);
        }
#pragma unroll
        for (int p = 0; p < PHASES; ++p) add_tap(cells, p, place);
      }
#endif
    }
    x += g.source[0] * g.source[1] * width;
    weight += g.channel_step;
  }
}

// x [images, groups * channels, *source], weight of so many channels and outputs a group, bias [groups * outputs] or
// null -> y [images, groups * outputs, *result]; the sums of conv_transpose.cu's kernel. `rows` and `starts` are the
// taps of the other axes, Geometry's `tap` those of the last one.
//
// Thread x: a piece of a plane; y steps over planes. A row of x is read once for all taps of the piece, as one vector
// and its neighbours; weights are the same for all threads of a plane and come from the cache.
// Accumulator: float32, or float64. Each sum is in the order of channels, rows of taps, taps, in one thread, so results
// are the same each time. A sum that is not finite is made again from the cells alone that there are.
KERNEL(256, NEAR || sizeof(Acc) > 4 || sizeof(INDEX) > 4 ? 2 : 4)  // of the others, some need just over 64 registers
spread(const SCALAR* __restrict__ x, const SCALAR* __restrict__ weight, const SCALAR* __restrict__ bias,
       const Row* __restrict__ rows, const int* __restrict__ starts, SCALAR* __restrict__ y, const Geometry g) {
  const bool aligned = g.loads_wide && reinterpret_cast<uint64>(x) % 16 == 0;
  const bool wide = g.stores_wide && reinterpret_cast<uint64>(y) % 16 == 0;
  const INDEX result_plane = g.result[0] * g.result[1] * g.result[2];
  const int64 source_plane = int64(g.source[0]) * g.source[1] * g.source[2];
  for (INDEX item = blockIdx.x * INDEX(blockDim.x) + threadIdx.x; item < g.items;
       item += gridDim.x * INDEX(blockDim.x)) {
    const Piece piece = piece_of(item, starts, g);
    const INDEX left = g.result[2] - (piece.position * g.step[2] + piece.phase);
    for (INDEX plane = blockIdx.y * INDEX(blockDim.y) + threadIdx.y; plane < g.planes;
         plane += gridDim.y * INDEX(blockDim.y)) {
      const INDEX set = g.outputs == 1 ? plane : plane / g.outputs;  // images times groups
      const int output = int(plane - set * g.outputs), group = int(set % g.groups);
      const SCALAR* const from = x + int64(set) * g.channels * source_plane;
      const SCALAR* const taps =
          weight + int64(group) * g.channels * g.outputs * g.taps + int64(output) * g.output_step;
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
      SCALAR* const to = y + int64(plane) * result_plane + piece.place;
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
            if (i * g.step[2] + p < left) to[i * g.step[2] + p] = narrowed<SCALAR>(sum[p][i] + added);
      }
    }
  }
}
