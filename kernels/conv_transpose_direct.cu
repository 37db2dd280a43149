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

// whether a group has more than one channel
#ifndef MANY
#define MANY 1
#endif

using Acc = AccOf<SCALAR>::type;

// Channels that all taps are multiplied with in turn, and of a share of a sum, as in conv_transpose.cu.
constexpr int TURN = 32, SHARE = sizeof(SCALAR) >= 4 ? 128 : 1 << 30;
constexpr int TAPS = 128;
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

// A row of cells and of taps, in the first of some channels.
struct Reached {
  const SCALAR *row, *taps;
  INDEX begin, width, jump;        // the cell of the first place; cells of the row; from a position's cell to the next
  bool aligned;

  DEVICE Acc cell(const SCALAR* from, INDEX at) const {
    return at >= 0 && at < width ? widened<Acc>(__ldg(from + at)) : Acc(0);
  }
#if NEAR
  DEVICE void load(Acc (&cells)[SPAN + 2], const SCALAR* from) const {
    cells[0] = cell(from, begin);
    cells[SPAN + 1] = cell(from, begin + 1 + SPAN);
    if (aligned) {
#pragma unroll
      for (int i = 0; i < SPAN; i += LOADED) {
        Pack<SCALAR, LOADED> some = {};
        if (begin + 1 + i < width) some = *reinterpret_cast<const Pack<SCALAR, LOADED>*>(from + begin + 1 + i);
#pragma unroll
        for (int k = 0; k < LOADED; ++k) cells[1 + i + k] = widened<Acc>(some.at[k]);
      }
    } else {
#pragma unroll
      for (int i = 0; i < SPAN; ++i) cells[1 + i] = cell(from, begin + 1 + i);
    }
  }
#endif
};

// Adds a tap times the cells at a place of the window. Without Strict, a tap that reaches no cell adds 0 times its
// weight: NaN if that is not finite.
template <bool Strict>
DEVICE void add_tap(Acc (&sum)[RUN], const Acc* cells, Acc weight, int place, const Reached& r) {
#pragma unroll
  for (int i = 0; i < RUN; ++i) {
    const INDEX at = r.begin + place + i * r.jump;
    if (!Strict || (at >= 0 && at < r.width)) sum[i] = fused(weight, cells[NEAR ? i * JUMP : i], sum[i]);
  }
}

#if MANY
// Adds a place of the window in some channels: its cells are read once for all phases.
template <bool Strict>
DEVICE void add_place(Acc (&sum)[PHASES][RUN], const Reached& r, const Piece& piece, int place, int channels,
                      INDEX plane, const Geometry& g) {
  int tap[PHASES];
  bool any = false;
#pragma unroll
  for (int p = 0; p < PHASES; ++p) {
    tap[p] = g.tap[(piece.phase + p) * g.window + place];
    any = any || tap[p] >= 0;
  }
  if (!any) return;
  const SCALAR *row = r.row, *taps = r.taps;
#pragma unroll 2
  for (int c = 0; c < channels; ++c, row += plane, taps += g.channel_step) {
#if NEAR
    Acc cells[SPAN + 2];
    r.load(cells, row);
    const Acc* const own = cells + place;
#else
    Acc own[RUN];
#pragma unroll
    for (int i = 0; i < RUN; ++i) own[i] = r.cell(row, r.begin + place + i * r.jump);
#endif
#pragma unroll
    for (int p = 0; p < PHASES; ++p)
      if (tap[p] >= 0) add_tap<Strict>(sum[p], own, widened<Acc>(__ldg(taps + tap[p])), place, r);
  }
}
#endif

// Adds a row of the window in some channels; of one channel, a row of cells is read once for all taps.
template <bool Strict>
DEVICE void add_row(Acc (&sum)[PHASES][RUN], const Reached& r, const Piece& piece, [[maybe_unused]] int channels,
                    [[maybe_unused]] INDEX plane, const Geometry& g) {
#if MANY && NEAR
#pragma unroll
  for (int place = 0; place < JUMP + 2; ++place) add_place<Strict>(sum, r, piece, place, channels, plane, g);
#elif MANY
  for (int place = 0; place < g.window; ++place) add_place<Strict>(sum, r, piece, place, channels, plane, g);
#else
  const auto add_taps = [&](const Acc* cells, int place) {
#pragma unroll
    for (int p = 0; p < PHASES; ++p) {
      const int tap = g.tap[(piece.phase + p) * g.window + place];
      if (tap >= 0) add_tap<Strict>(sum[p], cells, widened<Acc>(__ldg(r.taps + tap)), place, r);
    }
  };
#if NEAR
  Acc cells[SPAN + 2];
  r.load(cells, r.row);
#pragma unroll
  for (int place = 0; place < JUMP + 2; ++place) add_taps(cells + place, place);
#else
  Acc cells[RUN];
#pragma unroll
  for (int i = 1; i < RUN; ++i) cells[i] = r.cell(r.row, r.begin + i - 1);
  for (int place = 0; place < g.window; ++place) {
    if (r.jump == 1) {
#pragma unroll
      for (int i = 1; i < RUN; ++i) cells[i - 1] = cells[i];
      cells[RUN - 1] = r.cell(r.row, r.begin + place + RUN - 1);
    } else {
#pragma unroll
      for (int i = 0; i < RUN; ++i) cells[i] = r.cell(r.row, r.begin + place + i * r.jump);
    }
    add_taps(cells, place);
  }
#endif
#endif
}

// Adds the rows of the window in some channels.
template <bool Strict>
DEVICE void add_rows(Acc (&sum)[PHASES][RUN], const SCALAR* x, const SCALAR* weight, const Piece& piece,
                     const Row* rows, bool aligned, int channels, const Geometry& g) {
  const INDEX jump = NEAR ? INDEX(JUMP) : g.jump[2], plane = g.source[0] * g.source[1] * g.source[2];
  for (int r = piece.first_row; r < piece.last_row; ++r) {
    const Row entry = rows[r];
    const INDEX z = piece.depth + entry.depth, y = piece.height + entry.height;
    if (z < 0 || z >= g.source[0] || y < 0 || y >= g.source[1]) continue;
    const SCALAR* const row = x + (z * g.source[1] + y) * g.source[2];
    const Reached reached = {row, weight + entry.tap, piece.position * jump + g.first, g.source[2], jump, aligned};
    add_row<Strict>(sum, reached, piece, channels, plane, g);
  }
}

// Sums what reaches the piece.
template <bool Strict>
DEVICE void add(Acc (&sum)[PHASES][RUN], const SCALAR* x, const SCALAR* weight, const Piece& piece, const Row* rows,
                bool aligned, const Geometry& g) {
#if MANY
  const INDEX plane = g.source[0] * g.source[1] * g.source[2];
  Acc total[PHASES][RUN] = {};
  for (int first = 0; first < g.channels; first += TURN) {
    if (first > 0 && first % SHARE == 0) {
#pragma unroll
      for (int n = 0; n < PHASES * RUN; ++n) {
        Acc &all = total[n % PHASES][n / PHASES], &share = sum[n % PHASES][n / PHASES];
        all = first == SHARE ? share : added(all, share);
        share = 0;
      }
    }
    add_rows<Strict>(sum, x + first * plane, weight + int64(first) * g.channel_step, piece, rows, aligned,
                     lesser(TURN, g.channels - first), g);
  }
  if (g.channels > SHARE)
#pragma unroll
    for (int n = 0; n < PHASES * RUN; ++n)
      sum[n % PHASES][n / PHASES] = added(total[n % PHASES][n / PHASES], sum[n % PHASES][n / PHASES]);
#else
  add_rows<Strict>(sum, x, weight, piece, rows, aligned, 1, g);
#endif
}

// x [images, groups * channels, *source], weight of so many channels and outputs a group, bias [groups * outputs] or
// null -> y [images, groups * outputs, *result]; the sums of conv_transpose.cu's kernel. `rows` and `starts` are the
// taps of the other axes, Geometry's `tap` those of the last one.
//
// Thread x: a piece of a plane; y steps over planes. A row of x is read once for all taps of the piece, as one vector
// and its neighbours, or once for each tap of many channels; weights are the same for all threads of a plane and come
// from the cache.
// Accumulator: float32, or float64. Each sum is in one thread, in the order of conv_transpose.cu: shares of 128
// channels; in a share, for each 32 channels, each tap in the order of its cells, each channel. A sum that is not
// finite is made again from the cells alone that there are.
KERNEL(256, MANY || NEAR || sizeof(Acc) > 4 || sizeof(INDEX) > 4 ? 2 : 4)  // others need just over 64 registers
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
      const Acc shift = bias != nullptr ? widened<Acc>(bias[group * g.outputs + output]) : Acc(0);
      SCALAR* const to = y + int64(plane) * result_plane + piece.place;
      if (wide) {
#pragma unroll
        for (int n = 0; n < PHASES * RUN; n += STORED) {
          Pack<SCALAR, STORED> made;
#pragma unroll
          for (int k = 0; k < STORED; ++k)
            made.at[k] = narrowed<SCALAR>(added(sum[(n + k) % PHASES][(n + k) / PHASES], shift));
          if (n < left) *reinterpret_cast<Pack<SCALAR, STORED>*>(to + n) = made;
        }
      } else {
#pragma unroll
        for (int i = 0; i < RUN; ++i)
#pragma unroll
          for (int p = 0; p < PHASES; ++p)
            if (i * g.step[2] + p < left) to[i * g.step[2] + p] = narrowed<SCALAR>(added(sum[p][i], shift));
      }
    }
  }
}
