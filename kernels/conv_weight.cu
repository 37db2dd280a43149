// The gradient of transposed convolution by its weight, as a product of matrices, in shares of the sum.
#include "conv_transpose.cuh"
#include "mma.cuh"

#ifndef SCALAR
#define SCALAR float
#endif
// Whether tensor cores multiply, float32 then in TF32; rows and columns of a block.
#ifndef TENSOR
#define TENSOR 0
#endif
#ifndef TILE_ROWS
#define TILE_ROWS 128
#endif
#ifndef TILE_COLUMNS
#define TILE_COLUMNS 64
#endif

using Acc = AccOf<SCALAR>::type;
using Word = WordOf<TENSOR != 0, SCALAR>::type;

constexpr int CELLS = sizeof(Word) / sizeof(SCALAR);     // of a word
constexpr int DEPTH = sizeof(SCALAR) < 8 ? 16 : 8;       // words of a slice: what is in shared memory at a time
constexpr int WIDE = 16 / sizeof(Word);                  // words that are moved as one
constexpr int SUMS = TILE_ROWS * TILE_COLUMNS / 128;     // of a thread of ordinary cores, of which there are 128
constexpr int WARP_ROWS = TENSOR && TILE_ROWS > 32 ? 64 : 32;
constexpr int WARP_COLUMNS = TENSOR ? 32 : SUMS;         // 8 threads of SUMS / 8 sums each
constexpr int WARPS_ACROSS = TILE_COLUMNS / WARP_COLUMNS;
constexpr int THREADS = 32 * WARPS_ACROSS * (TILE_ROWS / WARP_ROWS);
constexpr int UNIT = THREADS / DEPTH;                    // rows or columns that the block fetches at once
constexpr int STEP = DEPTH + WIDE;  // of a row of shared memory in words: the lanes of a fragment hit all banks
constexpr int SLICE = STEP * (TILE_ROWS + TILE_COLUMNS);
constexpr int SLICE_CELLS = DEPTH * CELLS;
static_assert(TILE_ROWS % UNIT == 0 && TILE_COLUMNS % UNIT == 0);

struct Geometry {
  int64 large_plane;               // positions of a channel
  int small_plane, cells;          // cells of a channel, and of all images
  int small[AXES], large[AXES], stride[AXES];
  int groups, channels, outputs;   // channels of x and of y in a group
  int taps, units;                 // taps that reach a position for some cell; for each, columns in whole units
  int slices, group, run;          // slices of a share, shares of a group, slices of a block
  int batch;                       // slices whose places are worked out at once
};

// On each axis, where a tap lies from the cell's stride times its number on.
struct __align__(16) Tap { int at[AXES], unused; };

// What the threads of this block work on.
struct Work {
  int run, group, row, unit;       // the first row and unit
  int tap, taps;                   // those of its units
};

DEVICE Work work_of(const Geometry& g) {
  Work w;
  const int across = (g.taps * g.units * UNIT + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int down = (g.channels + TILE_ROWS - 1) / TILE_ROWS;
  int rest = blockIdx.x;
  w.unit = rest % across * (TILE_COLUMNS / UNIT);
  rest /= across;
  w.row = rest % down * TILE_ROWS;
  rest /= down;
  w.group = rest % g.groups;
  w.run = rest / g.groups;
  w.tap = w.unit / g.units;
  w.taps = lesser((w.unit + TILE_COLUMNS / UNIT - 1) / g.units + 1, g.taps) - w.tap;
  return w;
}

// Where a cell of all images lies in x, or where a tap of it lies in y, without the channel; -1: there is none.
DEVICE int64 place_of(int cell, const Tap* tap, const Geometry& g) {
  if (cell >= g.cells) return -1;
  const int image = cell / g.small_plane;
  int rest = cell - image * g.small_plane;
  if (tap == nullptr) return int64(image) * g.groups * g.channels * g.small_plane + rest;
  int at[AXES];
  bool inside = true;
#pragma unroll
  for (int axis = AXES - 1; axis >= 0; --axis) {
    at[axis] = rest % g.small[axis] * g.stride[axis] + tap->at[axis];
    rest /= g.small[axis];
    inside = inside && at[axis] >= 0 && at[axis] < g.large[axis];
  }
  const int64 place = (int64(at[0]) * g.large[1] + at[1]) * g.large[2] + at[2];
  return inside ? int64(image) * g.groups * g.outputs * g.large_plane + place : -1;
}

// Works out the places of a batch of slices from `slice` on: [slice, x or tap of y, cell].
DEVICE void put_places(int64* places, int slice, const Tap* taps, const Work& work, const Geometry& g) {
  const int each = (1 + work.taps) * SLICE_CELLS;
  for (int n = threadIdx.x; n < g.batch * each; n += THREADS) {
    const int kind = n / SLICE_CELLS % (1 + work.taps), cell = (slice + n / each) * SLICE_CELLS + n % SLICE_CELLS;
    places[n] = place_of(cell, kind == 0 ? nullptr : taps + work.tap + kind - 1, g);
  }
}

// What a thread moves from memory to shared memory: in two steps, so that a slice is on its way while one is summed.
// It is one word of each unit's row or column.
struct Mover {
  static constexpr int ROWS = TILE_ROWS / UNIT, COLUMNS = TILE_COLUMNS / UNIT;
  using Places = Pack<int64, CELLS>;
  const SCALAR *x, *y;             // of the thread's row or column of unit 0
  int word, rows, columns;         // from the thread's own on: how many there are
  int first;                       // unit of the first column's tap
  bool pairs;                      // whether the cells of a word of x are one aligned word in memory
  Word row[ROWS], column[COLUMNS];

  DEVICE Mover(const SCALAR* x_, const SCALAR* y_, const Work& work, const Geometry& g) {
    const int own = threadIdx.x / DEPTH;
    word = threadIdx.x % DEPTH;
    rows = g.channels - work.row - own;
    columns = g.outputs - own;
    first = work.unit % g.units;
    x = x_ + (int64(work.group) * g.channels + work.row + own) * g.small_plane;
    y = y_ + (int64(work.group) * g.outputs + own) * g.large_plane;
    pairs = CELLS == 1 || (g.small_plane % CELLS == 0 && reinterpret_cast<uint64>(x_) % sizeof(Word) == 0);
  }

  // The cells of a word, of which some may not be: first those of one row or column, then those of the next ones.
  struct Cells {
    const SCALAR* from[CELLS];
    bool exist[CELLS];

    DEVICE Cells(const SCALAR* channel, const Places& at) {
#pragma unroll
      for (int c = 0; c < CELLS; ++c) {
        exist[c] = at.at[c] >= 0;
        from[c] = exist[c] ? channel + at.at[c] : channel;
      }
    }
    DEVICE void move(int64 step) {
#pragma unroll
      for (int c = 0; c < CELLS; ++c) from[c] += step;
    }
    DEVICE Word pair(bool some) const {
      return some && exist[0] ? __ldg(reinterpret_cast<const Word*>(from[0])) : Word(0);
    }
    DEVICE Word word(bool some) const {
      Pack<SCALAR, CELLS> made;
#pragma unroll
      for (int c = 0; c < CELLS; ++c) made.at[c] = some && exist[c] ? __ldg(from[c]) : SCALAR(0.f);
      Word bits;
      memcpy(&bits, &made, sizeof(bits));
      return bits;
    }
  };

  DEVICE void fetch(const int64* places, const Work& work, const Geometry& g) {
    const Places* const own = reinterpret_cast<const Places*>(places) + word;
    const int64 row_step = int64(UNIT) * g.small_plane, column_step = UNIT * g.large_plane;
    Cells cells(x, own[0]);
    if (pairs) {
#pragma unroll
      for (int i = 0; i < ROWS; ++i, cells.move(row_step)) row[i] = cells.pair(i * UNIT < rows);
    } else {
#pragma unroll
      for (int i = 0; i < ROWS; ++i, cells.move(row_step)) row[i] = cells.word(i * UNIT < rows);
    }
    int unit = first, tap = 0;
    cells = Cells(y + unit * column_step, own[DEPTH]);
    if (work.taps == 1) {
#pragma unroll
      for (int i = 0; i < COLUMNS; ++i, cells.move(column_step)) column[i] = cells.word((unit + i) * UNIT < columns);
      return;
    }
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i) {
      column[i] = cells.word(tap < work.taps && unit * UNIT < columns);
      cells.move(column_step);
      if (++unit < g.units) continue;
      unit = 0;
      if (++tap < work.taps) cells = Cells(y, own[(1 + tap) * DEPTH]);
    }
  }

  DEVICE void put(Word* slice) const {
    Word* const to = slice + threadIdx.x / DEPTH * STEP + word;
#pragma unroll
    for (int i = 0; i < ROWS; ++i) to[i * UNIT * STEP] = rounded(row[i]);
#pragma unroll
    for (int i = 0; i < COLUMNS; ++i) to[(TILE_ROWS + i * UNIT) * STEP] = rounded(column[i]);
  }

  static DEVICE Word rounded(Word v) {
    if constexpr (TENSOR && sizeof(SCALAR) == 4)
      return tf32_bits(__uint_as_float(v));
    else
      return v;
  }
};

#if TENSOR
// The sums of a thread: of each warp WARP_ROWS x 32, in tiles of 16 x 8.
struct Sums {
  static constexpr int ROWS = WARP_ROWS / 8, COLUMNS = WARP_COLUMNS / 4, SIDE = 2;
  float sum[ROWS / 2][COLUMNS / 2][4];

  static DEVICE int row(int i) {
    return threadIdx.x / 32 / WARPS_ACROSS * WARP_ROWS + i * 8 + threadIdx.x % 32 / 4;
  }
  static DEVICE int column(int j) {
    return threadIdx.x / 32 % WARPS_ACROSS * WARP_COLUMNS + j / 2 * 8 + threadIdx.x % 4 * 2 + j % 2;
  }
  DEVICE float at(int i, int j) const { return sum[i / 2][j / 2][i % 2 * 2 + j % 2]; }

  DEVICE void add(const Word* slice) {
    const int member = threadIdx.x % 4, group = threadIdx.x % 32 / 4;
    const Word* const rows = slice + row(0) * STEP + member;
    const Word* const columns = slice + (TILE_ROWS + column(0) - member * 2 + group) * STEP + member;
#pragma unroll
    for (int word = 0; word < DEPTH; word += 8) {
      uint32 b[COLUMNS / 2][2];
#pragma unroll
      for (int j = 0; j < COLUMNS / 2; ++j)
#pragma unroll
        for (int k = 0; k < 2; ++k) b[j][k] = columns[j * 8 * STEP + word + k * 4];
#pragma unroll
      for (int i = 0; i < ROWS / 2; ++i) {
        uint32 a[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) a[k] = rows[(i * 16 + k % 2 * 8) * STEP + word + k / 2 * 4];
#pragma unroll
        for (int j = 0; j < COLUMNS / 2; ++j) multiply_add<SCALAR>(sum[i][j], a, b[j]);
      }
    }
  }
};
#else
// The sums of a thread: of each warp 4 x 8 threads with 8 x (4 or 8) sums, of rows and columns 4 and 8 apart.
struct Sums {
  static constexpr int ROWS = 8, COLUMNS = SUMS / 8, SIDE = 1, AT_ONCE = 4;
  Acc sum[ROWS][COLUMNS];

  static DEVICE int row(int i) { return threadIdx.x / 32 / WARPS_ACROSS * 32 + i * 4 + threadIdx.x % 32 / 8; }
  static DEVICE int column(int j) {
    return threadIdx.x / 32 % WARPS_ACROSS * WARP_COLUMNS + j * 8 + threadIdx.x % 8;
  }
  DEVICE Acc at(int i, int j) const { return sum[i][j]; }

  DEVICE void add(const Word* slice) {
    using Some = Pack<Word, WIDE>;
    const Word* const rows = slice + row(0) * STEP;
    const Word* const columns = slice + (TILE_ROWS + column(0)) * STEP;
#pragma unroll 1
    for (int word = 0; word < DEPTH; word += WIDE)
#pragma unroll
      for (int first = 0; first < COLUMNS; first += AT_ONCE) {
        Some b[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j)
          b[j] = *reinterpret_cast<const Some*>(columns + (first + j) * 8 * STEP + word);
#pragma unroll
        for (int i = 0; i < ROWS; ++i) {
          const Some a = *reinterpret_cast<const Some*>(rows + i * 4 * STEP + word);
#pragma unroll
          for (int k = 0; k < WIDE; ++k)
#pragma unroll
            for (int j = 0; j < AT_ONCE; ++j)
              sum[i][first + j] = fused(a.at[k], b[j].at[k], sum[i][first + j]);
        }
      }
  }
};
#endif

// Ends a share: adds the totals of its group and of all groups, as far as there are any, and stores the total of one.
// Only in a run of several groups do the two have different places.
DEVICE void put_share(Sums& sums, Acc* part, const Work& work, bool has_group, bool has_all, bool to_group,
                      const Geometry& g) {
  const int columns = g.taps * g.units * UNIT;
  const int64 all_values = int64(g.groups) * g.channels * columns;
  Acc* const all = part + work.run * all_values + int64(work.group) * g.channels * columns;
  Acc* const group = g.run > g.group * g.slices ? all + all_values : all;
#pragma unroll
  for (int i = 0; i < Sums::ROWS; ++i) {
    const int row = work.row + Sums::row(i);
#pragma unroll
    for (int j = 0; j < Sums::COLUMNS; j += Sums::SIDE) {
      using Side = Pack<Acc, Sums::SIDE>;
      const int column = work.unit * UNIT + Sums::column(j);
      if (row >= g.channels || column >= columns) continue;
      const int64 place = int64(row) * columns + column;
      Side made;
#pragma unroll
      for (int k = 0; k < Sums::SIDE; ++k) {
        made.at[k] = sums.at(i, j + k);
        if (has_group) made.at[k] = added(group[place + k], made.at[k]);
        if (has_all) made.at[k] = added(all[place + k], made.at[k]);
      }
      *reinterpret_cast<Side*>((to_group ? group : all) + place) = made;
    }
  }
  sums = {};
}

// x [images, groups * channels, *small] and y [images, groups * outputs, *large]
// -> part [runs, groups * channels, taps, units * UNIT], whose sum (conv_weight_shares.cu) is
//   w[channel, output, tap] = sum over images and cells of
//                             x[image, channel, cell] * y[image, output, cell * stride + at]
// with `at` of the tap; what lies outside y is 0. `cells` is a row of all images' cells, one after the other. Share s
// sums their slices [s * slices, (s + 1) * slices); a group of shares is added in order, then the groups.
//
// Block: TILE_ROWS channels by TILE_COLUMNS pairs of tap and output, for a run: one share, a group of shares, or all
// groups. Blocks of the same cells are neighbours, for the cache. Neighbouring threads fetch neighbouring cells of one
// channel. Where cells lie is worked out for a batch of slices at once, while the one before it is used.
// Accumulator: float32, or float64; TF32 rounds factors. Each sum is in the order of the cells, in one thread (on
// tensor cores: in one warp), and shares and groups depend on the number of cells alone. A block adds its shares in
// `part`, so runs of every length have the same bits.
KERNEL(THREADS, 512 / THREADS > 3 ? 3 : 512 / THREADS)
correlate(const SCALAR* __restrict__ x, const SCALAR* __restrict__ y, const Tap* __restrict__ taps,
          Acc* __restrict__ part, const Geometry g) {
  DYN_SHARED(Word, slices);
  int64* const places = reinterpret_cast<int64*>(slices + 2 * SLICE);
  const Work work = work_of(g);
  const int begin = work.run * g.run, each = (1 + work.taps) * SLICE_CELLS;
  const int count = lesser(g.run, (g.cells + SLICE_CELLS - 1) / SLICE_CELLS - begin);
  Mover mover(x, y, work, g);
  Sums sums = {};
  put_places(places, begin, taps, work, g);
  put_places(places + g.batch * each, begin + g.batch, taps, work, g);
  __syncthreads();
  mover.fetch(places, work, g);
  mover.put(slices);
  __syncthreads();
  int at = 0;  // of the slice to fetch, in both batches
  for (int n = 1; n <= count; ++n) {
    if (++at == 2 * g.batch) at = 0;
    if (n < count) mover.fetch(places + at * each, work, g);
    sums.add(slices + (n - 1) % 2 * SLICE);
    if (n < count) mover.put(slices + n % 2 * SLICE);
    if (n % g.slices == 0 || n == count) {
      const int share = (n - 1) / g.slices, in_group = share % g.group;
      const bool ends = in_group == g.group - 1 || n == count;
      Acc* to = part;
#ifndef EMULATED
      asm volatile("" : "+l"(to));  // its offsets are not kept in registers through the loop
#endif
      put_share(sums, to, work, in_group > 0, share >= g.group && ends, !ends, g);
    }
    if (at == 0 || at == g.batch)  // the other batch is no longer read
      put_places(places + (g.batch - at) * each, begin + n + g.batch, taps, work, g);
    __syncthreads();
  }
}
